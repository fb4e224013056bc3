package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"ensemble/graph"
)

// Mixed returns n changes after which a network has the friendships that it had
// before, so that it can be measured with and without them: a half connects
// strangers, a half takes that back when some 50,000 more have been made, and one in
// fifty is a new person. It can be applied again and again.
func (t *Town) Mixed(n int) []graph.Change {
	rnd := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // repeatable on purpose
	somebody := t.Somebody(9)
	window := min(50_000, n/4)
	changes := make([]graph.Change, 0, n)
	var open []graph.Change // what was connected; the oldest first
	taken := map[[2]int64]bool{}
	newest := int64(t.Network.People)
	// Each that is open will need a change more, to be taken back.
	for len(changes)+len(open) < n {
		a, b := somebody(), somebody()
		pair := [2]int64{min(a, b), max(a, b)}
		switch {
		case rnd.IntN(50) == 0 || len(changes)+len(open) == n-1:
			newest++
			changes = append(changes, graph.Change{Kind: graph.AddUser, From: newest})
		case len(open) > window || len(open) == window && rnd.IntN(2) == 0:
			old := open[0]
			open = open[1:]
			delete(taken, [2]int64{min(old.From, old.To), max(old.From, old.To)})
			changes = append(changes, graph.Change{Kind: graph.Disconnect, From: old.From, To: old.To})
		case a != b && !taken[pair] && !t.Lists.Friends(a, b):
			taken[pair] = true
			c := graph.Change{Kind: graph.Connect, From: a, To: b}
			changes, open = append(changes, c), append(open, c)
		}
	}
	for _, old := range open {
		changes = append(changes, graph.Change{Kind: graph.Disconnect, From: old.From, To: old.To})
	}
	return changes
}

// Writer applies changes to a graph, again and again, at a steady rate.
type Writer struct {
	Graph   *graph.Graph
	Changes []graph.Change // are as if they never were once all of them are applied
	Rate    int            // changes a second
}

// Written is what a writer has done.
type Written struct {
	Changes int
	Took    time.Duration
	Longest time.Duration // that one call of Apply has taken
}

// add adds another turn.
func (w *Written) add(other Written) {
	w.Changes += other.Changes
	w.Took += other.Took
	w.Longest = max(w.Longest, other.Longest)
}

// atOnce is how many changes a writer applies at once at most: about as many as a
// page of events that has just come in.
const atOnce = 256

// Run writes until the context ends, and then makes as if it had not.
func (w *Writer) Run(ctx context.Context) (Written, error) {
	var done Written
	next := 0
	apply := func(most int) error {
		end := min(next+min(most, atOnce), len(w.Changes))
		began := time.Now()
		_, err := w.Graph.Apply(w.Changes[next:end])
		done.Longest = max(done.Longest, time.Since(began))
		done.Changes += end - next
		if next = end; next == len(w.Changes) {
			next = 0
		}
		return err
	}
	began := time.Now()
	for ctx.Err() == nil {
		// What is due depends on the time alone: a pause is caught up with.
		due := int(time.Since(began).Seconds() * float64(w.Rate))
		if due <= done.Changes {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		if err := apply(due - done.Changes); err != nil {
			return done, err
		}
	}
	// Nobody waits for the rest, which is no part of what was measured.
	done.Took = time.Since(began)
	written := done
	for next > 0 {
		if err := apply(atOnce); err != nil {
			return written, err
		}
	}
	return written, nil
}

// During writes while do does something.
func (w *Writer) During(ctx context.Context, do func() error) (Written, error) {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	type result struct {
		written Written
		err     error
	}
	ended := make(chan result, 1)
	go func() {
		written, err := w.Run(writing)
		ended <- result{written, err}
	}()
	err := do()
	stop()
	r := <-ended // the graph is as it was
	if err == nil {
		err = r.err
	}
	return r.written, err
}

// Readers is what a reader has met by turns.
type Readers struct {
	Alone, Writing []time.Duration // of each question for the ten best
	Written        Written
}

// Readers asks for the ten best candidates of people, by turns while nobody writes
// and while a writer does; in both it asks about the same people.
func (t *Town) Readers(ctx context.Context, w *Writer, turns, each int) (r Readers, err error) {
	question := t.Best(10).Graph
	for turn := range uint64(turns) {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		r.Alone = append(r.Alone, t.Ask(turn, each, question)...)
		written, err := w.During(ctx, func() error {
			r.Writing = append(r.Writing, t.Ask(turn, each, question)...)
			return nil
		})
		if err != nil {
			return r, err
		}
		r.Written.add(written)
	}
	return r, nil
}
