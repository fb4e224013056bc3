package loadgen

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/client"
	"ensemble/wire"
)

// TestATallyHasTheMarksOfASortedList: the histogram is exact to three digits.
func TestATallyHasTheMarksOfASortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tally := newTally(Mix{{Get, 1}})
		var all []time.Duration
		for _, µs := range rapid.SliceOfN(rapid.Int64Range(1, 5_000_000), 1, 300).Draw(t, "latencies") {
			d := time.Duration(µs) * time.Microsecond
			all = append(all, d)
			tally.note(Get, outcome{due: time.Second, sent: time.Second, answered: time.Second + d, measured: true})
		}
		slices.Sort(all)
		got := tally.report(OpenOptions{Mix: Mix{{Get, 1}}}).All
		for _, c := range []struct {
			got      time.Duration
			quantile float64
		}{
			{got.FromDue.P50, 0.5},
			{got.FromDue.P90, 0.9},
			{got.FromDue.P99, 0.99},
			{got.FromDue.P999, 0.999},
			{got.FromDue.Max, 1},
			{got.FromSent.P50, 0.5},
			{got.FromSent.Max, 1},
		} {
			// The rank of a quantile may be rounded either way.
			rank := c.quantile * float64(len(all))
			low := all[max(0, int(math.Floor(rank-0.5))-1)]
			high := all[min(len(all)-1, int(math.Ceil(rank+0.5))-1)]
			if c.got < low-low/500-time.Microsecond || c.got > high+high/500+time.Microsecond {
				t.Fatalf("p%g is %v, want from %v to %v", 100*c.quantile, c.got, low, high)
			}
		}
		if got.Done != len(all) {
			t.Fatalf("%d done of %d", got.Done, len(all))
		}
	})
}

func TestWhatIsCountedAndWhatIsMeasured(t *testing.T) {
	second := time.Second
	refused := &client.ProblemError{Problem: wire.Problem{Type: "/problems/busy", Status: 503}}
	tally := newTally(Mix{{Get, 1}, {Add, 1}, {Mutual, 0}})
	for _, o := range []outcome{
		{due: 1 * second, sent: 1 * second, answered: 2 * second},                                    // in the ramp
		{due: 1 * second, sent: 1 * second, answered: 2 * second, err: refused},                      // an error in the ramp
		{due: 10 * second, sent: 11 * second, answered: 12 * second, measured: true},                 // held for a second
		{due: 19 * second, sent: 19 * second, answered: 25 * second, measured: true},                 // answered late
		{due: 18 * second, sent: 18 * second, answered: 18 * second, measured: true, err: refused},   // quick, but refused
		{due: 18 * second, sent: 18 * second, answered: 30 * second, measured: true, err: errLost()}, // lost
	} {
		tally.note(Get, o)
	}
	r := tally.report(OpenOptions{
		Schedule: Schedule{Rate: 1, Warmup: 10 * second, Duration: 10 * second}, Mix: Mix{{Get, 1}, {Add, 1}, {Mutual, 0}},
	})
	if len(r.Kinds) != 2 || r.Kinds[0].Kind != "get" || r.Kinds[1].Kind != "add" || r.Kinds[1].Done != 0 {
		t.Fatalf("%+v", r.Kinds)
	}
	if diff := cmp.Diff(r.Kinds[0].Errors, map[string]int{"503 busy": 2, "no answer": 1}); diff != "" {
		t.Error(diff)
	}
	all := r.All
	if all.Done != 2 || all.FromDue.Max.Round(10*time.Millisecond) != 6*second || all.FromSent.P50.Round(10*time.Millisecond) != second ||
		all.FromDue.P50.Round(10*time.Millisecond) != 2*second {
		t.Errorf("%+v", all)
	}
	// Two successes in the twenty seconds from 10 to 30: the target was at work so long.
	if r.Reached != 0.1 {
		t.Errorf("reached %v/s", r.Reached)
	}
	if p, answered := tally.progress(); answered != 6 || p.Errors != 3 || p.Worst != all.FromDue.Max {
		t.Errorf("%+v of %d", p, answered)
	}
}

func errLost() error { return errors.New("EOF") }

func TestALatencyBeyondTheLongestIsTheLongest(t *testing.T) {
	tally := newTally(Mix{{Get, 1}})
	tally.note(Get, outcome{answered: 48 * time.Hour, measured: true})
	got := tally.report(OpenOptions{Mix: Mix{{Get, 1}}}).All.FromDue.Max
	if got < time.Hour-10*time.Second || got > time.Hour+10*time.Second {
		t.Errorf("%v", got)
	}
}

func TestWhenARunIsVoid(t *testing.T) {
	good := OpenKind{Kind: "get", Done: 5}
	failed := OpenKind{Kind: "add", Errors: map[string]int{"no answer": 1, "404 user-not-found": 2}}
	for name, c := range map[string]struct {
		r    OpenReport
		want []string
	}{
		"all went well":     {OpenReport{Kinds: []OpenKind{good}, All: good}, nil},
		"held, yet in time": {OpenReport{Kinds: []OpenKind{good}, All: good, Held: 99}, nil},
		"nothing measured":  {OpenReport{}, []string{"nothing was measured"}},
		"errors, in order": {
			OpenReport{Kinds: []OpenKind{good, failed}, All: good},
			[]string{"add: 2 × 404 user-not-found", "add: 1 × no answer"},
		},
		"unsent": {
			OpenReport{All: good, Unsent: 3, Planned: 8, InFlight: 2},
			[]string{"3 of 8 requests were never sent: all 2 places were taken to the end"},
		},
		"interrupted, which says why there are unsent ones": {
			OpenReport{All: good, Unsent: 3, Planned: 8, Interrupted: true},
			[]string{"interrupted: 3 of 8 requests were not sent"},
		},
	} {
		if diff := cmp.Diff(c.want, c.r.Void()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if kept := c.r.Held == 0 && c.r.Unsent == 0; c.r.KeptUp() != kept {
			t.Errorf("%s: kept up: %v", name, c.r.KeptUp())
		}
	}
}
