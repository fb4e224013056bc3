package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"ensemble/graph"
)

// Graph measures the graph as a library, in one goroutine, on a generated network.
// A row whose answers differ from the plain implementation's is void.
func Graph(ctx context.Context, size Size) ([]Row, error) {
	size = size.Defaults()
	pairs := Generated(size.People)
	changes := Changes(size.People, pairs)
	before := heap()
	g := graph.New()
	began := time.Now()
	for part := range slices.Chunk(changes, 1000) {
		if _, err := g.Apply(part); err != nil {
			return nil, err
		}
	}
	built := time.Since(began)
	used := heap() - before
	runtime.KeepAlive(changes) // else they would count as given back
	m := graphMeasure{g: g, size: size, used: used, plain: NewPlainGraph(size.People, pairs)}
	rows := []Row{
		{
			What: "building, one thread", Target: "≥ 7 M changes/s",
			Measured: fmt.Sprintf("%.1f M changes/s", float64(len(changes))/built.Seconds()/1e6),
		},
		m.memory(),
	}
	for _, measure := range []func() Row{m.best, m.reading, m.everybody, m.mutual} {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		rows = append(rows, measure())
	}
	return rows, nil
}

// heap returns how much memory is used, after what is not was given back.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// graphMeasure is what the rows of the graph have in common.
type graphMeasure struct {
	g     *graph.Graph
	plain *PlainGraph
	size  Size
	used  int64 // bytes

	paths int           // two-hop edges that all questions walk together
	ten   time.Duration // for the ten best of everybody who is asked about
}

// memory measures what the graph takes. The changes were made before.
func (m *graphMeasure) memory() Row {
	s := m.g.Stats()
	bytes := float64(m.used) - 40*float64(s.People)
	return Row{
		What: "memory for a friendship, beside 40 B for a person", Target: "≤ 10 B",
		Measured: fmt.Sprintf("%.1f B", bytes/float64(s.Friendships)),
	}
}

// ask asks about random people and returns how long each answer took.
func (m *graphMeasure) ask(question func(id int64)) []time.Duration {
	rnd := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // repeatable on purpose
	times := make([]time.Duration, m.size.Queries)
	for i := range times {
		id := rnd.Int64N(int64(m.size.People)) + 1
		began := time.Now()
		question(id)
		times[i] = time.Since(began)
	}
	return times
}

// compare asks the graph and the plain implementation the same, and their answers
// each other's.
func (m *graphMeasure) compare(what, target string, limit int) (Row, []time.Duration) {
	var dst []graph.Ranked
	question := func(id int64) { dst, _ = m.g.Recommend(dst[:0], id, limit) }
	m.ask(question) // warm
	times := m.ask(question)
	plain := m.ask(func(id int64) { m.plain.Recommend(id, limit) })
	row := Row{
		What: what, Target: target, Measured: marks(times), Baseline: marks(plain) + " plain Go",
		Ratio: sum(plain).Seconds() / sum(times).Seconds(),
	}
	m.ask(func(id int64) {
		if question(id); !slices.Equal(dst, m.plain.Recommend(id, limit)) {
			row.Void = fmt.Sprintf("the answers about %d differ", id)
		}
	})
	return row, times
}

// best measures the ten best candidates.
func (m *graphMeasure) best() Row {
	row, times := m.compare("the ten best", "≥ 6x", 10)
	m.ask(func(id int64) {
		paths, _ := m.plain.Read(id)
		m.paths += paths
	})
	m.ten = sum(times)
	row.Measured += fmt.Sprintf(", %.2f G paths/s", float64(m.paths)/m.ten.Seconds()/1e9)
	return row
}

// reading compares the ten best with reading the lists and doing nothing with them.
func (m *graphMeasure) reading() Row {
	var all int32
	times := m.ask(func(id int64) {
		_, n := m.plain.Read(id)
		all += n
	})
	runtime.KeepAlive(all)
	only := sum(times)
	return Row{
		What: "the same against reading the lists only", Target: "≥ 0.7x on 1 M people",
		Measured: fmt.Sprintf("%.2f G paths/s", float64(m.paths)/m.ten.Seconds()/1e9),
		Baseline: fmt.Sprintf("%.2f G paths/s", float64(m.paths)/only.Seconds()/1e9),
		Ratio:    only.Seconds() / m.ten.Seconds(),
	}
}

// everybody measures the ranking of all candidates.
func (m *graphMeasure) everybody() Row {
	row, _ := m.compare("all candidates, ranked", "p50 ≤ 150 µs, p99 ≤ 1.5 ms on 1 M people", 0)
	return row
}

// mutual measures the friends that two share.
func (m *graphMeasure) mutual() Row {
	var dst []int64
	other := func(id int64) int64 { return id%int64(m.size.People) + 1 }
	question := func(id int64) { dst, _ = m.g.Mutual(dst[:0], id, other(id)) }
	m.ask(question)
	times := m.ask(question)
	plain := m.ask(func(id int64) { m.plain.Mutual(id, other(id)) })
	row := Row{
		What: "mutual friends", Target: "p50 ≤ 1.2 µs, p99 ≤ 6 µs", Measured: marks(times),
		Baseline: marks(plain) + " plain Go", Ratio: sum(plain).Seconds() / sum(times).Seconds(),
	}
	m.ask(func(id int64) {
		if question(id); !slices.Equal(dst, m.plain.Mutual(id, other(id))) {
			row.Void = fmt.Sprintf("the answers about %d differ", id)
		}
	})
	return row
}
