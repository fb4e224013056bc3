package loadgen

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/client"
)

// target is a gateway in fake time: it notes when requests come, and answers when
// and as it is told.
type target struct {
	mu      sync.Mutex
	begin   time.Time
	came    []time.Duration
	paths   []string
	takes   time.Duration             // for every answer
	stalled [2]time.Duration          // from, to: nothing is answered in between
	status  func(r *http.Request) int // 0 to answer with a success
}

func (g *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	at := time.Since(g.begin)
	g.came = append(g.came, at)
	g.paths = append(g.paths, r.Method+" "+r.URL.RequestURI())
	g.mu.Unlock()
	time.Sleep(g.takes)
	if at = time.Since(g.begin); at >= g.stalled[0] && at < g.stalled[1] {
		time.Sleep(g.stalled[1] - at)
	}
	status := 0
	if g.status != nil {
		status = g.status(r)
	}
	switch {
	case status == lostAfter:
		panic(http.ErrAbortHandler)
	case status != 0:
		w.WriteHeader(status)
	case strings.HasSuffix(r.URL.Path, "removeFriend"), r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && !strings.Contains(r.URL.Path, "friend") && !strings.Contains(r.URL.Path, "recommendation"):
		_, _ = w.Write([]byte(`{"id":1}`))
	case r.Method == http.MethodGet:
		_, _ = w.Write([]byte(`[]`))
	default:
		_, _ = w.Write([]byte(`{"id":1}`))
	}
}

// openOptions is a small load of reads, which the test changes.
func openOptions(g *target) OpenOptions {
	ids := make([]int64, 50)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	return OpenOptions{
		Schedule: Schedule{Rate: 100, Duration: 10 * time.Second, Constant: true},
		Client:   client.New("http://target", &http.Client{Transport: InProcess{Handler: g}}),
		Mix:      Mix{{Get, 1}}, Seed: 1, Graph: Random(50, 300, 1), IDs: ids, Keys: "k-", InFlight: 1024,
	}
}

// runOpen runs a load in fake time.
func runOpen(t *testing.T, g *target, change func(*OpenOptions)) (report OpenReport, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g.begin = time.Now()
		o := openOptions(g)
		change(&o)
		report, err = RunOpen(t.Context(), o)
	})
	return report, err
}

func TestRequestsComeExactlyWhenTheyAreDue(t *testing.T) {
	g := &target{}
	report, err := runOpen(t, g, func(o *OpenOptions) { o.Duration = time.Second })
	if err != nil || len(g.came) != 100 || report.All.Done != 100 || report.Planned != 100 {
		t.Fatalf("%d came, %+v, %v", len(g.came), report, err)
	}
	for i, at := range g.came {
		if want := time.Duration(i) * 10 * time.Millisecond; at != want {
			t.Fatalf("request %d came after %v, want %v", i, at, want)
		}
	}
	if report.Reached != 100 || !report.KeptUp() || report.Void() != nil {
		t.Errorf("%+v", report)
	}
}

func TestARampGrowsInAStraightLine(t *testing.T) {
	g := &target{}
	report, err := runOpen(t, g, func(o *OpenOptions) {
		o.Schedule = Schedule{Rate: 200, Ramp: 4 * time.Second, Warmup: time.Second, Duration: 2 * time.Second, Constant: true}
	})
	if err != nil {
		t.Fatal(err)
	}
	var in [7]int
	for _, at := range g.came {
		in[at/time.Second]++
	}
	// The rate reaches 50, 100, 150, 200 at the ends of the first seconds.
	if want := [7]int{25, 75, 125, 175, 200, 200, 200}; in != want {
		t.Errorf("requests in each second: %v, want %v", in, want)
	}
	if report.All.Done != 400 || report.Planned != 1000 {
		t.Errorf("measured %d of %d, want what is not ramp or warm-up", report.All.Done, report.Planned)
	}
}

