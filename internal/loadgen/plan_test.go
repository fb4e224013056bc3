package loadgen

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyLoad draws a load on a small network, so small that some have no plan.
func anyLoad(t *rapid.T) OpenOptions {
	o := openOptions(&target{})
	o.Mix = nil
	for _, kind := range rapid.Permutation(Kinds()).Draw(t, "kinds") {
		most := 9
		if kind == Erase {
			most = 1
		}
		o.Mix = append(o.Mix, Share{kind, rapid.IntRange(0, most).Draw(t, string(kind))})
	}
	o.Mix[0].Weight++
	people := rapid.IntRange(2, 80).Draw(t, "people")
	o.Graph = Random(people, rapid.IntRange(0, 300).Draw(t, "friendships"), 1)
	o.IDs = make([]int64, people)
	for i := range o.IDs {
		o.IDs[i] = int64(i + 1)
	}
	o.Seed = rapid.Uint64().Draw(t, "seed")
	o.Rate, o.Duration = 10, time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds"))*time.Second
	o.Constant = rapid.Bool().Draw(t, "constant")
	return o
}

// strict is a system by brute force that knows who is there and who is friends with
// whom, and refuses as the real one does.
type strict struct {
	people  map[int]bool // false once erased
	friends map[[2]int]bool
}

// newStrict returns the system as it is when a load begins.
func newStrict(g *Graph) *strict {
	s := &strict{people: map[int]bool{}, friends: map[[2]int]bool{}}
	for i := range g.People {
		s.people[i] = true
	}
	for _, p := range g.Friendships {
		s.friends[pairOf(p[0], p[1])] = true
	}
	return s
}

func pairOf(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

// do returns why a request is refused, "" if it is not.
func (s *strict) do(p planned) string {
	pair := pairOf(p.a, p.b)
	switch p.kind {
	case Create:
	case Add:
		switch {
		case p.a == p.b:
			return "oneself"
		case !s.people[p.a] || !s.people[p.b]:
			return "somebody is gone"
		case s.friends[pair]:
			return "friends already"
		}
		s.friends[pair] = true
	case Remove:
		if !s.friends[pair] {
			return "no friends"
		}
		delete(s.friends, pair)
	case Erase:
		if !s.people[p.a] {
			return "gone already"
		}
		s.people[p.a] = false
		maps.DeleteFunc(s.friends, func(pair [2]int, _ bool) bool { return pair[0] == p.a || pair[1] == p.a })
	case Get:
		if !s.people[p.a] {
			return "gone"
		}
	default: // lists are answered for anybody, but would be empty for who is gone
		if !s.people[p.a] || !s.people[p.b] {
			return "a question about somebody who is gone"
		}
	}
	return ""
}

// TestAPlanNeverAsksForWhatMustBeRefused: whatever the mix and the seed, and however
// requests overtake each other on their way.
func TestAPlanNeverAsksForWhatMustBeRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyLoad(t)
		counts, err := o.count()
		if errors.Is(err, ErrPlan) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		requests := slices.Collect(o.plan(counts))
		if rapid.Bool().Draw(t, "overtaking") {
			requests = rapid.Permutation(requests).Draw(t, "order")
		}
		system, seen := newStrict(o.Graph), map[Kind]int{}
		for _, p := range requests {
			seen[p.kind]++
			if refused := system.do(p); refused != "" {
				t.Fatalf("%+v: %s", p, refused)
			}
		}
		if !maps.Equal(seen, counts) {
			t.Fatalf("planned %v, came to %v", counts, seen)
		}
	})
}

func TestTheSameSeedMakesTheSamePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := anyLoad(t)
		counts, err := o.count()
		if err != nil {
			return
		}
		plan := slices.Collect(o.plan(counts))
		again, err := o.count()
		if err != nil || !slices.Equal(plan, slices.Collect(o.plan(again))) {
			t.Fatalf("not the same twice, %v", err)
		}
		o.Seed++
		if counts, err = o.count(); err == nil && len(plan) > 20 && slices.Equal(plan, slices.Collect(o.plan(counts))) {
			t.Fatal("another seed plans the same")
		}
	})
}

