package bench

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"ensemble/graph"
)

// Town is a generated network in each form that is measured.
type Town struct {
	Network *Network
	Graph   *graph.Graph
	Lists   *Lists        // to be read without counting, and for what has to be known of the network
	Plain   *PlainGraph   // for one goroutine
	Built   time.Duration // within Apply
}

// NewTown generates a network of so many people, and builds the graph from its
// changes, in one goroutine. Built says how long the graph took for that.
func NewTown(ctx context.Context, people int) (*Town, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &Town{Network: Generated(people), Graph: graph.New()}
	runtime.GC() // what is built next shall not pay for what was before
	err := t.Network.Changes(func(part []graph.Change) error {
		began := time.Now()
		_, err := t.Graph.Apply(part)
		t.Built += time.Since(began)
		if err != nil {
			return err
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	// Not before: the graph shall be built on a machine that has its memory free.
	t.Lists = NewLists(people, t.Network.Pairs)
	t.Plain = NewPlainGraph(t.Lists)
	runtime.GC()
	return t, nil
}

// Somebody returns a function that names people, each as likely as the other; with
// the same seed the same ones.
func (t *Town) Somebody(seed uint64) func() int64 {
	rnd := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // repeatable on purpose
	return func() int64 { return rnd.Int64N(int64(t.Network.People)) + 1 }
}

// Ask asks a question about n people and returns how long each answer took.
func (t *Town) Ask(seed uint64, n int, question func(id int64)) []time.Duration {
	times := make([]time.Duration, n)
	somebody := t.Somebody(seed)
	for i := range times {
		// Whom to ask about is found before the clock is looked at.
		id := somebody()
		began := time.Now()
		question(id)
		times[i] = time.Since(began)
	}
	return times
}

// turns is how often those take turns that are compared.
const turns = 10

// Turns asks several questions about the same n people, by turns, so that all of them
// meet the same machine. It returns how long the answers to each took.
func (t *Town) Turns(n int, questions ...func(id int64)) [][]time.Duration {
	times := make([][]time.Duration, len(questions))
	for turn := range turns {
		for i, question := range questions {
			times[i] = append(times[i], t.Ask(uint64(turn), max(n/turns, 1), question)...)
		}
	}
	return times
}

// Paths returns over how many paths the recommendations of those people are counted
// whom Ask asks about.
func (t *Town) Paths(seed uint64, n int) (paths int) {
	somebody := t.Somebody(seed)
	for range n {
		paths += t.Lists.Paths(somebody())
	}
	return paths
}

// Question is one kind of question, to the graph and to what it is compared with.
// Each keeps its last answer. It is for one goroutine.
type Question struct {
	Graph, Plain func(id int64)
	same         func() bool
}

// Same asks both about somebody and says whether they answer the same.
func (q Question) Same(id int64) bool {
	q.Graph(id)
	q.Plain(id)
	return q.same()
}

// Best is the question for the best candidates, for all of them if limit is 0.
func (t *Town) Best(limit int) Question {
	var ours, theirs []graph.Ranked
	return Question{
		Graph: func(id int64) { ours, _ = t.Graph.Recommend(ours[:0], id, limit) },
		Plain: func(id int64) { theirs = t.Plain.Recommend(id, limit) },
		same:  func() bool { return slices.Equal(ours, theirs) },
	}
}

// Mutual is the question for the friends whom somebody shares with somebody else,
// who is as far away as two people are who were picked at random.
func (t *Town) Mutual() Question {
	var ours, theirs []int64
	// Somebody else for everybody, and the same one every time.
	other := func(id int64) int64 { return id*2_654_435_761%int64(t.Network.People) + 1 }
	return Question{
		Graph: func(id int64) { ours, _ = t.Graph.Mutual(ours[:0], id, other(id)) },
		Plain: func(id int64) {
			if theirs = nil; id != other(id) { // nobody shares friends with themself
				theirs = t.Plain.Mutual(id, other(id))
			}
		},
		same: func() bool { return slices.Equal(ours, theirs) },
	}
}

// Allocations returns how many allocations a question to the graph makes, on
// average. All n are asked before, so that answers have room: what is made once, and
// a list that grows to the longest answer, is the asker's.
func (t *Town) Allocations(n int, question func(id int64)) float64 {
	t.Ask(1, n, question)
	// Of all goroutines: so nobody else may be at work.
	var before, after runtime.MemStats
	somebody := t.Somebody(1)
	runtime.ReadMemStats(&before)
	for range n {
		question(somebody())
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// Together asks the graph for the ten best candidates of so many people from each of
// several goroutines at once, and returns how long all took.
func (t *Town) Together(ctx context.Context, goroutines, each int) (time.Duration, error) {
	return workers(ctx, goroutines, goroutines*each, func(worker int) func(int64) error {
		question, somebody := t.Best(10).Graph, t.Somebody(uint64(worker))
		return func(int64) error {
			question(somebody())
			return nil
		}
	})
}
