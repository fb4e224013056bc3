package loadgen

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/client"
)

// busy is a target that takes as long for each request as its turn says, and knows
// how many were under way at most.
type busy struct {
	mu        sync.Mutex
	takes     []time.Duration // by turn; later ones take nothing
	n         int
	now, most int
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	var takes time.Duration
	if b.n < len(b.takes) {
		takes = b.takes[b.n]
	}
	b.n++
	b.now++
	b.most = max(b.most, b.now)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.now--
		b.mu.Unlock()
	}()
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"id":1}`))
	})}.RoundTrip(r)
}

// queue is what an open load must come to by arithmetic: requests due at some times,
// each in the first of so many places that is free.
func queue(dues, takes []time.Duration, places int) (latencies []time.Duration, held int) {
	free := make([]time.Duration, places)
	blocked := time.Duration(0) // until when the line stood still
	for i, due := range dues {
		slices.Sort(free)
		begin := max(due, free[0], blocked)
		if begin > due {
			held++
			blocked = begin
		}
		free[0] = begin + takes[i]
		latencies = append(latencies, free[0]-due)
	}
	return latencies, held
}

// TestLatenciesAreThoseOfAQueue: whatever a target takes for each request, and
// however many places there are, the report has the marks that arithmetic gives.
func TestLatenciesAreThoseOfAQueue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		places := rapid.IntRange(1, 5).Draw(rt, "places")
		seed := rapid.Uint64().Draw(rt, "seed")
		slow := rapid.IntRange(1, 400).Draw(rt, "slowest, ms")
		rnd := rand.New(rand.NewPCG(seed, 0))
		takes := make([]time.Duration, 100)
		for i := range takes {
			// An odd number of microseconds: nothing ends when something else is due.
			takes[i] = time.Duration(rnd.IntN(slow*1000)|1) * time.Microsecond
		}
		b := &busy{takes: takes}
		var report OpenReport
		var err error
		var dues []time.Duration
		synctest.Test(t, func(t *testing.T) {
			o := openOptions(nil)
			o.Client = client.New("http://busy", &http.Client{Transport: b})
			o.Rate, o.Duration, o.InFlight, o.Patience = 10, 10*time.Second, places, time.Hour
			dues = slices.Collect(o.times(o.Seed))
			report, err = RunOpen(t.Context(), o)
		})
		if err != nil || len(report.Void()) != 0 || report.All.Done != 100 {
			rt.Fatalf("%+v, %v", report, err)
		}
		want, held := queue(dues, takes, places)
		slices.Sort(want)
		for mark, c := range map[string]struct {
			got  time.Duration
			rank int
		}{
			"p50": {report.All.FromDue.P50, 50}, "p90": {report.All.FromDue.P90, 90},
			"p99": {report.All.FromDue.P99, 99}, "max": {report.All.FromDue.Max, 100},
		} {
			if w := want[c.rank-1]; (c.got - w).Abs() > w/500+2*time.Microsecond {
				rt.Fatalf("%s is %v, want %v", mark, c.got, w)
			}
		}
		if report.Held != held || b.most > places {
			rt.Fatalf("%d held, want %d; %d under way in %d places", report.Held, held, b.most, places)
		}
	})
}

// TestWhoWaitsBehindTheLineIsHeldToo: the line stood still until 4 s after the start;
// who was due before that was held, although two places are free by now.
func TestWhoWaitsBehindTheLineIsHeldToo(t *testing.T) {
	r := openRun{OpenOptions: openOptions(nil), places: make(chan struct{}, 3), begin: time.Now().Add(-5 * time.Second), freed: 4 * time.Second}
	for due, held := range []int64{1, 1, 1} { // at 3, 4 and 4 s
		if !r.place(t.Context(), time.Duration(min(3+due, 4))*time.Second) || r.held.Load() > held {
			t.Errorf("request %d: %d held, want %d", due, r.held.Load(), held)
		}
		r.freed = 4 * time.Second
	}
	if r.held.Load() != 1 {
		t.Errorf("%d held, want the first one", r.held.Load())
	}
}

// TestAPlaceThatComesTooLateIsNone: however many are free.
func TestAPlaceThatComesTooLateIsNone(t *testing.T) {
	for range 50 {
		r := openRun{OpenOptions: openOptions(nil), places: make(chan struct{}, 3), begin: time.Now().Add(-time.Hour), freed: time.Hour}
		if r.place(t.Context(), time.Second) {
			t.Fatal("sent an hour after the end")
		}
	}
}

func TestPatienceEndsAfterTheLastRequestWasDue(t *testing.T) {
	for name, c := range map[string]struct {
		takes, patience time.Duration
		sent, unsent    int
	}{
		"answered while it waits":  {12 * time.Second, 3 * time.Second, 100, 0},
		"answered too late":        {14 * time.Second, 3 * time.Second, 1, 99},
		"answered at the same end": {13 * time.Second, 3 * time.Second, 1, 99},
		"no patience":              {11 * time.Second, 0, 1, 99},
	} {
		b := &busy{takes: []time.Duration{c.takes}}
		synctest.Test(t, func(t *testing.T) {
			o := openOptions(nil)
			o.Client = client.New("http://busy", &http.Client{Transport: b})
			o.Rate, o.InFlight, o.Patience = 10, 1, c.patience
			began := time.Now()
			report, err := RunOpen(t.Context(), o)
			if err != nil || b.n != c.sent || report.Unsent != c.unsent || report.Planned != 100 {
				t.Errorf("%s: %d sent, %d unsent of %d, %v", name, b.n, report.Unsent, report.Planned, err)
			}
			if took := time.Since(began); took != c.takes {
				t.Errorf("%s: ended after %v", name, took)
			}
			if void := report.Void(); (len(void) == 0) != (c.unsent == 0) {
				t.Errorf("%s: %q", name, void)
			}
		})
	}
}

// TestNothingIsSentTwice: an open load says what it met; trying again would hide it,
// and asks more than was planned.
func TestNothingIsSentTwice(t *testing.T) {
	for _, status := range []int{429, 500, 502, 503, 504, lostAfter} {
		g := &target{status: func(*http.Request) int { return status }}
		report, err := runOpen(t, g, func(o *OpenOptions) { o.Rate, o.Mix = 5, Mix{{Create, 1}, {Get, 1}} })
		if err != nil || len(g.came) != 50 || report.All.Done != 0 || report.Reached != 0 {
			t.Errorf("%d: %d came, %+v, %v", status, len(g.came), report, err)
		}
		failed := 0
		for _, n := range report.All.Errors {
			failed += n
		}
		if failed != 50 || len(report.Void()) != 3 { // one for each kind, and nothing measured
			t.Errorf("%d: %v", status, report.Void())
		}
	}
}

func TestARunIsInterruptedWhereverItIs(t *testing.T) {
	for name, c := range map[string]struct {
		after   time.Duration
		takes   time.Duration // for every request
		places  int
		planned int
	}{
		"before anything": {0, time.Millisecond, 4, 100},
		"between two":     {time.Second + 50*time.Millisecond, time.Millisecond, 4, 100},
		"while it waits":  {2 * time.Second, time.Hour, 1, 100},
		"in the end":      {15 * time.Second, time.Hour, 200, 100},
	} {
		takes := slices.Repeat([]time.Duration{c.takes}, 100)
		b := &busy{takes: takes}
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(c.after, cancel)
			if c.after == 0 {
				cancel()
			}
			o := openOptions(nil)
			o.Client = client.New("http://busy", &http.Client{Transport: b})
			o.Rate, o.InFlight, o.Patience = 10, c.places, time.Minute
			began := time.Now()
			report, err := RunOpen(ctx, o)
			if !errors.Is(err, context.Canceled) || !report.Interrupted || time.Since(began) != c.after {
				t.Errorf("%s: after %v: %+v, %v", name, time.Since(began), report, err)
			}
			if len(report.All.Errors) != 0 || report.Planned != c.planned || report.Unsent+b.n < c.planned {
				t.Errorf("%s: %d sent, %d unsent, errors %v", name, b.n, report.Unsent, report.All.Errors)
			}
		})
	}
}
