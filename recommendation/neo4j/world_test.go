package neo4j_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/servertest"
	"ensemble/recommendation"
	"ensemble/recommendation/neo4j"
	"ensemble/user"
)

// dial opens a backend at an address, and closes it with the test.
func dial(t *testing.T, c neo4j.Config) *neo4j.Backend {
	t.Helper()
	b, err := neo4j.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// open returns a backend over the real database, emptied.
func open(t *testing.T) *neo4j.Backend {
	t.Helper()
	b := dial(t, neo4j.Config{URL: servertest.Neo4j(t)})
	empty(t, b)
	return b
}

func empty(t *testing.T, b *neo4j.Backend) {
	t.Helper()
	if err := b.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// cypher asks the database itself, past the backend, and returns the rows as text.
func cypher(t *testing.T, query string) string {
	t.Helper()
	d, err := driver.NewDriverWithContext(servertest.Neo4j(t), driver.NoAuth())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(t.Context())
	result, err := driver.ExecuteQuery(t.Context(), d, query, nil, driver.EagerResultTransformer)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	rows := make([]string, len(result.Records))
	for i, r := range result.Records {
		rows[i] = strings.TrimSpace(fmt.Sprintln(r.Values...))
	}
	return strings.Join(rows, "; ")
}

// number reads a number that cypher returned.
func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// at is the time of the n-th event of a log.
func at(n int64) time.Time { return time.UnixMicro(1_700_000_000_000_000 + n*1_000_001).UTC() }

// person is an event of the log of users, friendship one of the other log, each at its
// position.
func person(n, id int64, e user.Event) recommendation.Person {
	return recommendation.Person{
		ID: id, Position: eventstore.Position(n), Event: decider.Recorded[user.Event]{Event: e, Number: id, Time: at(n)},
	}
}

func friendship(n int64, e friend.Event) recommendation.Friendship {
	return recommendation.Friendship{Position: eventstore.Position(n), Event: decider.Recorded[friend.Event]{Event: e, Time: at(n)}}
}

// people are the first n people, each the event at the position of their id.
func people(n int64) (all []recommendation.Person) {
	for id := int64(1); id <= n; id++ {
		all = append(all, person(id, id, user.Created{FirstName: fmt.Sprint("P", id), LastName: "X", Key: id}))
	}
	return all
}

// apply brings a batch in.
func apply[E any](t *testing.T, to func(context.Context, []E) error, events ...E) {
	t.Helper()
	if err := to(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// names returns to whom somebody gets recommended, as "2P2×1".
func names(t *testing.T, b recommendation.Backend, id int64) string {
	t.Helper()
	var list []string
	for c, err := range b.Recommend(t.Context(), id, recommendation.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%d%s×%d", c.User.ID, c.User.FirstName, c.Weight))
	}
	return strings.Join(list, " ")
}

// proxy stands between a backend and the database, and is where the way to it breaks.
type proxy struct {
	net.Listener
	to      string
	serving sync.WaitGroup

	broken atomic.Bool  // connections are closed as they come
	silent atomic.Bool  // what the database says is kept back
	budget atomic.Int64 // how many bytes may still pass before a connection is cut; < 0: any

	mu   sync.Mutex
	open map[net.Conn]bool
}

// through returns a proxy to the database, and the URL to it.
func through(t *testing.T) (*proxy, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: listener, to: strings.TrimPrefix(servertest.Neo4j(t), "bolt://"), open: map[net.Conn]bool{}}
	p.budget.Store(-1)
	p.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.cut()
		p.serving.Wait()
	})
	return p, "bolt://" + listener.Addr().String()
}

// serve passes on what both say until one of them stops.
func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	if p.broken.Load() {
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	p.keep(conn, true)
	defer p.keep(conn, false)
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, conn, false) })
	both.Go(func() { p.pass(conn, server, true) })
	both.Wait()
}

// pass copies until the end, or until the budget is spent.
func (p *proxy) pass(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 512)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if answers && p.silent.Load() {
			continue
		}
		if left := p.budget.Load(); left >= 0 && p.budget.Add(int64(-n)) < 0 {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) keep(conn net.Conn, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if there {
		p.open[conn] = true
	} else {
		delete(p.open, conn)
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		conn.Close()
	}
}
