package loadgen

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is how a run went.
type Report struct{ Phases []Phase }

// Phase is how one part of a run went. Latencies are those of requests that
// succeeded, from sending to the last byte.
type Phase struct {
	Name                     string
	Done                     int
	Took                     time.Duration
	P50, P90, P99, P999, Max time.Duration
	Retries                  int
	Errors                   map[string]int // answers that were no success, by status and kind
}

// summarize puts together what the workers of a phase have measured.
func summarize(name string, took time.Duration, workers []worker) Phase {
	p := Phase{Name: name, Took: took, Errors: map[string]int{}}
	all := newHistogram()
	for i := range workers {
		w := &workers[i]
		all.Merge(w.latency)
		p.Done += w.done
		p.Retries += w.retries
		for reason, n := range w.errors {
			p.Errors[reason] += n
		}
	}
	at := func(percent float64) time.Duration {
		return time.Duration(all.ValueAtQuantile(percent)) * time.Microsecond
	}
	p.P50, p.P90, p.P99, p.P999, p.Max = at(50), at(90), at(99), at(99.9), at(100)
	return p
}

// PerSecond returns how many requests succeeded in a second.
func (p Phase) PerSecond() float64 { return float64(p.Done) / p.Took.Seconds() }

// Write writes the report for people.
func (r Report) Write(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	lines := []string{"\tdone\ttook\tper second\tp50\tp90\tp99\tp99.9\tmax\t"}
	for _, p := range r.Phases {
		lines = append(lines, fmt.Sprintf("%s\t%d\t%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t", p.Name, p.Done,
			p.Took.Round(time.Millisecond), p.PerSecond(), short(p.P50), short(p.P90), short(p.P99), short(p.P999), short(p.Max)))
	}
	if _, err := fmt.Fprintln(t, strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return r.writeErrors(out)
}

// writeErrors writes what was no success, or that all was.
func (r Report) writeErrors(out io.Writer) error {
	none := true
	for _, p := range r.Phases {
		for _, reason := range slices.Sorted(maps.Keys(p.Errors)) {
			none = false
			if _, err := fmt.Fprintf(out, "%s: %d × %s (retries: %d)\n", p.Name, p.Errors[reason], reason, p.Retries); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
		}
	}
	if none {
		_, err := fmt.Fprintln(out, "no errors")
		return err
	}
	return nil
}

// short shows a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.String()
}
