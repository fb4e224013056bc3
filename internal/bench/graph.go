package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"ensemble/graph"
)

// Graph measures the graph as a library on a generated network. A snapshot goes
// into a folder and is removed again. A row whose answers differ from the plain
// implementation's is void.
//
// Queries are asked of the graph as it is after a restart, which has numbered people by
// how many friends they have; a row says what that is worth.
func Graph(ctx context.Context, dir string, size Size) ([]Row, error) {
	size = size.Defaults()
	town, err := NewTown(ctx, size.People)
	if err != nil {
		return nil, err
	}
	// In this order: whoever writes comes last, as lists are in another order then.
	m := graphMeasure{Town: town, size: size, dir: dir}
	rows := []Row{m.network(), m.building(), m.memory()}
	m.built = m.Graph
	if m.Graph, err = reread(m.built, dir); err != nil {
		return nil, err
	}
	for _, measure := range []func(context.Context) ([]Row, error){
		m.ten, m.together, m.everybody, m.mutual, m.allocations, m.readers, m.snapshots,
	} {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		more, err := measure(ctx)
		if err != nil {
			return rows, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// graphMeasure is what the rows of the graph have in common.
type graphMeasure struct {
	*Town  // with the graph after a restart
	built  *graph.Graph
	size   Size
	dir    string
	writer *Writer // once it is needed
}

// network says what was generated.
func (m *graphMeasure) network() Row {
	return Row{
		What: "the network",
		Measured: fmt.Sprintf("%d people, %d friendships, %.0f %% of them within communities",
			m.Network.People, len(m.Network.Pairs), 100*m.Network.Inside()),
	}
}

// building shows how fast the graph was built.
func (m *graphMeasure) building() Row {
	return Row{
		What: "building, friendships in random order, one thread", Target: "≥ 7 M changes/s at 1 M people",
		Measured: fmt.Sprintf("%.1f M changes/s", float64(m.Network.People+len(m.Network.Pairs))/m.Built.Seconds()/1e6),
	}
}

// memory shows what the graph takes.
func (m *graphMeasure) memory() Row {
	s := m.Graph.Stats()
	return Row{
		What: "memory for a friendship, beside 40 B for a person", Target: "≤ 10 B",
		Measured: fmt.Sprintf("%.1f B", float64(s.Bytes-40*int64(s.People))/float64(s.Friendships)),
	}
}

// compared says how many of the questions are asked of the plain implementation too,
// which is slow.
func (m *graphMeasure) compared() int { return max(m.size.Queries/10, 1) }

// compare asks the graph and the plain implementation by turns, and their answers
// each other's. The percentiles are of other people, and more of them.
func (m *graphMeasure) compare(what, target string, q Question, times []time.Duration) Row {
	both := m.Turns(m.compared(), q.Graph, q.Plain)
	row := Row{
		What: what, Target: target, Measured: marks(times), Baseline: marks(both[1]) + " plain Go",
		Ratio: sum(both[1]).Seconds() / sum(both[0]).Seconds(),
	}
	// Not while anything is timed: comparing would warm what is asked about next.
	somebody := m.Somebody(0)
	for range m.compared() {
		if id := somebody(); !q.Same(id) {
			row.Void = fmt.Sprintf("the answers about %d differ", id)
		}
	}
	return row
}

// ten measures the ten best candidates, against the plain implementation and
// against reading the lists only.
func (m *graphMeasure) ten(context.Context) ([]Row, error) {
	q := m.Best(10)
	var all int32
	built := (&Town{Network: m.Network, Graph: m.built, Plain: m.Plain}).Best(10)
	both := m.Turns(m.size.Queries, q.Graph, func(id int64) { all += m.Lists.Read(id) }, built.Graph)
	runtime.KeepAlive(all) // or nothing would need to be read
	// The paths of the same people, whom the turns have named.
	paths := 0
	for turn := range turns {
		paths += m.Paths(uint64(turn), max(m.size.Queries/turns, 1))
	}
	reading := Row{
		What: "the same against reading the lists only", Target: "≥ 0.7x at 1 M people; ≥ 0.9 / 0.5 G paths/s",
		Measured: pathsPerSecond(paths, both[0]), Baseline: pathsPerSecond(paths, both[1]),
		Ratio: sum(both[1]).Seconds() / sum(both[0]).Seconds(),
	}
	before := Row{
		What:     "the ten best before and after a restart",
		Measured: marks(both[0]), Baseline: marks(both[2]) + " of the graph as it was built",
		Ratio: sum(both[2]).Seconds() / sum(both[0]).Seconds(),
	}
	row := m.compare("the ten best", "≥ 6x; at 100 k / 1 M people p50 ≤ 20 / 33 µs, p99 ≤ 200 / 340 µs", q, both[0])
	return []Row{row, reading, before}, nil
}

// pathsPerSecond shows over how many paths was counted in a second.
func pathsPerSecond(paths int, times []time.Duration) string {
	return fmt.Sprintf("%.2f G paths/s", float64(paths)/sum(times).Seconds()/1e9)
}

// together measures several goroutines at once, by turns with one.
func (m *graphMeasure) together(ctx context.Context) ([]Row, error) {
	most, each := runtime.GOMAXPROCS(0), max(m.size.Queries/turns, 1)
	took := make([]time.Duration, most)
	for range turns {
		for n := range took {
			once, err := m.Together(ctx, n+1, each)
			if err != nil {
				return nil, err
			}
			took[n] += once
		}
	}
	// Goroutines beyond the cores would only wait for each other.
	row := Row{
		What: fmt.Sprintf("the ten best, by 1 to %d goroutines", most), Target: "linear",
		Baseline: perSecond(turns*each, took[0]) + " by one",
		Ratio:    ratio(most*turns*each, took[most-1], turns*each, took[0]),
	}
	for n, d := range took {
		if n > 0 {
			row.Measured += ", "
		}
		row.Measured += perSecond((n+1)*turns*each, d)
	}
	return []Row{row}, nil
}

// everybody measures the ranking of all candidates.
func (m *graphMeasure) everybody(context.Context) ([]Row, error) {
	q := m.Best(0)
	return []Row{m.compare("all candidates, ranked", "p50 ≤ 150 µs, p99 ≤ 1.5 ms at 1 M people", q, m.Ask(turns, m.size.Queries, q.Graph))}, nil
}

// mutual measures the friends that two share.
func (m *graphMeasure) mutual(context.Context) ([]Row, error) {
	q := m.Mutual()
	return []Row{m.compare("mutual friends", "p50 ≤ 1.2 µs, p99 ≤ 6 µs at 1 M people", q, m.Ask(turns, m.size.Queries, q.Graph))}, nil
}

// allocations counts the allocations of each kind of question.
func (m *graphMeasure) allocations(context.Context) ([]Row, error) {
	n := m.compared()
	return []Row{{
		What: "allocations of the ten best, all, mutual friends", Target: "0",
		Measured: fmt.Sprintf("%.2g, %.2g, %.2g",
			m.Allocations(n, m.Best(10).Graph), m.Allocations(n, m.Best(0).Graph), m.Allocations(n, m.Mutual().Graph)),
	}}, nil
}

// write returns the writer of the rows that have one.
func (m *graphMeasure) write() *Writer {
	if m.writer == nil {
		// A mix is made once, as making it takes longer than applying it.
		const rate = 1_000_000
		m.writer = &Writer{Graph: m.Graph, Changes: m.Mixed(min(10*m.size.People, 1_000_000)), Rate: rate}
	}
	return m.writer
}

// readers measures what a writer costs who reads.
func (m *graphMeasure) readers(ctx context.Context) ([]Row, error) {
	w := m.write()
	r, err := m.Readers(ctx, w, turns, max(2*m.size.Queries/turns, 1))
	if err != nil {
		return nil, err
	}
	return []Row{{
		What:     fmt.Sprintf("the ten best while %.2g M mixed changes/s are applied", float64(r.Written.Changes)/r.Written.Took.Seconds()/1e6),
		Target:   "p99 ≥ 0.91x at 1 M/s",
		Measured: marks(r.Writing), Baseline: marks(r.Alone) + " alone, by turns",
		Ratio: quantile(r.Alone, 0.99).Seconds() / quantile(r.Writing, 0.99).Seconds(),
	}}, nil
}

// snapshots measures writing and reading the graph.
func (m *graphMeasure) snapshots(ctx context.Context) ([]Row, error) {
	const times = 3
	s, err := m.Snapshots(ctx, m.dir, m.write(), times)
	if err != nil {
		return nil, err
	}
	rate := func(took time.Duration) string {
		return fmt.Sprintf("%.0f MB in %v, %.2f GB/s", float64(s.Bytes)/1e6, short(took), float64(s.Bytes)/took.Seconds()/1e9)
	}
	return []Row{
		{What: "writing a snapshot to a file, before fsync", Target: "≥ 0.9 GB/s at 1 M people", Measured: rate(s.Write)},
		{
			What: fmt.Sprintf("longest Apply of %d changes meanwhile, at 1 M/s", atOnce), Target: "≤ 5 ms at 1 M people",
			Measured: fmt.Sprintf("%v; without a snapshot, for as long, %v", short(s.Written.Longest), short(s.Quiet.Longest)),
		},
		{What: "reading the snapshot", Target: "≤ 0.8 s at 1 M people", Measured: rate(s.Read), Void: s.Wrong},
	}, nil
}