func TestPoissonArrivalsHaveTheRateAndRepeatWithTheSeed(t *testing.T) {
	s := Schedule{Rate: 1000, Ramp: 10 * time.Second, Duration: 100 * time.Second}
	times := slices.Collect(s.times(7))
	if !slices.IsSorted(times) || !slices.Equal(times, slices.Collect(s.times(7))) {
		t.Fatal("not ascending, or not the same twice")
	}
	if slices.Equal(times, slices.Collect(s.times(8))) {
		t.Error("another seed makes the same times")
	}
	// 5,000 in the ramp and 100,000 afterwards; five standard deviations.
	if want := 105_000.0; math.Abs(float64(len(times))-want) > 5*math.Sqrt(want) {
		t.Errorf("%d arrivals, want about %.0f", len(times), want)
	}
	// The gaps of a Poisson process vary as much as they are long.
	var sum, squares float64
	steady := times[10_000:]
	for i := range steady[1:] {
		gap := (steady[i+1] - steady[i]).Seconds()
		sum, squares = sum+gap, squares+gap*gap
	}
	n := float64(len(steady) - 1)
	mean := sum / n
	if deviation := math.Sqrt(squares/n - mean*mean); deviation < 0.95*mean || deviation > 1.05*mean {
		t.Errorf("gaps of %g on average deviate by %g", mean, deviation)
	}
}

// TestAStallIsSeenByEverybodyWhoWasDueInIt: one second in ten in which nothing is
// answered is a tenth of all requests, and they waited half a second on average.
func TestAStallIsSeenByEverybodyWhoWasDueInIt(t *testing.T) {
	for name, places := range map[string]int{"one after the other": 1, "all at once": 1024} {
		g := &target{takes: time.Millisecond, stalled: [2]time.Duration{5 * time.Second, 6 * time.Second}}
		report, err := runOpen(t, g, func(o *OpenOptions) { o.InFlight, o.Patience = places, time.Minute })
		if err != nil || report.All.Done != 1000 || report.Void() != nil {
			t.Fatalf("%s: %+v, %v", name, report, err)
		}
		l := report.All.FromDue
		if l.P50 > 2*time.Millisecond || l.P99 < 850*time.Millisecond || l.Max < 990*time.Millisecond || l.Max > 1100*time.Millisecond {
			t.Errorf("%s: %+v", name, l)
		}
		if places > 1 {
			continue
		}
		// Measured as it is usually done, the stall is one slow request.
		if s := report.All.FromSent; s.P999 > 2*time.Millisecond || s.Max < 990*time.Millisecond {
			t.Errorf("%s: from sending %+v", name, s)
		}
		if report.Held < 90 || report.KeptUp() {
			t.Errorf("%s: held %d", name, report.Held)
		}
	}
}

func TestATargetThatIsTooSlowIsNeitherSparedNorWaitedForForEver(t *testing.T) {
	g := &target{takes: 100 * time.Millisecond} // four places answer 40 a second
	report, err := runOpen(t, g, func(o *OpenOptions) { o.InFlight, o.Patience = 4, 5*time.Second })
	if err != nil || report.Planned != 1000 || report.All.Done < 590 || report.All.Done > 610 ||
		report.Unsent != report.Planned-report.All.Done || report.Held < 590 {
		t.Fatalf("%+v, %v", report, err)
	}
	if report.Reached < 39 || report.Reached > 41 {
		t.Errorf("reached %v/s", report.Reached)
	}
	if l := report.All.FromDue; l.Max < 8*time.Second {
		t.Errorf("the last ones waited %v", l.Max)
	}
	if void := strings.Join(report.Void(), "\n"); !strings.Contains(void, "never sent: all 4 places") {
		t.Error(void)
	}
	var b strings.Builder
	if err := report.Write(&b); err != nil || !strings.Contains(b.String(), "could not keep up") || !strings.Contains(b.String(), "--in-flight") {
		t.Errorf("%s %v", b.String(), err)
	}
}

func TestASingleFailureMakesARunVoid(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		says   string
	}{
		"refused":    {409, "get: 1 × 409"},
		"failing":    {500, "get: 1 × 500"},
		"a lost one": {lostAfter, "get: 1 × no answer"},
	} {
		for _, warm := range []time.Duration{0, 3 * time.Second} { // in a warm-up too
			var once sync.Once
			g := &target{status: func(*http.Request) (status int) {
				once.Do(func() { status = c.status })
				return status
			}}
			report, err := runOpen(t, g, func(o *OpenOptions) { o.Warmup = warm })
			if err != nil || len(report.Void()) != 1 || !strings.HasPrefix(report.Void()[0], c.says) {
				t.Errorf("%s: %v, %v", name, report.Void(), err)
			}
		}
	}
}

func TestAnInterruptedRunReportsWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &target{begin: time.Now(), takes: time.Millisecond}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		report, err := RunOpen(ctx, openOptions(g))
		if !errors.Is(err, context.DeadlineExceeded) || report.All.Done < 395 || report.All.Done > 401 ||
			len(report.All.Errors) != 0 || len(report.Void()) != 1 || !strings.HasPrefix(report.Void()[0], "interrupted") {
			t.Fatalf("%+v, %v", report, err)
		}
	})
}

