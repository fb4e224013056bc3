package telemetry

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

// answering returns a handler that answers with what status points to.
func answering(m *Metrics, service, route string, status *int) http.Handler {
	return m.Instrument(service, route, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(*status)
	}))
}

func TestADashboardMadeForSpringFindsItsRequests(t *testing.T) {
	m := NewMetrics()
	m.SetEnvironment("docker")
	status := 0
	h := answering(m, "user-service", "/v1/users/{id}", &status)
	for _, status = range []int{200, 200, 304, 404, 503} {
		serve(h, http.MethodGet)
	}
	got := strings.Join(scrape(t, m, "http_server_requests_seconds"), "\n")
	for status, rest := range map[string]string{
		`status="200"`: `outcome="SUCCESS",status="200",uri="/v1/users/{id}"} 2`,
		`status="304"`: `outcome="REDIRECTION",status="304",uri="/v1/users/{id}"} 1`,
		`status="404"`: `outcome="CLIENT_ERROR",status="404",uri="/v1/users/{id}"} 1`,
		`status="503"`: `outcome="SERVER_ERROR",status="503",uri="/v1/users/{id}"} 1`,
	} {
		want := `http_server_requests_seconds_count{application="user-service",environment="docker",exception="None",method="GET",` + rest
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s is not in\n%s", status, want, got)
		}
	}
	for _, suffix := range []string{"_count", "_sum", "_max"} {
		if n := len(scrape(t, m, "http_server_requests_seconds"+suffix+"{")); n != 4 {
			t.Errorf("%d series of %s, there were four statuses", n, suffix)
		}
	}
}

// TestBothFamiliesCountTheSame: they are two names of one measurement.
func TestBothFamiliesCountTheSame(t *testing.T) {
	m := NewMetrics()
	statuses := []int{200, 201, 404, 500}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				status := statuses[rand.IntN(len(statuses))]
				serve(answering(m, "s", "/", &status), http.MethodGet)
			}
		})
	}
	group.Wait()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]map[string]uint64{"http_response_status_code": {}, "status": {}}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			for label, of := range counts {
				if status := labelOf(one, label); status != "" {
					of[status] += one.GetHistogram().GetSampleCount() + one.GetSummary().GetSampleCount()
				}
			}
		}
	}
	total := uint64(0)
	for status, n := range counts["http_response_status_code"] {
		total += n
		if counts["status"][status] != n {
			t.Errorf("status %s: %d by one name, %d by the other", status, n, counts["status"][status])
		}
	}
	if total != 1600 {
		t.Errorf("1600 requests, %d counted", total)
	}
}

func TestTheLongestRequestIsForgottenAfterTwoMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock begins at midnight
		var longest recentMax
		for _, step := range []struct {
			wait, took time.Duration
			want       float64
		}{
			{0, 3 * time.Second, 3},
			{10 * time.Second, time.Second, 3},
			{50 * time.Second, time.Second, 3}, // the next minute
			{time.Minute, 500 * time.Millisecond, 1},
			{time.Minute, 0, .5},
			{time.Hour, 0, 0},
			{time.Minute, 100 * time.Hour, float64(maxMicros) / 1e6}, // as long as it can say
			{time.Minute, -time.Second, float64(maxMicros) / 1e6},    // a clock that was set back
		} {
			time.Sleep(step.wait)
			longest.observe(time.Now(), step.took)
			if got := longest.seconds(time.Now()); got != step.want {
				t.Errorf("after %s and a request of %s it says %v, want %v", step.wait, step.took, got, step.want)
			}
		}
	})
}

// TestTheLongestIsTheLongest holds it against a list of all that was seen.
func TestTheLongestIsTheLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var longest recentMax
		type seen struct {
			minute int64
			took   time.Duration
		}
		var all []seen
		now := time.Unix(1_700_000_000, 0)
		for range rapid.IntRange(1, 50).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second)
			took := time.Duration(rapid.IntRange(0, 1_000_000).Draw(t, "µs")) * time.Microsecond
			longest.observe(now, took)
			all = append(all, seen{now.Unix() / 60, took})
		}
		want := 0.0
		for _, s := range all {
			if s.minute >= now.Unix()/60-1 {
				want = max(want, s.took.Seconds())
			}
		}
		if got := longest.seconds(now); got < want-1e-9 || got > want+1e-9 {
			t.Fatalf("it says %v, it was %v", got, want)
		}
	})
}

func TestManyFindOneLongest(t *testing.T) {
	var longest recentMax
	now := time.Unix(1_700_000_000, 0)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 1000 {
				longest.observe(now, time.Duration(i*1000+j)*time.Millisecond)
			}
		})
	}
	group.Wait()
	if got := longest.seconds(now); got != 7.999 {
		t.Errorf("it says %v", got)
	}
}

func TestEveryStatusHasAnOutcome(t *testing.T) {
	for status, want := range map[int]string{
		100: "INFORMATIONAL", 200: "SUCCESS", 226: "SUCCESS", 301: "REDIRECTION", 400: "CLIENT_ERROR",
		499: "CLIENT_ERROR", 500: "SERVER_ERROR", 599: "SERVER_ERROR", 0: "UNKNOWN", 999: "UNKNOWN",
	} {
		if got := outcome(status); got != want {
			t.Errorf("%d is %s", status, got)
		}
	}
}

// BenchmarkObserve shows what the maximum costs a request, beside the histogram that
// was there before it.
func BenchmarkObserve(b *testing.B) {
	m := NewMetrics()
	now := time.Now()
	b.Run("histogram alone", func(b *testing.B) {
		o := m.requests.WithLabelValues("s", "GET", "/", "200")
		for b.Loop() {
			o.Observe(.001)
		}
	})
	b.Run("with the longest", func(b *testing.B) {
		o := m.observed(requestKind{"s", "GET", "/", 200})
		for b.Loop() {
			o.durations.Observe(.001)
			o.longest.observe(now.Add(time.Millisecond), time.Millisecond)
		}
	})
	b.Run("scrape", func(b *testing.B) {
		for b.Loop() {
			if _, err := m.registry.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// page returns what an application's handler serves.
func page(t *testing.T, m *Metrics, application string) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(application).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/actuator/prometheus", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("answered %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetricsOfOtherPackagesStandBesideOurs(t *testing.T) {
	m := NewMetrics()
	m.Registry().MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ensemble_x", Help: "X."}, func() float64 { return 7 }))
	for _, application := range []string{"user-service", "friend-service"} {
		text := page(t, m, application)
		if !strings.Contains(text, "ensemble_x 7\n") || !strings.Contains(text, `application="`+application+`"`) {
			t.Errorf("%s says\n%s", application, text)
		}
	}
}
