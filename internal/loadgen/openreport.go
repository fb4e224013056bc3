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

// OpenReport is how an open load went.
type OpenReport struct {
	Schedule

	Mix         string
	InFlight    int     // how many were allowed under way at once
	Planned     int     // requests, those of ramp and warm-up included
	Reached     float64 // measured successes a second
	Held        int     // had to wait for a place when they were due
	Unsent      int     // got no place, or the run was interrupted
	Interrupted bool
	Kinds       []OpenKind // in the order of the mix
	All         OpenKind
}

// OpenKind is how the requests of one kind went.
type OpenKind struct {
	Kind string
	Done int // measured and successful
	// FromDue counts from the moment at which a request was due, so that a target
	// that stalls is blamed for everybody who had to wait: corrected for
	// coordinated omission (Gil Tene, "How NOT to Measure Latency"). FromSent
	// counts from the moment at which it was sent.
	FromDue, FromSent Latencies
	Errors            map[string]int // answers that were no success, by status and kind, ramp and warm-up included
}

// Void returns why the measures mean nothing; none if they do. A target that fails is
// often quick about it, so one error is enough: nobody knows what the others would
// have taken. Having been held is no reason: that waiting was measured.
func (r *OpenReport) Void() (reasons []string) {
	for _, k := range r.Kinds {
		for _, reason := range slices.Sorted(maps.Keys(k.Errors)) {
			reasons = append(reasons, fmt.Sprintf("%s: %d × %s", k.Kind, k.Errors[reason], reason))
		}
	}
	switch {
	case r.Interrupted:
		reasons = append(reasons, fmt.Sprintf("interrupted: %d of %d requests were not sent", r.Unsent, r.Planned))
	case r.Unsent > 0:
		reasons = append(reasons, fmt.Sprintf("%d of %d requests were never sent: all %d places were taken to the end",
			r.Unsent, r.Planned, r.InFlight))
	case r.All.Done == 0:
		reasons = append(reasons, "nothing was measured")
	}
	return reasons
}

// KeptUp says whether every request was sent when it was due.
func (r *OpenReport) KeptUp() bool { return r.Held == 0 && r.Unsent == 0 }

// Write writes the report for people.
func (r *OpenReport) Write(out io.Writer) error {
	arrivals := "Poisson"
	if r.Constant {
		arrivals = "evenly spaced"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "open load: %s\n", r.Mix)
	fmt.Fprintf(&b, "target rate %.6g/s (%s), reached %.1f/s; measured %v after %v of ramp and %v of warm-up\n",
		float64(r.Rate), arrivals, r.Reached, r.Duration, r.Ramp, r.Warmup)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "\tdone\tp50\tp90\tp99\tp99.9\tmax\t") // a Builder takes everything
	for _, k := range append(slices.Clone(r.Kinds), r.All) {
		_, _ = fmt.Fprintln(t, k.Kind+"\t"+fmt.Sprint(k.Done)+"\t"+k.FromDue.columns())
	}
	_, _ = fmt.Fprintln(t, "from sending\t\t"+r.All.FromSent.columns())
	_ = t.Flush()
	b.WriteString("latencies count from the moment a request was due\n")
	if !r.KeptUp() {
		fmt.Fprintf(&b, "could not keep up: %d of %d requests had to wait for one of %d places, %d were never sent;\n"+
			"the target is too slow for the rate, or --in-flight too low for the target\n", r.Held, r.Planned, r.InFlight, r.Unsent)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// columns shows the marks as cells of a table.
func (l Latencies) columns() string {
	var b strings.Builder
	for _, d := range []time.Duration{l.P50, l.P90, l.P99, l.P999, l.Max} {
		b.WriteString(short(d) + "\t")
	}
	return b.String()
}
