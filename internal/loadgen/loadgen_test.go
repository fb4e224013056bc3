package loadgen

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ensemble/client"
	"ensemble/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func compressed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestGraphFilesOfManyKinds(t *testing.T) {
	want := &Graph{People: []int64{10, 20, 30}, Friendships: [][2]int{{0, 1}, {1, 2}}}
	for name, text := range map[string]string{
		"spaces":              "10 20\n20 30\n",
		"tabs":                "10\t20\n20\t30",
		"commas and a header": "id_1,id_2\n10,20\n20,30\n",
		"semicolons":          "10;20\n20;30\n",
		"Windows lines":       "10 20\r\n20 30\r\n",
		"comments and blanks": "# a network\n\n% of three\n10 20\n20 30\n",
		"a weight behind":     "10 20 0.5\n20 30 0.7\n",
		"gzip":                compressed("10 20\n20 30\n"),
		"a byte order mark":   "\ufeff10 20\n20 30\n",
		"a mark and a header": "\ufeffid_1,id_2\n10,20\n20,30\n",
	} {
		got, err := ReadGraph(strings.NewReader(text), "file")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %s %v", name, diff, err)
		}
	}
}

func TestSelvesAndRepetitionsAreLeftOutAndCounted(t *testing.T) {
	got, err := ReadGraph(strings.NewReader("1 2\n2 1\n1 1\n1 2\n3 1\n"), "file")
	want := &Graph{People: []int64{1, 2, 3}, Friendships: [][2]int{{0, 1}, {2, 0}}, Selves: 1, Repeated: 2}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
}

func TestWhatIsNoGraphIsRefusedWithTheLine(t *testing.T) {
	for text, says := range map[string]string{
		"":                                       "file has none",
		"1 2\nx 3\n":                             `file:2: "x" is not a whole number`,
		"1 2\n3\n":                               "file:2: want two numbers",
		"a b\nc d\n":                             `file:2: "c" is not a whole number`,
		"1 2\n3 99999999999999999999\n":          "file:2",
		"1 2\n" + strings.Repeat("9", 2*MaxLine): "token too long",
		"\x1f\x8bgarbage":                        "unexpected EOF",
	} {
		if _, err := ReadGraph(strings.NewReader(text), "file"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func FuzzReadGraph(f *testing.F) {
	f.Add([]byte("1 2\n2 3\n"))
	f.Add([]byte("a,b\n1,2\n"))
	f.Add([]byte(compressed("1 2\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ReadGraph(bytes.NewReader(data), "file")
		if err != nil {
			return
		}
		for _, pair := range g.Friendships {
			if pair[0] == pair[1] || max(pair[0], pair[1]) >= len(g.People) {
				t.Fatalf("%v among %d people", pair, len(g.People))
			}
		}
	})
}

func TestTheDemonstrationIsTheWholeNetwork(t *testing.T) {
	g, err := Demo()
	if err != nil || len(g.People) != 4039 || len(g.Friendships) != 88234 || g.Selves+g.Repeated != 0 {
		t.Fatalf("%d people, %d friendships, %v", len(g.People), len(g.Friendships), err)
	}
}

func TestTheSameSeedMakesTheSameNetwork(t *testing.T) {
	a, b, c := Random(50, 200, 1), Random(50, 200, 1), Random(50, 200, 2)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(a, c) {
		t.Error("another seed makes the same network")
	}
	if len(a.People) != 50 || len(a.Friendships) != 200 {
		t.Errorf("%d people, %d friendships", len(a.People), len(a.Friendships))
	}
	if few := Random(4, 1000, 1); len(few.Friendships) != 3 {
		t.Errorf("four people have %d friendships", len(few.Friendships))
	}
}

func TestNamesAreTheSameForTheSamePersonAndNeverBlank(t *testing.T) {
	n, other := NewNames(1), NewNames(2)
	different := 0
	for person := range int64(1000) {
		first, last := n.Of(person)
		again, _ := NewNames(1).Of(person)
		if first == "" || last == "" || first != again {
			t.Fatalf("person %d is %q %q, then %q", person, first, last, again)
		}
		if f, l := other.Of(person); f != first || l != last {
			different++
		}
	}
	if different < 900 {
		t.Errorf("another seed gave only %d others", different)
	}
}

// model is a gateway by brute force, which misbehaves on demand.
type model struct {
	mu      sync.Mutex
	keys    map[string]string // answers by idempotency key
	users   int64
	friends int64
	fail    func(n int, key string) int // status for the n-th request, 0 to behave
	n       int
}

func newModel() *model {
	return &model{keys: map[string]string{}, fail: func(int, string) int { return 0 }}
}

const (
	lostBefore = -1 // the connection is lost before the command happens
	lostAfter  = -2 // and after
)

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	key := r.Header.Get("Idempotency-Key")
	switch status := m.fail(m.n, key); status {
	case 0:
	case lostBefore:
		panic(http.ErrAbortHandler)
	case lostAfter:
		m.answer(r, key)
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(wire.Problem{Type: "/problems/busy", Status: status})
		return
	}
	answer := m.answer(r, key)
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusCreated)
	}
	_, _ = io.WriteString(w, answer)
}

func (m *model) answer(r *http.Request, key string) string {
	if before, known := m.keys[key]; known && key != "" {
		return before
	}
	var answer string
	switch {
	case r.Method == http.MethodGet:
		return "[]"
	case strings.HasSuffix(r.URL.Path, "/users"):
		m.users++
		answer = fmt.Sprintf(`{"id":%d,"firstName":"A","lastName":"B","createdAt":null,"lastModified":null}`, m.users)
	default:
		m.friends++
		answer = fmt.Sprintf(`{"id":%d,"userId":1,"friendId":2,"createdAt":null,"updatedAt":null}`, m.friends)
	}
	m.keys[key] = answer
	return answer
}

// load runs a small network against a model.
func load(t *testing.T, m *model, o Options) (Report, error) {
	t.Helper()
	o.Client = client.New("http://model", &http.Client{Transport: InProcess{Handler: m}})
	o.Graph = Random(20, 60, 1)
	return Run(t.Context(), o)
}

func TestALoadMakesEveryPersonAndFriendshipOnce(t *testing.T) {
	m := newModel()
	ids := make([]int64, 20)
	var phases []string
	var mu sync.Mutex
	report, err := load(t, m, Options{Reads: 40, Keys: "a-", IDs: ids, Workers: 8, Progress: func(phase string, done, total int) {
		mu.Lock()
		defer mu.Unlock()
		if done == total {
			phases = append(phases, phase)
		}
	}})
	if err != nil || m.users != 20 || m.friends != 60 {
		t.Fatalf("%d users, %d friendships, %v", m.users, m.friends, err)
	}
	if diff := cmp.Diff([]string{"users", "friendships", "reads"}, phases); diff != "" {
		t.Error(diff)
	}
	for i, want := range []int{20, 60, 40} {
		if p := report.Phases[i]; p.Done != want || p.Retries != 0 || len(p.Errors) != 0 || p.Max <= 0 || p.P50 > p.P999 {
			t.Errorf("%+v", p)
		}
	}
	seen := map[int64]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(seen) != 20 || seen[0] {
		t.Errorf("ids %v", ids)
	}
}

func TestWhatWasNotAnsweredIsSentAgainAndHappensOnce(t *testing.T) {
	for name, status := range map[string]int{
		"busy": 503, "too many": 429, "still running": 409, "lost before": lostBefore, "lost after": lostAfter,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel()
				m.fail = func(n int, _ string) int {
					if n%3 == 0 {
						return status
					}
					return 0
				}
				report, err := load(t, m, Options{Keys: "a-", Workers: 4})
				if err != nil || m.users != 20 || m.friends != 60 {
					t.Fatalf("%d users, %d friendships, %v", m.users, m.friends, err)
				}
				if p := report.Phases[0]; p.Retries == 0 || len(p.Errors) != 1 {
					t.Fatalf("the report hides the retries: %+v", p)
				}
			})
		})
	}
}