// TestThePartsOfAPlanDoNotDisturbEachOther: when requests are due depends on the
// seed alone, not on what they do.
func TestThePartsOfAPlanDoNotDisturbEachOther(t *testing.T) {
	dues := func(mix Mix) (times []time.Duration) {
		o := openOptions(&target{})
		o.Mix, o.Constant = mix, false
		for p := range o.kinds() {
			times = append(times, p.due)
		}
		return times
	}
	if !slices.Equal(dues(Mix{{Get, 1}}), dues(Mix{{Recommend, 3}, {Add, 1}})) {
		t.Error("another mix moves the times")
	}
}

func TestEveryKindIsNumberedFromZero(t *testing.T) {
	o := openOptions(&target{})
	o.Mix, o.Rate = everything(), 20
	next := map[Kind]int{}
	for p := range o.kinds() {
		if p.n != next[p.kind] {
			t.Fatalf("%s: number %d, want %d", p.kind, p.n, next[p.kind])
		}
		next[p.kind]++
	}
	if len(next) != len(Kinds()) {
		t.Errorf("only %v came", next)
	}
}

// TestWhoIsErasedIsTheEndOfTheNetwork: it says who stays without asking.
func TestWhoIsErasedIsTheEndOfTheNetwork(t *testing.T) {
	o := openOptions(&target{})
	o.Mix, o.Rate, o.Duration = Mix{{Erase, 1}, {Remove, 1}, {Mutual, 1}}, 5, 6*time.Second
	counts, err := o.count()
	if err != nil || counts[Erase] == 0 {
		t.Fatalf("%v, %v", counts, err)
	}
	staying := 50 - counts[Erase]
	var erased []int
	for p := range o.plan(counts) {
		switch {
		case p.kind == Erase:
			erased = append(erased, p.a)
		case p.a >= staying || p.b >= staying:
			t.Errorf("%+v is about somebody who is erased", p)
		}
	}
	if len(erased) != counts[Erase] || erased[0] != staying || erased[len(erased)-1] != 49 {
		t.Errorf("erased %v, %d stay", erased, staying)
	}
}

func TestAPlanThatIsTooLargeSaysByHowMuchAndWhatHelps(t *testing.T) {
	for _, c := range []struct {
		people, friendships int
		mix                 Mix
		says                string
	}{
		{2, 0, Mix{{Get, 1}}, ""},
		{1, 0, Mix{{Get, 1}}, "erases 0 of 1 people"},
		{12, 0, Mix{{Erase, 1}}, "erases 20 of 12 people and two have to stay; raise --users, or lower erase in --mix"},
		{22, 0, Mix{{Erase, 1}}, ""},
		{8, 0, Mix{{Add, 1}}, "room for 14 new friendships and the mix adds 20; raise --users"},
		{10, 0, Mix{{Add, 1}}, ""},
		{10, 3, Mix{{Add, 1}}, "room for 19 new"},
		{50, 19, Mix{{Remove, 1}}, "there are 19 friendships and the mix removes 20; raise --friendships"},
		{50, 20, Mix{{Remove, 1}}, ""},
	} {
		o := openOptions(&target{})
		o.Rate, o.Duration, o.Mix = 2, 10*time.Second, c.mix
		o.Graph, o.IDs = Random(c.people, c.friendships, 1), make([]int64, c.people)
		_, err := o.count()
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%d people, %d friendships, %v: %v", c.people, c.friendships, c.mix, err)
		}
	}
}

// TestAPlanMayBeLeft: the one who sends stops in the middle of it.
func TestAPlanMayBeLeft(t *testing.T) {
	o := openOptions(&target{})
	n := 0
	for range o.plan(map[Kind]int{}) {
		if n++; n == 5 {
			break
		}
	}
	if got := fmt.Sprint(n); got != "5" {
		t.Errorf("left after %s", got)
	}
}
