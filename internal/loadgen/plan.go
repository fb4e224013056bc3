package loadgen

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"
)

// ErrPlan means that a network has too little for what a load is to do with it.
var ErrPlan = errors.New("the network is too small for the load")

// planned is one request of an open load, known before the run.
type planned struct {
	kind Kind
	due  time.Duration // from the start
	n    int           // which of its kind
	a, b int           // indices of people
}

// plan yields every request of an open load in order, the same for the same seed:
// when it is due, what it does, and to whom. Commands are planned so that each
// succeeds whatever is under way at the same time: nobody is made a friend twice,
// what is removed was loaded before, and those who are erased, the last people of
// the network, are asked for nothing else.
func (o *OpenOptions) plan(counts map[Kind]int) iter.Seq[planned] {
	return func(yield func(planned) bool) {
		people := rand.New(rand.NewPCG(o.Seed, 3)) //nolint:gosec // repeatable on purpose
		staying := len(o.IDs) - counts[Erase]
		lasting, taken := o.lasting(staying), o.pairs(counts)
		for p := range o.kinds() {
			switch p.kind {
			case Create:
			case Add:
				p.a, p.b = fresh(people, staying, taken)
			case Remove:
				p.a, p.b = lasting[p.n][0], lasting[p.n][1]
			case Erase:
				p.a = staying + p.n
			default:
				p.a, p.b = people.IntN(staying), people.IntN(staying)
			}
			if !yield(p) {
				return
			}
		}
	}
}

// lasting returns the friendships that no erasure ends.
func (o *OpenOptions) lasting(staying int) (friendships [][2]int) {
	for _, p := range o.Graph.Friendships {
		if max(p[0], p[1]) < staying {
			friendships = append(friendships, p)
		}
	}
	return friendships
}

// kinds yields when which kind of request is due.
func (o *OpenOptions) kinds() iter.Seq[planned] {
	return func(yield func(planned) bool) {
		kinds := rand.New(rand.NewPCG(o.Seed, 2)) //nolint:gosec // repeatable on purpose
		count, total := map[Kind]int{}, o.Mix.total()
		for due := range o.times(o.Seed) {
			kind := o.Mix.draw(kinds.IntN(total))
			if !yield(planned{kind: kind, due: due, n: count[kind]}) {
				return
			}
			count[kind]++
		}
	}
}

// pairs returns the pairs that are friends before the load, if it adds any.
func (o *OpenOptions) pairs(counts map[Kind]int) map[[2]int]struct{} {
	taken := map[[2]int]struct{}{}
	if counts[Add] == 0 {
		return taken
	}
	for _, p := range o.Graph.Friendships {
		taken[[2]int{min(p[0], p[1]), max(p[0], p[1])}] = struct{}{}
	}
	return taken
}

// fresh draws two people who were never friends, and notes that they are now.
func fresh(rnd *rand.Rand, people int, taken map[[2]int]struct{}) (a, b int) {
	for {
		a, b = rnd.IntN(people), rnd.IntN(people)
		pair := [2]int{min(a, b), max(a, b)}
		if _, known := taken[pair]; known || a == b {
			continue
		}
		taken[pair] = struct{}{}
		return a, b
	}
}

// count returns how many requests of each kind there will be, or why the plan can't
// be carried out. At most half of all pairs become friends, so that drawing two
// strangers takes a few attempts.
//
// Errors: [ErrPlan].
func (o *OpenOptions) count() (counts map[Kind]int, err error) {
	counts = map[Kind]int{}
	for p := range o.kinds() {
		counts[p.kind]++
	}
	staying := len(o.IDs) - counts[Erase]
	if staying < 2 {
		return nil, fmt.Errorf("%w: the mix erases %d of %d people and two have to stay; raise --users, or lower erase in --mix",
			ErrPlan, counts[Erase], len(o.IDs))
	}
	lasting := len(o.lasting(staying))
	if room := staying*(staying-1)/4 - lasting; counts[Add] > room {
		return nil, fmt.Errorf("%w: there is room for %d new friendships and the mix adds %d; raise --users, or lower --rate, --duration or add in --mix",
			ErrPlan, max(room, 0), counts[Add])
	}
	if counts[Remove] > lasting {
		return nil, fmt.Errorf("%w: there are %d friendships and the mix removes %d; raise --friendships, or lower --rate, --duration or remove in --mix",
			ErrPlan, lasting, counts[Remove])
	}
	return counts, nil
}
