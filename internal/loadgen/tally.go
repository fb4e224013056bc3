package loadgen

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// outcome is how one request went; times are from the start of the run.
type outcome struct {
	due, sent, answered time.Duration
	measured            bool // not part of the ramp or the warm-up
	err                 error
}

// tally gathers outcomes. It is safe for concurrent use.
type tally struct {
	mu       sync.Mutex
	kinds    map[Kind]*measures
	all      *measures
	answered int           // measured or not
	last     time.Duration // when the last measured request was answered
}

// measures are those of some requests.
type measures struct {
	due, sent *hdrhistogram.Histogram // microseconds until the answer, since it was due and since it was sent
	done      int                     // measured and successful
	errors    map[string]int          // all that were not, measured or not
}

// newMeasures returns measures of nothing.
func newMeasures() *measures {
	return &measures{due: newHistogram(), sent: newHistogram(), errors: map[string]int{}}
}

// newTally returns a tally for the kinds of a mix.
func newTally(mix Mix) *tally {
	t := &tally{kinds: map[Kind]*measures{}, all: newMeasures()}
	for _, s := range mix {
		t.kinds[s.Kind] = newMeasures()
	}
	return t
}

// note takes an outcome in.
func (t *tally) note(kind Kind, o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered++
	for _, m := range []*measures{t.kinds[kind], t.all} {
		m.note(o)
	}
	if o.measured {
		t.last = max(t.last, o.answered)
	}
}

// note takes an outcome in. Only successes have a latency: a refusal is quick, and
// would make a failing target look fast.
func (m *measures) note(o outcome) {
	if o.err != nil {
		m.errors[reason(o.err)]++
		return
	}
	if !o.measured {
		return
	}
	m.done++
	// A latency beyond the longest is kept as the longest, so this can't fail.
	_ = m.due.RecordValue(min((o.answered - o.due).Microseconds(), longest))
	_ = m.sent.RecordValue(min((o.answered - o.sent).Microseconds(), longest))
}

// progress returns what is known so far, and how many were answered.
func (t *tally) progress() (OpenProgress, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := latencies(t.all.due)
	p := OpenProgress{P50: l.P50, P99: l.P99, Worst: l.Max}
	for _, n := range t.all.errors {
		p.Errors += n
	}
	return p, t.answered
}

// report sums up.
func (t *tally) report(o OpenOptions) OpenReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := OpenReport{Schedule: o.Schedule, Mix: o.Mix.String(), InFlight: o.InFlight, All: t.all.report("all")}
	for _, s := range o.Mix {
		if s.Weight > 0 {
			r.Kinds = append(r.Kinds, t.kinds[s.Kind].report(string(s.Kind)))
		}
	}
	from, to := o.measured()
	// A target that answers late has worked longer than it was asked for.
	if took := max(to, t.last) - from; took > 0 {
		r.Reached = float64(t.all.done) / took.Seconds()
	}
	return r
}

// report sums up.
func (m *measures) report(name string) OpenKind {
	return OpenKind{Kind: name, Done: m.done, FromDue: latencies(m.due), FromSent: latencies(m.sent), Errors: m.errors}
}

// Latencies are the usual marks of a distribution.
type Latencies struct{ P50, P90, P99, P999, Max time.Duration }

// latencies reads the marks from a histogram of microseconds.
func latencies(h *hdrhistogram.Histogram) Latencies {
	at := func(percent float64) time.Duration {
		return time.Duration(h.ValueAtQuantile(percent)) * time.Microsecond
	}
	return Latencies{at(50), at(90), at(99), at(99.9), at(100)}
}
