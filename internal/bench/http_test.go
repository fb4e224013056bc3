package bench

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/internal/loadgen"
)

// network is a small one.
func network() *loadgen.Graph { return loadgen.Random(100, 500, 1) }

// TestTheBaselineOfHTTPAnswersOneCommandAtATime: and the system itself many.
func TestTheBaselineOfHTTPAnswersOneCommandAtATime(t *testing.T) {
	var now, together, alone atomic.Int64
	h := &httpMeasure{size: small(), ids: make([]int64, 60)}
	for i := range h.ids {
		h.ids[i] = int64(i + 1)
	}
	h.Network = loadgen.Random(60, 0, 1)
	met := make(chan struct{})
	h.Gateway = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		if h.oneByOne.Load() {
			alone.Store(max(alone.Load(), n))
			time.Sleep(time.Millisecond) // long enough to be met, if anybody could come
			return
		}
		if n == 2 && together.Swap(2) != 2 {
			close(met) // the first two have met
		}
		<-met
	})
	if err := h.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	row, err := h.commands(t.Context())
	if err := h.close(); err != nil {
		t.Error(err)
	}
	if err != nil || row.Void != "" || row.Ratio <= 0 {
		t.Errorf("%+v, %v", row, err)
	}
	if together.Load() != 2 || alone.Load() != 1 {
		t.Errorf("%d at once, and in the baseline %d", together.Load(), alone.Load())
	}
}

func TestWhatIsNoSuccessIsAFailure(t *testing.T) {
	h := &httpMeasure{Served: Served{Gateway: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("ten bytes."))
			panic(http.ErrAbortHandler)
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/refused":
			http.Error(w, "no", http.StatusConflict)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})}}
	if err := h.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	for path, says := range map[string]string{
		"/": "", "/cut": "EOF", "/moved": "was answered 302", "/refused": "GET /refused was answered 409: no",
	} {
		_, err := h.send(t.Context(), 3, 5, func(dst []byte, _ int64) []byte {
			return AppendRequest(dst, http.MethodGet, h.address, path)
		})
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", path, err)
		}
		if open := len(h.fast[3]); (open == 3) != (says == "") { // those that failed are of no use any more
			t.Errorf("%s: %d connections are kept", path, open)
		}
	}
}

// TestStrangersAreNoFriendsAndComeOnce: so that none of the commands is refused.
func TestStrangersAreNoFriendsAndComeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(10, 60).Draw(t, "people")
		g := loadgen.Random(people, rapid.IntRange(0, people).Draw(t, "friendships"), 1)
		h := &httpMeasure{Served: Served{Network: g}, ids: make([]int64, people)}
		friends := map[[2]int64]bool{}
		for i := range h.ids {
			h.ids[i] = int64(1000 + i)
		}
		for _, p := range g.Friendships {
			a, b := h.ids[p[0]], h.ids[p[1]]
			friends[[2]int64{min(a, b), max(a, b)}] = true
		}
		strangers := h.strangers(people)
		for _, p := range strangers {
			pair := [2]int64{min(p[0], p[1]), max(p[0], p[1])}
			if friends[pair] || p[0] == p[1] || pair[0] < 1000 {
				t.Fatalf("%v are friends already", p)
			}
			friends[pair] = true
		}
		if len(strangers) != people || !slices.Equal(strangers, h.strangers(people)) {
			t.Fatal("too few, or not the same twice")
		}
	})
}

func TestAProfileNeedsItsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	rows, err := HTTP(t.Context(), Served{Gateway: gateway(t), Network: network(), Profile: dir}, small())
	if err == nil && len(rows) > 1 && rows[1].Void == "" {
		t.Errorf("%+v, %v", rows, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it was made: %v", err)
	}
}

// TestASystemThatRefusesToBeFilledHasNoRows: there is nothing to measure then.
func TestASystemThatRefusesToBeFilledHasNoRows(t *testing.T) {
	rows, err := HTTP(t.Context(), Served{Network: network(), Gateway: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	})}, small())
	if err == nil || len(rows) != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestARetryWhileLoadingIsVoid: what was tried again took longer than it says.
func TestARetryWhileLoadingIsVoid(t *testing.T) {
	var refused atomic.Bool
	next := gateway(t)
	h := &httpMeasure{size: small(), ids: make([]int64, 100), Served: Served{
		Network: network(),
		Gateway: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refused.CompareAndSwap(false, true) {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		}),
	}}
	row, err := h.load(t.Context())
	if err != nil || !strings.Contains(row.Void, "users: 1 × 503") || slices.Contains(h.ids, 0) {
		t.Errorf("%+v, %v", row, err)
	}
}
