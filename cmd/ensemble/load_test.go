package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/internal/loadgen"
)

// runLoad runs 'load' against an address.
func runLoad(t *testing.T, address string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	args = append([]string{"load", "--target", "http://" + address, "--users", "60", "--friendships", "200"}, args...)
	code = run(context.Background(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestALoadAtARateIsReportedForProgramsAndForPeople(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "data"))
	flags := []string{"--rate", "100/s", "--ramp", "200ms", "--warmup", "100ms", "--duration", "1s", "--arrivals", "constant"}
	code, out, errs := runLoad(t, r.edge, append(flags, "--output", "json")...)
	if code != 0 || errs != "" {
		t.Fatalf("%d: %s", code, errs)
	}
	var doc loadgen.Document
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Format != loadgen.Format || doc.Target != "http://"+r.edge || doc.Seed != 1 || len(doc.Void) != 0 ||
		len(doc.Phases) != 2 || doc.Phases[1].Done != 200 || time.Since(doc.Date) > time.Hour || doc.Machine == "" || doc.Version == "" {
		t.Errorf("%+v", doc)
	}
	// 10 in the ramp, 10 to warm up, 100 measured.
	o := doc.Open
	if o.Planned != 120 || o.Unsent != 0 || o.Arrivals != "constant" || len(o.Kinds) != 8 {
		t.Errorf("%+v", o)
	}
	if all := o.Kinds[7]; all.Kind != "all" || all.Done != 100 || all.Latency.Max <= 0 || all.Latency.P50 > all.Latency.P999 {
		t.Errorf("%+v", all)
	}
	code, out, errs = runLoad(t, r.edge, flags...)
	if code != 0 || errs != "" || !strings.Contains(out, "target rate 100/s (evenly spaced)") || !strings.Contains(out, "seed 1") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// TestALoadWithErrorsIsVoid: a target that fails once, while loading or at a rate,
// makes the measures worth nothing, although loading tried again.
func TestALoadWithErrorsIsVoid(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "data"))
	for name, c := range map[string]struct {
		at   int64 // which request fails
		says string
	}{
		"while loading": {30, "users: 1 × 503"},
		"at a rate":     {280, "get: 1 × 503"},
	} {
		var n atomic.Int64
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if n.Add(1) == c.at {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			forward(t, w, q, r.edge)
		}))
		code, out, errs := runLoad(t, front.Listener.Addr().String(),
			"--rate", "100/s", "--ramp", "0s", "--warmup", "0s", "--duration", "500ms", "--mix", "get=1")
		front.Close()
		if code != 1 || !strings.Contains(errs, "this run is void: "+c.says) || !strings.Contains(out, "open load: get=1") {
			t.Errorf("%s: %d: %s%s", name, code, out, errs)
		}
	}
}

// forward sends a request on and its answer back.
func forward(t *testing.T, w http.ResponseWriter, q *http.Request, address string) {
	out := q.Clone(q.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", address, ""
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = slices.Clone(values)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func TestTheLiveLineSaysHowItGoesAndWhatWorries(t *testing.T) {
	p := loadgen.OpenProgress{
		At: 12400 * time.Millisecond, Of: 37 * time.Second, Rate: 1996, InFlight: 12,
		P50: time.Millisecond, P99: 3 * time.Millisecond, Worst: 9 * time.Millisecond,
	}
	if got, want := liveText(p), "12s of 37s  1996/s  12 under way  p50 1ms  p99 3ms  max 9ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.Held, p.Errors = 5, 2
	if got := liveText(p); !strings.HasSuffix(got, "  5 held  2 ERRORS") {
		t.Errorf("%q", got)
	}
	var b bytes.Buffer
	l := liveLine{out: &b}
	l.write("a long line")
	l.write("short")
	l.clear()
	if got, want := b.String(), "\ra long line\rshort      \r     \r"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
