package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plainGraph is the graph as it would be written without any thought of speed: a map for
// each list, a count for each person. It is fast enough to be an oracle for graphs of
// thousands.
type plainGraph struct {
	numbers map[int64]int
	people  []plainPerson
	counts  []int
}

type plainPerson struct {
	id       int64
	presence presence
	friends  map[int]directions // by number
}

// directions says who of two asked the other.
type directions struct{ asked, wasAsked bool }

func newPlainGraph(changes ...Change) *plainGraph {
	p := &plainGraph{numbers: map[int64]int{}}
	p.apply(changes...)
	return p
}

func (p *plainGraph) number(id int64) int {
	n, ok := p.numbers[id]
	if !ok {
		n = len(p.people)
		p.numbers[id] = n
		p.people = append(p.people, plainPerson{id: id, friends: map[int]directions{}})
		p.counts = append(p.counts, 0)
	}
	return n
}

// apply makes changes and returns how many changed anything.
func (p *plainGraph) apply(changes ...Change) (changed int) {
	for _, c := range changes {
		if p.one(c) {
			changed++
		}
	}
	return changed
}

func (p *plainGraph) one(c Change) bool {
	from := p.number(c.From)
	switch c.Kind {
	case AddUser, RemoveUser:
		to := map[Kind]presence{AddUser: known, RemoveUser: erased}[c.Kind]
		if p.people[from].presence >= to {
			return false
		}
		p.people[from].presence = to
		return true
	case Connect, Disconnect:
	}
	to, want := p.number(c.To), c.Kind == Connect
	if from == to {
		return false
	}
	f, b := p.people[from].friends[to], p.people[to].friends[from]
	if f.asked == want {
		return false
	}
	f.asked, b.wasAsked = want, want
	if f.asked || f.wasAsked {
		p.people[from].friends[to], p.people[to].friends[from] = f, b
	} else {
		delete(p.people[from].friends, to)
		delete(p.people[to].friends, from)
	}
	return true
}

// there returns the number of somebody who is there.
func (p *plainGraph) there(id int64) (int, bool) {
	n, ok := p.numbers[id]
	return n, ok && p.people[n].presence == known
}

// rank answers a query: count, leave out, sort, cut.
func (p *plainGraph) rank(id int64, q Query) (ranked []Ranked) {
	me, ok := p.there(id)
	if !ok {
		return nil
	}
	clear(p.counts)
	for friend := range p.people[me].friends {
		if p.people[friend].presence == known {
			for other := range p.people[friend].friends {
				p.counts[other]++
			}
		}
	}
	p.counts[me] = 0
	for friend := range p.people[me].friends {
		p.counts[friend] = 0
	}
	for n, weight := range p.counts {
		r := Ranked{p.people[n].id, weight}
		if weight >= max(1, q.MinWeight) && p.people[n].presence == known && (q.After == Ranked{} || compare(r, q.After) > 0) {
			ranked = append(ranked, r)
		}
	}
	slices.SortFunc(ranked, compare)
	if q.Limit > 0 && q.Limit < len(ranked) {
		ranked = ranked[:q.Limit]
	}
	return ranked
}

