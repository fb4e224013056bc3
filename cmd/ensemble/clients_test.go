package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"ensemble/internal/bench"
)

// clientsCommand is the name under which this test binary is clients.
const clientsCommand = "ensemble-clients"

// What clients may ask for.
const (
	recommend = "recommend" // ten recommendations of everybody in turn
	add       = "add"       // friendships that are not there yet
)

// clients are connections in a process of their own, so that the processor time of
// who serves them can be told from theirs.
type clients struct {
	Kind        string
	Address     string // host:port
	Connections int
	Requests    int
	People      int   // ids are 1, 2, …
	First       int64 // how many pairs were added before
}

// write appends the i-th request, counted from 1.
func (c clients) write(dst []byte, i int64) []byte {
	if c.Kind == recommend {
		return bench.AppendRecommend(dst, c.Address, int64(bench.Scattered(i, c.People))+1)
	}
	by, to := c.pair(c.First + i - 1)
	return bench.AppendAddFriend(dst, c.Address, by, to)
}

// pair returns the i-th pair: everybody, in random order, and who is next to them;
// then everybody and who is two away, and so on. None comes twice, in either
// direction, among half of all pairs.
func (c clients) pair(i int64) (by, to int64) {
	people := int64(c.People)
	x := int64(bench.Scattered(i, c.People))
	distance := i/people + 1
	return x + 1, (x+distance)%people + 1
}

// run reads what to ask for from in, connects, says so, waits for a line, sends, and
// says how long it took.
func (c clients) run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.Join(lines.Err(), errors.New("nothing to do"))
	}
	if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
		return err
	}
	all, err := bench.DialAll(ctx, c.Address, c.Connections)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	if _, err := fmt.Fprintln(out, "connected"); err != nil {
		return err
	}
	if !lines.Scan() {
		return errors.Join(lines.Err(), errors.New("nobody said go"))
	}
	took, err := all.Send(ctx, c.Requests, c.write)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, int64(took))
	return err
}

// mainClients is the process of clients.
func mainClients() {
	if err := (clients{}).run(context.Background(), os.Stdin, os.Stdout); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// startClients starts a process of clients and connects them; run has them send their
// requests and returns how long that took. A failure makes the benchmark void.
func startClients(b testing.TB, c clients) (run func() time.Duration) {
	b.Helper()
	executable, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), executable)
	cmd.Args[0] = clientsCommand
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // more would only look for work
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if err := json.NewEncoder(in).Encode(c); err != nil || !lines.Scan() || lines.Text() != "connected" {
		b.Fatal("void: ", err, lines.Text(), cmd.Wait())
	}
	return func() time.Duration {
		b.Helper()
		var took int64
		if _, err := io.WriteString(in, "go\n"); err != nil {
			b.Fatal(err)
		}
		said := lines.Scan()
		if err := cmd.Wait(); err != nil || !said {
			b.Fatal("void: the clients failed: ", err)
		}
		if _, err := fmt.Sscan(lines.Text(), &took); err != nil {
			b.Fatal(err)
		}
		return time.Duration(took)
	}
}

// TestClientsAddEachPairOnce: in either direction, and nobody themself.
func TestClientsAddEachPairOnce(t *testing.T) {
	const people = 101
	c := clients{People: people}
	seen := map[[2]int64]bool{}
	for i := range int64(people * (people - 1) / 2) {
		a, b := c.pair(i)
		pair := [2]int64{min(a, b), max(a, b)}
		if a == b || pair[0] < 1 || pair[1] > people || seen[pair] {
			t.Fatalf("pair %d: %d and %d", i, a, b)
		}
		seen[pair] = true
	}
}

// TestClientsAreAProcessOfTheirOwn: they connect before they are told to go, send what
// they are asked to, over so many connections, and end.
func TestClientsAreAProcessOfTheirOwn(t *testing.T) {
	var mu sync.Mutex
	seen, from := map[string]int{}, map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.RequestURI]++
		from[r.RemoteAddr] = true
	}))
	defer server.Close()
	for _, kind := range []string{recommend, add} {
		run := startClients(t, clients{
			Kind: kind, Address: server.Listener.Addr().String(), Connections: 3, Requests: 40, People: 20, First: 5,
		})
		if took := run(); took <= 0 || took > time.Minute {
			t.Errorf("%s took %v", kind, took)
		}
	}
	for uri, n := range seen {
		if want := map[bool]int{true: 2, false: 1}[strings.HasPrefix(uri, "/recommendation/")]; n != want {
			t.Errorf("%s was sent %d times, want %d", uri, n, want)
		}
	}
	if len(seen) != 20+40 || len(from) > 6 {
		t.Errorf("%d requests from %d connections", len(seen), len(from))
	}
}

// TestClientsSayWhatTheyMiss: who reads their output learns why there is no number.
func TestClientsSayWhatTheyMiss(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	work := fmt.Sprintf(`{"Kind":"recommend","Address":%q,"Connections":2,"Requests":9,"People":5}`, server.Listener.Addr())
	for _, c := range []struct {
		in, out, says string
		status        int
	}{
		{"", "", "nothing to do", 200},
		{"no JSON\n", "", "invalid character", 200},
		{`{"Address":"127.0.0.1:1","Connections":1}` + "\n", "", "refused", 200},
		{work + "\n", "connected\n", "nobody said go", 200},
		{work + "\ngo\n", "connected\n", "was answered 503", 503},
		{work + "\ngo\n", "connected\n", "", 200},
	} {
		var out strings.Builder
		status = c.status
		err := (clients{}).run(t.Context(), strings.NewReader(c.in), &out)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.in, err, c.says)
		}
		if took := strings.TrimPrefix(out.String(), c.out); c.says != "" && took != "" || c.says == "" && took == "" {
			t.Errorf("%q: it says %q", c.in, &out)
		}
	}
}
