package loadgen

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// example is a run whose every field shows.
func example() (About, Report, *OpenReport) {
	ms := time.Millisecond
	about := About{
		Target: "http://127.0.0.1:9000", Version: "1a2b3c4d5e6f", Machine: "linux/amd64, 2 CPUs, go1.26.0",
		Date: time.Date(2026, 11, 24, 20, 15, 0, 5, time.UTC), Seed: 1,
	}
	closed := Report{Phases: []Phase{{
		Name: "users", Done: 1000, Took: 500 * ms, Latencies: Latencies{ms, 2 * ms, 3 * ms, 4 * ms, 5 * ms},
		Errors: map[string]int{},
	}}}
	get := OpenKind{
		Kind: "get", Done: 30_000, Errors: map[string]int{"503 busy": 2},
		FromDue:  Latencies{ms, 2 * ms, 3 * ms, 40 * ms, 1000 * ms},
		FromSent: Latencies{ms, ms, 2 * ms, 3 * ms, 4 * ms},
	}
	all := get
	all.Kind = "all"
	return about, closed, &OpenReport{
		Schedule: Schedule{Rate: 1000, Ramp: 5 * time.Second, Warmup: 2 * time.Second, Duration: 30 * time.Second},
		Mix:      "get=1", InFlight: 1024, Planned: 34_500, Reached: 999.9, Held: 7,
		Kinds: []OpenKind{get}, All: all,
	}
}

// TestTheReportForProgramsIsAsDrawn: docs/format/load.md shows this very document.
func TestTheReportForProgramsIsAsDrawn(t *testing.T) {
	var b strings.Builder
	if err := NewDocument(example()).Write(&b); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/format/load.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	drawn, _, _ := strings.Cut(rest, "```")
	if diff := cmp.Diff(drawn, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTheOpenReportIsATable(t *testing.T) {
	_, _, r := example()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `open load: get=1
target rate 1000/s (Poisson), reached 999.9/s; measured 30s after 5s of ramp and 2s of warm-up
                 done  p50  p90  p99  p99.9  max
           get  30000  1ms  2ms  3ms   40ms   1s
           all  30000  1ms  2ms  3ms   40ms   1s
  from sending         1ms  1ms  2ms    3ms  4ms
latencies count from the moment a request was due
could not keep up: 7 of 34500 requests had to wait for one of 1024 places, 0 were never sent;
the target is too slow for the rate, or --in-flight too low for the target
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestARetriedLoadIsVoidTooAndSaysWhy(t *testing.T) {
	about, closed, _ := example()
	closed.Phases[0].Errors = map[string]int{"no answer": 1, "503 busy": 3}
	d := NewDocument(about, closed, nil)
	if want := []string{"users: 3 × 503 busy", "users: 1 × no answer"}; !cmp.Equal(want, d.Void) || d.Open != nil {
		t.Errorf("%v", d.Void)
	}
}
