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
	Latencies

	Name    string
	Done    int
	Took    time.Duration
	Retries int
	Errors  map[string]int // answers that were no success, by status and kind
}

// Void returns why the measures mean nothing; none if they do. What was retried
// and then succeeded had a latency of its own that no mark shows.
func (r Report) Void() (reasons []string) {
	for _, p := range r.Phases {
		for _, reason := range slices.Sorted(maps.Keys(p.Errors)) {
			reasons = append(reasons, fmt.Sprintf("%s: %d × %s", p.Name, p.Errors[reason], reason))
		}
	}
	return reasons
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
	p.Latencies = latencies(all)
	return p
}

// PerSecond returns how many requests succeeded in a second.
func (p Phase) PerSecond() float64 { return float64(p.Done) / p.Took.Seconds() }

// Write writes the report for people.
func (r Report) Write(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	lines := []string{"\tdone\ttook\tper second\tp50\tp90\tp99\tp99.9\tmax\t"}
	for _, p := range r.Phases {
		lines = append(lines, fmt.Sprintf("%s\t%d\t%s\t%.0f\t%s", p.Name, p.Done,
			p.Took.Round(time.Millisecond), p.PerSecond(), p.columns()))
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
