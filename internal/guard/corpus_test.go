package guard_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/internal/guard"
	"ensemble/wire"
)

// entry is one raw request of the corpus; see testdata/corpus/README.md.
type entry struct {
	name, about, want, bytes string
}

var repeated = regexp.MustCompile(`<([^<>*]+)\*(\d+)>`)

// corpus reads all entries.
func corpus(t apitest.TB) []entry {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if name, ok := strings.CutPrefix(line, "== "); ok {
				entries = append(entries, entry{name: name})
				continue
			}
			e := &entries[len(entries)-1]
			switch about, isAbout := strings.CutPrefix(line, "# "); {
			case isAbout && e.about == "":
				e.about = about
			case e.want == "":
				e.want = strings.TrimPrefix(line, "> ")
			default:
				e.bytes += raw(t, line)
			}
		}
	}
	return entries
}

// raw turns a line of the corpus into bytes.
func raw(t apitest.TB, line string) string {
	t.Helper()
	line = repeated.ReplaceAllStringFunc(line, func(s string) string {
		parts := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(parts[2])
		return strings.Repeat(parts[1], n)
	})
	bytes, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatalf("not a line of bytes: %v: %.80s", err, line)
	}
	return bytes
}

// port is an open port and where users are behind it.
type port struct {
	name, addr, prefix string
}

// ports serves the gateway and the service of users of one system, each on a port
// of its own, as people run them.
func ports(t apitest.TB, s *apitest.System, l guard.Limits) []port {
	t.Helper()
	addr := func(h http.Handler) string {
		return apitest.Listen(t, h, guard.Config{Limits: l}).Listener.Addr().String()
	}
	return []port{{"gateway", addr(s.Gateway), "/user"}, {"service", addr(s.User), ""}}
}

// dial connects to a port. A test that hangs says where after half a minute.
func (p port) dial(t apitest.TB) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// legal is a request that every port answers with 200.
func (p port) legal() string {
	return "GET " + p.prefix + "/v1/users HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
}

// serves fails unless a new connection gets an answer.
func (p port) serves(t apitest.TB) {
	t.Helper()
	c := p.dial(t)
	defer c.Close()
	io.WriteString(c, p.legal())
	if got := answer(t, bufio.NewReader(c), "GET"); got != "200" {
		t.Errorf("a legal request on a new connection is answered %s", got)
	}
}

// answer reads one answer and returns it as the corpus writes it: its status, and
// the slug if it is a problem. Every refusal has to be a problem, never plain text.
func answer(t apitest.TB, r *bufio.Reader, method string) string {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return "nothing: " + err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("the body of an answer breaks off: %v", err)
	}
	status := strconv.Itoa(resp.StatusCode)
	if resp.StatusCode < 400 {
		return status
	}
	if got := resp.Header.Get("Content-Type"); got != wire.ProblemType {
		t.Errorf("%s is answered as %s: %s", status, got, body)
	}
	if method == http.MethodHead {
		if len(body) > 0 {
			t.Errorf("the answer to HEAD has a body: %s", body)
		}
		return status
	}
	var p wire.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status != resp.StatusCode || p.Detail == "" || p.RequestID != resp.Header.Get("X-Request-Id") {
		t.Errorf("not a whole problem: %v: %s", err, body)
	}
	return status + " " + strings.TrimPrefix(p.Type, "/problems/")
}

// TestCorpus sends every raw request of the corpus to the port of the gateway and
// to that of a service. Each gets exactly the answers it has to get and not one
// more, none changes anything, and the port goes on serving.
func TestCorpus(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	entries := corpus(t)
	if len(entries) < 100 {
		t.Fatalf("the corpus has %d entries", len(entries))
	}
	before := positions(t, s)
	for _, p := range ports(t, s, guard.Limits{}) {
		for _, e := range entries {
			t.Run(p.name+"/"+e.name, func(t *testing.T) {
				if e.about == "" {
					t.Error("nobody says what it attacks")
				}
				p.plays(t, e)
				p.serves(t)
				if after := positions(t, s); after != before {
					t.Errorf("something was changed: the logs were at %s and are at %s", before, after)
				}
			})
		}
	}
}

// plays sends one entry and holds what comes back against what has to come.
func (p port) plays(t *testing.T, e entry) {
	t.Helper()
	c := p.dial(t)
	defer c.Close()
	go io.WriteString(c, strings.ReplaceAll(e.bytes, "{user}", p.prefix)) // refused halfway, it may fail
	wants, end, ok := cutLast(e.want, ", ")
	if !ok || end != "open" && end != "closed" {
		t.Fatalf("it has to say whether the connection is open or closed: %s", e.want)
	}
	wants, head := strings.CutPrefix(wants, "HEAD ")
	method := "GET"
	if head {
		method = "HEAD"
	}
	r := bufio.NewReader(c)
	for want := range strings.SplitSeq(wants, "; ") {
		if got := answer(t, r, method); got != want {
			t.Fatalf("answered %s, not %s", got, want)
		}
	}
	if end == "open" {
		io.WriteString(c, p.legal())
		if got := answer(t, r, "GET"); got != "200" {
			t.Errorf("the next request on the connection is answered %s", got)
		}
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("something follows the last answer: %q", rest)
	}
}

// positions returns where both logs are.
func positions(t apitest.TB, s *apitest.System) string {
	t.Helper()
	var at []eventstore.Position
	for _, log := range []*eventstore.Store{s.UserLog, s.FriendLog} {
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, head.Position)
	}
	return fmt.Sprint(at)
}

// cutLast cuts at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