func (p *plainGraph) friends(id int64) (ids []int64) {
	n, ok := p.there(id)
	if !ok {
		return nil
	}
	for friend := range p.people[n].friends {
		if p.people[friend].presence == known {
			ids = append(ids, p.people[friend].id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (p *plainGraph) mutual(a, b int64) (ids []int64) {
	theirs := p.friends(b)
	for _, id := range p.friends(a) {
		if _, shared := slices.BinarySearch(theirs, id); shared && a != b {
			ids = append(ids, id)
		}
	}
	return ids
}

// stats counts everything but the bytes.
func (p *plainGraph) stats() (s Stats) {
	for _, person := range p.people {
		s.Friendships += len(person.friends)
		switch person.presence {
		case unknown:
			s.Stubs++
		case known:
			s.People++
		case erased:
			s.Erased++
		}
	}
	s.Friendships /= 2
	return s
}

// crowd draws a history in which some people have many friends and most have few.
type crowd struct {
	rnd     *rand.Rand
	ids     []int64
	upTo    []float64 // sums of how popular everybody is
	changes []Change
}

func newCrowd(seed uint64, people int) *crowd {
	c := &crowd{rnd: rand.New(rand.NewPCG(seed, 5))}
	step := []int64{1, 1_000_003, math.MaxInt64 / int64(people+1)}[seed%3]
	sum := 0.0
	for n := range people {
		sum += math.Exp(1.2 * c.rnd.NormFloat64())
		c.ids, c.upTo = append(c.ids, int64(n+1)*step), append(c.upTo, sum)
	}
	c.rnd.Shuffle(people, func(i, j int) { c.ids[i], c.ids[j] = c.ids[j], c.ids[i] })
	return c
}

// somebody returns a person; popular ones turn up more often.
func (c *crowd) somebody() int64 {
	at, _ := slices.BinarySearch(c.upTo, c.rnd.Float64()*c.upTo[len(c.upTo)-1])
	return c.ids[at]
}

// next draws what happens next: mostly a new friendship, else something that has to do
// with what happened before.
func (c *crowd) next() Change {
	change := Change{Connect, c.somebody(), c.somebody()}
	if dice := c.rnd.IntN(100); dice < 40 && len(c.changes) > 0 {
		change = c.changes[c.rnd.IntN(len(c.changes))]
		switch {
		case dice < 25 && change.Kind <= Disconnect:
			change.Kind = Disconnect
		case dice < 35 && change.Kind <= Disconnect:
			change.From, change.To = change.To, change.From
		} // else the same once more
	} else if dice < 55 {
		change = Change{Kind: AddUser, From: c.ids[c.rnd.IntN(len(c.ids))]}
	} else if dice == 99 && c.rnd.IntN(3) == 0 {
		change = Change{Kind: RemoveUser, From: c.somebody()}
	}
	c.changes = append(c.changes, change)
	return change
}

// draw returns so many changes.
func (c *crowd) draw(n int) (changes []Change) {
	for range n {
		changes = append(changes, c.next())
	}
	return changes
}

// anyT is what both testing.T and rapid.T can do.
type anyT interface {
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// holdAgainst compares every answer of a graph with the plain one's.
func holdAgainst(t anyT, p *plainGraph, g *Graph, rnd *rand.Rand) {
	stats := g.Stats()
	stats.Bytes = 0
	same(t, "stats", stats, p.stats())
	for _, person := range p.people {
		id, other := person.id, p.people[rnd.IntN(len(p.people))].id
		holdRanking(t, p, g, id, rnd)
		sameList(t, friends(t, g, id), p.friends(id), "friends of %d", id)
		sameList(t, mutual(t, g, id, other), p.mutual(id, other), "mutual of %d and %d", id, other)
	}
}

// sameList compares answers. It formats nothing as long as they are the same.
func sameList[T comparable](t anyT, got, want []T, format string, args ...any) {
	if !slices.Equal(got, want) {
		same(t, fmt.Sprintf(format, args...), got, want)
	}
}

// holdRanking compares what one person may ask.
func holdRanking(t anyT, p *plainGraph, g *Graph, id int64, rnd *rand.Rand) {
	all := p.rank(id, Query{})
	queries := []Query{{}, {Limit: 1}, {Limit: 10}, {Limit: 64}, {Limit: 65}, {Limit: len(all) + 1}, {Limit: math.MaxInt}}
	queries = append(queries, Query{MinWeight: rnd.IntN(9), Limit: rnd.IntN(20)})
	for range min(3, len(all)) {
		after := all[rnd.IntN(len(all))]
		after.ID += int64(rnd.IntN(3)) - 1
		queries = append(queries, Query{Limit: rnd.IntN(70), After: after, MinWeight: after.Weight - rnd.IntN(3)})
	}
	for _, q := range queries {
		got, err := g.Rank(nil, id, q)
		if err != nil {
			t.Fatal(err)
		}
		sameList(t, got, p.rank(id, q), "%+v for %d", q, id)
	}
}

// soaking is how often more than usual random histories are tried.
func soaking() int {
	if os.Getenv("ENSEMBLE_SOAK") != "" {
		return 20
	}
	return 1
}

func TestLargerHistoriesAnswerAsThePlainGraphDoes(t *testing.T) {
	for seed := range uint64(3 * soaking()) {
		c, g, p := newCrowd(seed, 300), New(), newPlainGraph()
		for range 4 {
			batch := c.draw(2500)
			if got, want := must(t, g, batch...), p.apply(batch...); got != want {
				t.Fatalf("seed %d: %d changed, want %d", seed, got, want)
			}
			holdAgainst(t, p, g, c.rnd)
			tiled(t, g)
		}
	}
}

func TestCrowdsOfAnySizeAnswerAsThePlainGraphDoes(t *testing.T) {
	for range soaking() {
		rapid.Check(t, func(t *rapid.T) {
			c := newCrowd(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 120).Draw(t, "people"))
			g, p := New(), newPlainGraph()
			for range rapid.IntRange(1, 3).Draw(t, "batches") {
				batch := c.draw(rapid.IntRange(1, 2000).Draw(t, "changes"))
				if got, want := must(t, g, batch...), p.apply(batch...); got != want {
					t.Fatalf("%d changed, want %d", got, want)
				}
				holdAgainst(t, p, g, c.rnd)
				tiled(t, g)
			}
		})
	}
}