func TestProgressIsToldWhileItRuns(t *testing.T) {
	g := &target{takes: 50 * time.Millisecond}
	var told []OpenProgress
	if _, err := runOpen(t, g, func(o *OpenOptions) {
		o.Progress = func(p OpenProgress) { told = append(told, p) }
	}); err != nil {
		t.Fatal(err)
	}
	if len(told) < 39 || len(told) > 41 {
		t.Fatalf("told %d times in ten seconds", len(told))
	}
	p := told[20]
	if p.Of != 10*time.Second || p.InFlight < 4 || p.InFlight > 6 || p.Rate < 96 || p.Rate > 104 || p.P50 < 49*time.Millisecond || p.Errors != 0 {
		t.Errorf("%+v", p)
	}
}

func everything() Mix {
	var m Mix
	for i, k := range Kinds() {
		weight := i + 1
		if k == Erase {
			weight = 1
		}
		m = append(m, Share{k, weight})
	}
	return m
}

func TestTheSameSeedSendsTheSameRequests(t *testing.T) {
	sequence := func(seed uint64) []string {
		g := &target{}
		report, err := runOpen(t, g, func(o *OpenOptions) { o.Mix, o.Seed, o.Rate = everything(), seed, 50 })
		if err != nil || report.Void() != nil || len(report.Kinds) != 8 || report.All.Done != 500 {
			t.Fatalf("%+v, %v, %v", report, report.Void(), err)
		}
		return g.paths
	}
	a := sequence(1)
	if diff := cmp.Diff(a, sequence(1)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(a, sequence(2)) {
		t.Error("another seed sends the same")
	}
}

func TestANetworkThatIsTooSmallIsSaidBeforeAnythingIsSent(t *testing.T) {
	for says, change := range map[string]func(*OpenOptions){
		"the mix adds 1000;":   func(o *OpenOptions) { o.Mix = Mix{{Add, 1}} },
		"--friendships":        func(o *OpenOptions) { o.Mix = Mix{{Remove, 1}} },
		"two have to stay":     func(o *OpenOptions) { o.IDs = o.IDs[:1] },
		"erases 1000 of 50":    func(o *OpenOptions) { o.Mix = Mix{{Erase, 1}} },
		"raise --users":        func(o *OpenOptions) { o.IDs = o.IDs[:1] },
		"the mix removes 1000": func(o *OpenOptions) { o.Mix = Mix{{Remove, 1}} },
	} {
		g := &target{}
		_, err := runOpen(t, g, change)
		if !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), says) || len(g.came) != 0 {
			t.Errorf("%d requests, %v", len(g.came), err)
		}
	}
}

func TestMixes(t *testing.T) {
	for text, want := range map[string]Mix{
		"get=1":                     {{Get, 1}},
		"create=5, add=20,remove=0": {{Create, 5}, {Add, 20}, {Remove, 0}},
	} {
		var m Mix
		if err := m.UnmarshalText([]byte(text)); err != nil || !cmp.Equal(m, want) {
			t.Errorf("%q: %v, %v", text, m, err)
		}
		var again Mix
		if err := again.UnmarshalText([]byte(m.String())); err != nil || !cmp.Equal(m, again) {
			t.Errorf("%q came back as %v, %v", text, again, err)
		}
	}
	for text, says := range map[string]string{
		"":                "is not KIND=WEIGHT",
		"get":             "is not KIND=WEIGHT",
		"dance=1":         "recommend",
		"get=-1":          `not "-1"`,
		"get=1.5":         `not "1.5"`,
		"get=99999999999": "up to 1000000",
		"get=1,get=2":     "get stands there twice",
		"get=0,add=0":     "above 0",
	} {
		var m Mix
		if err := m.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestADrawFollowsTheWeights(t *testing.T) {
	m := Mix{{Get, 2}, {Add, 0}, {Mutual, 3}}
	var drawn []Kind
	for n := range m.total() {
		drawn = append(drawn, m.draw(n))
	}
	if want := []Kind{Get, Get, Mutual, Mutual, Mutual}; !slices.Equal(drawn, want) {
		t.Errorf("%v, want %v", drawn, want)
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]Rate{"500/s": 500, "0.5": 0.5, " 1000000 ": MaxRate} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "0", "-1/s", "5/m", "NaN", "Inf", "1000001"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "500/s") {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}