func TestARefusalForGoodEndsTheRun(t *testing.T) {
	m := newModel()
	m.fail = func(n int, _ string) int {
		if n == 5 {
			return 422
		}
		return 0
	}
	report, err := load(t, m, Options{Keys: "a-", Workers: 2})
	problem, ok := errors.AsType[*client.ProblemError](err)
	if !ok || problem.Problem.Status != 422 || !strings.Contains(err.Error(), "users:") {
		t.Fatalf("it ended with %v", err)
	}
	if len(report.Phases) != 1 || report.Phases[0].Errors["422 busy"] != 1 {
		t.Fatalf("%+v", report.Phases)
	}
}

func TestASystemThatStaysAwayEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.fail = func(int, string) int { return 503 }
		began := time.Now()
		_, err := load(t, m, Options{Keys: "a-", Workers: 1})
		if _, ok := errors.AsType[*client.ProblemError](err); !ok {
			t.Fatalf("it ended with %v", err)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > 2*time.Minute {
			t.Fatalf("after %v", waited)
		}
	})
}

func TestARunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newModel()
	m.fail = func(n int, _ string) int {
		if n == 30 {
			cancel()
		}
		return 0
	}
	_, err := Run(ctx, Options{
		Client: client.New("http://model", &http.Client{Transport: InProcess{Handler: m}}),
		Graph:  Random(100, 100, 1), Workers: 3, Keys: "a-",
	})
	if !errors.Is(err, context.Canceled) || m.users > 40 {
		t.Fatalf("%d users, %v", m.users, err)
	}
}

func TestTheReportIsATable(t *testing.T) {
	r := Report{Phases: []Phase{
		{
			Name: "users", Done: 4039, Took: 1200 * time.Millisecond, Latencies: Latencies{
				800 * time.Microsecond, 2 * time.Millisecond, 3456 * time.Microsecond, 5 * time.Millisecond, 1234 * time.Millisecond,
			},
		},
		{Name: "reads", Done: 1, Took: time.Second, Retries: 2, Errors: map[string]int{"503 busy": 2, "no answer": 1}},
	}}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `         done  took  per second    p50  p90     p99  p99.9    max
  users  4039  1.2s        3366  800µs  2ms  3.46ms    5ms  1.23s
  reads     1    1s           1     0s   0s      0s     0s     0s
reads: 2 × 503 busy (retries: 2)
reads: 1 × no answer (retries: 2)
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Fatal(diff)
	}
}

func TestInProcessIsLikeTheNetwork(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Uri", r.RequestURI)
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK) // too late, as on the network
			_, _ = w.Write(body)
		case "/abort":
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}
	})
	c := &http.Client{Transport: InProcess{Handler: h}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/echo?a=1", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if string(body) != "body" || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Uri") != "/echo?a=1" || err != nil {
		t.Fatalf("%s %d %v %v", body, resp.StatusCode, resp.Header, err)
	}
	req, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/abort", nil)
	if _, err := c.Do(req); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("an aborted answer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ = http.NewRequestWithContext(ctx, http.MethodGet, "http://x/echo", nil)
	if _, err := c.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("an ended context: %v", err)
	}
}
