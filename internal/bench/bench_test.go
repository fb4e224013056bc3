package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ensemble/api/apitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a size at which nothing is measured, but everything runs.
func small() Size {
	return Size{Events: 300, Alone: 20, Streams: 1000, People: 1000, Queries: 20, Requests: 100, Connections: 8}
}

// whats returns what rows are about, and fails for one that shows nothing.
func whats(t *testing.T, rows []Row) (names []string) {
	t.Helper()
	for _, r := range rows {
		if strings.HasSuffix(r.What, "open load") && strings.Contains(r.Void, "never sent") {
			r.Void = "" // a machine with other work may not keep half of its peak
		}
		if r.Void != "" || r.Measured == "" || strings.Contains(r.Measured, "NaN") || r.Ratio < 0 {
			t.Errorf("%+v", r)
		}
		if (r.Ratio > 0) != (r.Baseline != "" && !strings.HasPrefix(r.Baseline, "Postgres")) {
			t.Errorf("a ratio needs a baseline, and a baseline a ratio: %+v", r)
		}
		names = append(names, r.What)
	}
	return names
}

func TestEveryRowOfTheLogIsMeasured(t *testing.T) {
	dir := t.TempDir()
	rows, err := Log(t.Context(), dir, small())
	if names := whats(t, rows); err != nil || len(names) != 9 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 9 {
		t.Errorf("%q, %v", names, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// gateway starts a system without people.
func gateway(t *testing.T) http.Handler { return apitest.Start(t, apitest.Options{}).Gateway }

func TestEveryRowOfHTTPIsMeasured(t *testing.T) {
	dir := t.TempDir()
	rows, err := HTTP(t.Context(), Served{Gateway: gateway(t), Network: network(), Profile: dir}, small())
	if names := whats(t, rows); err != nil || len(names) != 4 {
		t.Errorf("%q, %v", names, err)
	}
	profiles, err := os.ReadDir(dir)
	if err != nil || len(profiles) != 2 || profiles[0].Name() != "addFriend.pprof" || profiles[1].Name() != "recommendFriends.pprof" {
		t.Errorf("%v, %v", profiles, err)
	}
}

// TestARowWithASingleFailureIsVoid: one recommendation of many is refused.
func TestARowWithASingleFailureIsVoid(t *testing.T) {
	next := gateway(t)
	var once sync.Once
	rows, err := HTTP(t.Context(), Served{Network: network(), Gateway: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failed := false
		if strings.HasSuffix(r.URL.Path, "recommendFriends") {
			once.Do(func() { failed = true })
		}
		if failed {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})}, small())
	if err != nil {
		t.Fatal(err)
	}
	report := Report{Tables: []Table{{Name: "HTTP", Rows: rows}}}
	void := report.Void()
	if len(void) != 2 || !strings.Contains(void[0], "was answered 503") || !strings.Contains(void[1], "no peak") {
		t.Errorf("%q", void)
	}
	var b strings.Builder
	if err := report.Markdown(&b); err != nil || strings.Count(b.String(), "| void: ") != 2 {
		t.Errorf("%s%v", b.String(), err)
	}
}

func TestWorkIsDoneOnceAndEndsWithItsFirstFailure(t *testing.T) {
	var mu sync.Mutex
	seen := map[int64]int{}
	if _, err := Concurrently(t.Context(), 8, 1000, func(_ *rand.Rand, i int64) error {
		mu.Lock()
		defer mu.Unlock()
		seen[i]++
		return nil
	}); err != nil || len(seen) != 1000 || seen[1] != 1 || seen[1000] != 1 {
		t.Errorf("%d pieces, %v", len(seen), err)
	}
	broken := errors.New("broken")
	done := 0
	_, err := Concurrently(t.Context(), 1, 1000, func(_ *rand.Rand, i int64) error {
		if done++; i == 10 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || done != 10 {
		t.Errorf("%d pieces, %v", done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Concurrently(ctx, 4, 1000, func(*rand.Rand, int64) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTheReportIsATable(t *testing.T) {
	r := Report{
		Machine: "linux/amd64", Version: "1a2b", Command: "ensemble bench log", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Tables: []Table{{Name: "The log", Note: "Little of it.", Rows: []Row{
			{What: "appending", Target: "≥ 30x", Measured: "300/s", Baseline: "9/s alone", Ratio: 33.33},
			{What: "reading", Measured: "5/s", Baseline: "4/s", Ratio: 1.25},
			{What: "asking", Measured: "1/s", Void: "answered 503"},
		}}},
	}
	var b strings.Builder
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	want := "linux/amd64, version 1a2b, `ensemble bench log`, 2026-01-02 03:04 UTC.\n" + `
## The log

Little of it.

| what | target | measured | baseline | ratio |
|---|---|---|---|---|
| appending | ≥ 30x | 300/s | 9/s alone | 33x |
| reading |  | 5/s | 4/s | 1.2x |
| asking |  | void: answered 503 |  |  |
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for got, want := range map[string]string{
		perSecond(500, 2*time.Second):                      "250/s",
		perSecond(1, 3*time.Second):                        "0/s",
		short(0).String():                                  "0s",
		short(999 * time.Nanosecond).String():              "999ns",
		short(1234 * time.Nanosecond).String():             "1.23µs",
		short(1234567 * time.Nanosecond).String():          "1.23ms",
		short(61234567 * time.Microsecond).String():        "1m1.23s",
		marks([]time.Duration{3, 1, 2}):                    "p50 2ns, p99 3ns",
		Row{What: "w", Measured: "m"}.markdown():           "| w |  | m |  |  |\n",
		Row{Measured: "m", Ratio: 9.96}.markdown():         "|  |  | m |  | 10x |\n",
		Row{Measured: "m", Ratio: 10.4}.markdown():         "|  |  | m |  | 10x |\n",
		Row{Measured: "m", Ratio: 0.123}.markdown():        "|  |  | m |  | 0.12x |\n",
		Row{Measured: "m", Void: "v", Ratio: 2}.markdown(): "|  |  | void: v |  | 2x |\n",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if r := ratio(100, time.Second, 10, 2*time.Second); r != 20 {
		t.Errorf("100 a second are %g times 5 a second", r)
	}
	if s := sum([]time.Duration{1, 2, 3}); s != 6 {
		t.Errorf("%d", s)
	}
}

func TestQuantiles(t *testing.T) {
	times := []time.Duration{4, 1, 3, 2}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := quantile(slices.Clone(times), q); got != want {
			t.Errorf("%g: %d, want %d", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
