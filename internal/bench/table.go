package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Row is one measured thing.
type Row struct {
	What     string
	Target   string // "" where there is none
	Measured string // with its unit
	Baseline string // what it is compared with; "" for nothing
	// Ratio is how many times the baseline the measure is, higher is better; 0
	// without a baseline.
	Ratio float64
	Void  string // why the row means nothing; "" if it does
}

// Table is the rows of one part.
type Table struct {
	Name string
	Note string // the workload
	Rows []Row
}

// Report is a run.
type Report struct {
	Machine string
	Version string
	Command string
	Date    time.Time
	Tables  []Table
}

// Void returns the rows that mean nothing.
func (r Report) Void() (rows []string) {
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			if row.Void != "" {
				rows = append(rows, row.What+": "+row.Void)
			}
		}
	}
	return rows
}

// Markdown writes the report as docs/benchmarks.md has it.
func (r Report) Markdown(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, version %s, `%s`, %s.\n", r.Machine, r.Version, r.Command, r.Date.UTC().Format("2006-01-02 15:04 UTC"))
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| what | target | measured | baseline | ratio |\n|---|---|---|---|---|\n", t.Name, t.Note)
		for _, row := range t.Rows {
			b.WriteString(row.markdown())
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// markdown returns the row as a line of a table.
func (r Row) markdown() string {
	ratio := ""
	if r.Ratio > 0 {
		ratio = fmt.Sprintf("%.2gx", r.Ratio)
		if r.Ratio >= 10 {
			ratio = fmt.Sprintf("%.0fx", r.Ratio)
		}
	}
	measured := r.Measured
	if r.Void != "" {
		measured = "void: " + r.Void
	}
	return "| " + strings.Join([]string{r.What, r.Target, measured, r.Baseline, ratio}, " | ") + " |\n"
}

// perSecond shows a rate.
func perSecond(n int, took time.Duration) string {
	return fmt.Sprintf("%.0f/s", float64(n)/took.Seconds())
}

// ratio returns how many times faster n pieces in took are than m in other.
func ratio(n int, took time.Duration, m int, other time.Duration) float64 {
	return float64(n) / took.Seconds() * other.Seconds() / float64(m)
}

// marks shows the median and the 99th percentile, and sorts what it is given.
func marks(times []time.Duration) string {
	return fmt.Sprintf("p50 %v, p99 %v", short(quantile(times, 0.5)), short(quantile(times, 0.99)))
}

// quantile sorts times and returns the one below which so many lie.
func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	if len(times) == 0 {
		return 0
	}
	return times[min(int(q*float64(len(times))), len(times)-1)]
}

// short rounds to three digits or so.
func short(d time.Duration) time.Duration {
	for unit := time.Second; unit >= time.Microsecond; unit /= 1000 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}

// sum adds durations up.
func sum(times []time.Duration) (all time.Duration) {
	for _, d := range times {
		all += d
	}
	return all
}
