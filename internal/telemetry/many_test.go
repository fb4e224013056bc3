package telemetry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestHealthIsAskedAndChangedByMany: each answer is of one moment.
func TestHealthIsAskedAndChangedByMany(t *testing.T) {
	var h Health
	var broken atomic.Bool
	why := errors.New("no room")
	h.Add("log", func(context.Context) error {
		if broken.Load() {
			return why
		}
		return nil
	})
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for n := range 200 {
				switch w {
				case 0:
					h.SetDraining(n%2 == 0)
				case 1:
					broken.Store(n%2 == 0)
				case 2:
					if n < 5 {
						h.Add(fmt.Sprint("more ", n), func(ctx context.Context) error { return ctx.Err() })
					}
				}
				checks := h.Checks(t.Context())
				if len(checks) == 0 || checks[0].Name != "log" || checks[0].Err != nil && !errors.Is(checks[0].Err, why) {
					t.Errorf("checks %v", checks)
				}
				if err := h.Ready(t.Context()); err != nil && !errors.Is(err, why) && !errors.Is(err, ErrDraining) {
					t.Errorf("it says %v", err)
				}
			}
		})
	}
	group.Wait()
	h.SetDraining(false)
	broken.Store(false)
	if err := h.Ready(t.Context()); err != nil || len(h.Checks(t.Context())) != 6 {
		t.Fatalf("in the end it says %v, %v", err, h.Checks(t.Context()))
	}
}

// TestAsManyRequestsAreCountedAsThereWere, whoever asked and however they ended, and
// the counts can be read meanwhile.
func TestAsManyRequestsAreCountedAsThereWere(t *testing.T) {
	m := NewMetrics()
	statuses := []int{200, 201, 404, 503}
	h := m.Instrument("s", "/v1/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch status := r.Header.Get("Want"); status {
		case "panic":
			panic(http.ErrAbortHandler)
		case "nothing":
		default:
			var code int
			_, _ = fmt.Sscan(status, &code)
			w.WriteHeader(code)
		}
	}))
	const workers, rounds = 6, 120
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for n := range rounds {
				r := httptest.NewRequest([]string{"GET", "POST", "BREW"}[n%3], "/v1/7", http.NoBody)
				switch n % 6 {
				case 4:
					r.Header.Set("Want", "panic")
				case 5:
					r.Header.Set("Want", "nothing")
				default:
					r.Header.Set("Want", fmt.Sprint(statuses[n%6]))
				}
				func() {
					defer func() { _ = recover() }()
					h.ServeHTTP(httptest.NewRecorder(), r)
				}()
				if w == 0 && n%20 == 0 {
					scrape(t, m, "http_server")
				}
			}
		})
	}
	group.Wait()
	total := 0
	for _, line := range scrape(t, m, "http_server_request_duration_seconds_count") {
		var n int
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
			t.Fatal(err)
		}
		total += n
		if strings.Contains(line, "BREW") || strings.Contains(line, "/v1/7") {
			t.Errorf("what a client makes up is a label: %s", line)
		}
	}
	if total != workers*rounds {
		t.Fatalf("%d requests were counted, there were %d", total, workers*rounds)
	}
}

// TestAStatusWriterIsNotSharedByTwoRequests: they come from a pool, and one that was
// given back too early would answer somebody else.
func TestAStatusWriterIsNotSharedByTwoRequests(t *testing.T) {
	m := NewMetrics()
	h := m.Instrument("s", "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Echo", r.Header.Get("Echo"))
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(r.Header.Get("Echo")))
	}))
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for n := range 200 {
				want := fmt.Sprint(w, "-", n)
				r, rec := httptest.NewRequest(http.MethodGet, "/", http.NoBody), httptest.NewRecorder()
				r.Header.Set("Echo", want)
				h.ServeHTTP(rec, r)
				if rec.Code != http.StatusAccepted || rec.Body.String() != want || rec.Header().Get("Echo") != want {
					t.Errorf("%s was answered %d %s", want, rec.Code, rec.Body)
				}
			}
		})
	}
	group.Wait()
}

// TestLinesOfManyAreWhole: nobody's line is in the middle of another's.
func TestLinesOfManyAreWhole(t *testing.T) {
	for _, format := range []Format{JSON, Text} {
		t.Run(string(format), func(t *testing.T) {
			var b bytes.Buffer
			log := NewLogger(&b, LogOptions{Format: format})
			var group sync.WaitGroup
			for w := range 6 {
				group.Go(func() {
					for n := range 100 {
						log.With("worker", w).Info("did something", "n", n, "text", strings.Repeat("x", n))
					}
				})
			}
			group.Wait()
			seen := map[string]bool{}
			for lines := bufio.NewScanner(&b); lines.Scan(); {
				line := lines.Text()
				if format == JSON {
					var parsed struct{ Worker, N int }
					if err := json.Unmarshal([]byte(line), &parsed); err != nil {
						t.Fatalf("%q: %v", line, err)
					}
					seen[fmt.Sprint(parsed.Worker, " ", parsed.N)] = true
					continue
				}
				if strings.Count(line, "did something") != 1 {
					t.Fatalf("not one line: %q", line)
				}
				seen[line[strings.Index(line, "worker"):]] = true
			}
			if len(seen) != 600 {
				t.Fatalf("%d different lines", len(seen))
			}
		})
	}
}

// TestWhatIsLoggedStaysOnItsLine: names of people and paths of clients come into the
// log, and must not be able to write lines of their own.
func TestWhatIsLoggedStaysOnItsLine(t *testing.T) {
	for _, format := range []Format{JSON, Text} {
		for _, evil := range []string{"a\nINF forged", "a\r\nERR forged", "\x1b[31mred", "\x00", "\u2028", `"},{"msg":"forged`, "\xff\xfe"} {
			var b bytes.Buffer
			NewLogger(&b, LogOptions{Format: format}).Warn("refused", "path", evil)
			got := b.String()
			if strings.Count(got, "\n") != 1 || strings.ContainsAny(strings.TrimSuffix(got, "\n"), "\r\x00\x1b") {
				t.Errorf("%s: %q is logged as %q", format, evil, got)
			}
			if format == JSON && !json.Valid(b.Bytes()) {
				t.Errorf("%q makes %s", evil, got)
			}
		}
	}
}
