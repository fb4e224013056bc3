package loadgen

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Format names the form of a [Document]; a form that readers of this one would
// misread gets another name.
const Format = "ensemble-load/1"

// About says what was measured with what.
type About struct {
	Target  string    // base address
	Version string    // of the generator
	Machine string    // the generator's
	Date    time.Time // of the start
	Seed    uint64
}

// Document is a whole run for programs, drawn in docs/format/load.md.
type Document struct {
	Format  string          `json:"format"`
	Target  string          `json:"target"`
	Version string          `json:"version"`
	Machine string          `json:"machine"`
	Date    time.Time       `json:"date"`
	Seed    uint64          `json:"seed"`
	Phases  []documentPhase `json:"phases"`
	Open    *documentOpen   `json:"open"` // null without one
	Void    []string        `json:"void"` // why the measures mean nothing
}

// documentPhase is a Phase for programs.
type documentPhase struct {
	Name      string         `json:"name"`
	Done      int            `json:"done"`
	Seconds   float64        `json:"seconds"`
	PerSecond float64        `json:"perSecond"`
	Latency   milliseconds   `json:"latencyMs"`
	Retries   int            `json:"retries"`
	Errors    map[string]int `json:"errors"`
}

// documentOpen is an OpenReport for programs.
type documentOpen struct {
	Mix             string         `json:"mix"`
	Arrivals        string         `json:"arrivals"`
	RateTarget      float64        `json:"rateTarget"`
	RateReached     float64        `json:"rateReached"`
	RampSeconds     float64        `json:"rampSeconds"`
	WarmupSeconds   float64        `json:"warmupSeconds"`
	DurationSeconds float64        `json:"durationSeconds"`
	InFlight        int            `json:"inFlight"`
	Planned         int            `json:"planned"`
	Held            int            `json:"held"`
	Unsent          int            `json:"unsent"`
	Kinds           []documentKind `json:"kinds"` // the last is "all"
}

// documentKind is an OpenKind for programs.
type documentKind struct {
	Kind        string         `json:"kind"`
	Done        int            `json:"done"`
	Latency     milliseconds   `json:"latencyMs"`
	FromSending milliseconds   `json:"fromSendingMs"`
	Errors      map[string]int `json:"errors"`
}

// milliseconds are latencies for programs.
type milliseconds struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// NewDocument puts together what is known of a run. open may be nil.
func NewDocument(about About, closed Report, open *OpenReport) *Document {
	d := &Document{
		Format: Format, Target: about.Target, Version: about.Version, Machine: about.Machine,
		Date: about.Date.UTC().Truncate(time.Second), Seed: about.Seed,
		Phases: []documentPhase{}, Void: append([]string{}, closed.Void()...),
	}
	for _, p := range closed.Phases {
		d.Phases = append(d.Phases, documentPhase{
			Name: p.Name, Done: p.Done, Seconds: p.Took.Seconds(), PerSecond: p.PerSecond(),
			Latency: inMilliseconds(p.Latencies), Retries: p.Retries, Errors: p.Errors,
		})
	}
	if open != nil {
		d.Open = newDocumentOpen(open)
		d.Void = append(d.Void, open.Void()...)
	}
	return d
}

// newDocumentOpen turns an open load into its form for programs.
func newDocumentOpen(r *OpenReport) *documentOpen {
	d := &documentOpen{
		Mix: r.Mix, Arrivals: "poisson", RateTarget: float64(r.Rate), RateReached: r.Reached,
		RampSeconds: r.Ramp.Seconds(), WarmupSeconds: r.Warmup.Seconds(), DurationSeconds: r.Duration.Seconds(),
		InFlight: r.InFlight, Planned: r.Planned, Held: r.Held, Unsent: r.Unsent,
	}
	if r.Constant {
		d.Arrivals = "constant"
	}
	for _, k := range append(slices.Clip(r.Kinds), r.All) {
		d.Kinds = append(d.Kinds, documentKind{
			Kind: k.Kind, Done: k.Done, Latency: inMilliseconds(k.FromDue), FromSending: inMilliseconds(k.FromSent), Errors: k.Errors,
		})
	}
	return d
}

// inMilliseconds converts; the histograms know microseconds.
func inMilliseconds(l Latencies) milliseconds {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return milliseconds{ms(l.P50), ms(l.P90), ms(l.P99), ms(l.P999), ms(l.Max)}
}

// Write writes the document as indented JSON.
func (d *Document) Write(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
