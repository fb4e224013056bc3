package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ensemble/client"
	"ensemble/friend"
	"ensemble/graph"
	"ensemble/internal/bench"
	"ensemble/internal/loadgen"
	"ensemble/recommendation/backendtest"
)

// The benchmarks of this file hold the graph, and the whole system over HTTP on
// loopback, against what one would write with Postgres instead. They need a Postgres
// where schemas may be made whose names begin with ensemble_bench:
//
//	ENSEMBLE_POSTGRES=postgres://… go test -run '^$' -bench Postgres ./cmd/ensemble
//
// Networks are kept there, so that only the first run has to load them. Clients have a
// process of their own. Of each row there is
//
//	requests/s     of all connections together
//	µs-server      processor time of one request in the process that serves it
//	µs-postgres    and in Postgres, if it runs on this machine
//	x-postgres     how many times the requests/s of Postgres are ours
//	x-processor    how many times our processor time is that of Postgres and its handler

// network is one to be loaded into both. The ids of its people are 1, 2 and so on.
type network struct {
	name   string
	people int
	pairs  [][2]int32
}

// facebook is the real network of 4,039 people, 88,234 friendships.
func facebook(b *testing.B) network {
	b.Helper()
	postgresURL(b)
	g, err := loadgen.Demo()
	if err != nil {
		b.Fatal(err)
	}
	n := network{name: "facebook", people: len(g.People)}
	for _, p := range g.Friendships {
		n.pairs = append(n.pairs, [2]int32{int32(p[0]) + 1, int32(p[1]) + 1})
	}
	return n
}

// k100 is the generated network of 100,000 people, five million friendships.
func k100(b *testing.B) network {
	b.Helper()
	postgresURL(b) // before it takes its time
	g := bench.Generated(100_000)
	return network{"k100", g.People, g.Pairs}
}

// BenchmarkPostgresGraph asks for ten recommendations as a program does that has the
// graph in its memory, or a connection to Postgres with a prepared statement that
// reads nothing but an index. Each question goes to both, and the answers are compared.
func BenchmarkPostgresGraph(b *testing.B) {
	n := k100(b)
	p := openBaseline(b, n, 1)
	lists := bench.NewLists(n.people, n.pairs)
	g := graph.New()
	if err := (&bench.Network{People: n.people, Pairs: n.pairs}).Changes(func(part []graph.Change) error {
		_, err := g.Apply(part)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	somebody := (&bench.Town{Network: &bench.Network{People: n.people}}).Somebody(3)
	for range 50 {
		p.rank(b, somebody()) // warm
	}
	b.Run(n.name, func(b *testing.B) {
		var ours, theirs []time.Duration
		var got []graph.Ranked
		paths := 0
		for b.Loop() {
			id := somebody()
			began := time.Now()
			got, _ = g.Recommend(got[:0], id, 10)
			between := time.Now()
			want := p.rank(b, id)
			ours, theirs = append(ours, between.Sub(began)), append(theirs, time.Since(between))
			paths += lists.Paths(id)
			if !slices.Equal(got, want) {
				b.Fatalf("void: %d is recommended %v, by Postgres %v", id, got, want)
			}
		}
		report := func(name string, times []time.Duration) (mean float64) {
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "µs-p50-"+name)
			b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1e3, "µs-p99-"+name)
			var all time.Duration
			for _, d := range times {
				all += d
			}
			b.ReportMetric(float64(paths)/all.Seconds()/1e6, "Mpaths/s-"+name)
			return all.Seconds() / float64(len(times))
		}
		b.ReportMetric(0, "ns/op") // of both together it says nothing
		graphMean := report("graph", ours)
		b.ReportMetric(report("postgres", theirs)/graphMean, "x-postgres")
	})
}

// BenchmarkPostgresRecommend asks for ten recommendations over HTTP on 64
// connections, of everybody of a network in turn.
func BenchmarkPostgresRecommend(b *testing.B) {
	for name, load := range map[string]func(*testing.B) network{"facebook": facebook, "k100": k100} {
		b.Run(name, func(b *testing.B) {
			n := load(b)
			p := openBaseline(b, n, 32)
			postgres, system := serveBaseline(b, p), serveSystem(b, n)
			sameAnswers(b, n.people, system, postgres)
			p.versus(b, system, postgres, func(b *testing.B, address string) measured {
				return ask(b, clients{Kind: recommend, Address: address, Connections: 64, People: n.people}, p)
			})
		})
	}
}

// BenchmarkPostgresAdd adds friendships over HTTP from 256 connections, against a
// transaction for each of them with a pool of ten.
func BenchmarkPostgresAdd(b *testing.B) {
	crowd := network{name: "crowd", people: 100_000}
	p := openBaseline(b, crowd, 10)
	postgres, system := serveBaseline(b, p), serveSystem(b, crowd)
	var from int64 // no pair comes twice, in any round
	p.versus(b, system, postgres, func(b *testing.B, address string) measured {
		first := from
		from += int64(b.N)
		return ask(b, clients{Kind: add, Address: address, Connections: 256, People: crowd.people, First: first}, p)
	})
}

// versus measures the system and then Postgres, and compares.
func (p *baseline) versus(b *testing.B, system, postgres string, measure func(*testing.B, string) measured) {
	b.Helper()
	var ours measured
	b.Run("ensemble", func(b *testing.B) { ours = measure(b, system) })
	b.Run("postgres", func(b *testing.B) {
		theirs := measure(b, postgres)
		if ours.rate > 0 { // it was not left out
			b.ReportMetric(ours.rate/theirs.rate, "x-postgres")
			b.ReportMetric((theirs.server+theirs.postgres)/ours.server, "x-processor")
		}
	})
}

// sameAnswers compares the answers of two addresses about some people: a row whose
// answers differ is void.
func sameAnswers(b *testing.B, people int, addresses ...string) {
	b.Helper()
	type recommendation struct {
		User   struct{ ID int64 }
		Weight int
	}
	for i := range int64(200) {
		var all [][]recommendation
		for _, address := range addresses {
			c, err := bench.Dial(b.Context(), address)
			if err != nil {
				b.Fatal(err)
			}
			status, body, err := c.Send(bench.AppendRecommend(nil, address, int64(bench.Scattered(i, people))+1))
			var answer []recommendation
			if err == nil {
				err = json.Unmarshal(body, &answer)
			}
			if err := errors.Join(err, c.Close()); err != nil || status != http.StatusOK {
				b.Fatalf("void: %d, %v: %.200s", status, err, body)
			}
			all = append(all, answer)
		}
		if !slices.Equal(all[0], all[1]) {
			b.Fatalf("void: answers differ: %+v, %+v", all[0], all[1])
		}
	}
}

// serveSystem runs the whole system on a folder of its own with the people of a
// network, and returns the address of the gateway. Its friendships go straight into
// the graph, as if they came from the log: five million commands would take minutes,
// and a question about recommendations never sees the log.
func serveSystem(b *testing.B, n network) string {
	b.Helper()
	s, err := openSystem(b.Context(), filepath.Join(b.TempDir(), "data"), discardLog())
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- s.run(ctx, listeners{{"edge", l}}, func(context.Context) error { close(ready); return nil })
	}()
	b.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, s.close()); err != nil {
			b.Error(err)
		}
	})
	<-ready
	_, err = loadgen.Run(b.Context(), loadgen.Options{
		Client:  client.New("http://gateway", &http.Client{Transport: loadgen.InProcess{Handler: s.handlers["edge"]}}),
		Workers: 256, Graph: loadgen.Random(n.people, 0, 1), Keys: "bench-",
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.caughtUp(b.Context()); err != nil {
		b.Fatal(err)
	}
	for part := range slices.Chunk(n.pairs, 5_000) {
		events := make([]friend.Event, len(part))
		for i, p := range part {
			events[i] = friend.Added{By: int64(p[0]), To: int64(p[1])}
		}
		if err := s.recommendations.Live().ApplyFriends(b.Context(), backendtest.Friendships(events...)); err != nil {
			b.Fatal(err)
		}
	}
	return l.Addr().String()
}

// measured is what a run has shown.
type measured struct {
	rate             float64 // requests a second
	server, postgres float64 // µs of processor time for one request
}

// ask has clients in another process send b.N requests to an address of this one.
func ask(b *testing.B, c clients, p *baseline) (m measured) {
	b.Helper()
	c.Requests = b.N
	run := startClients(b, c)
	server, postgres := processorTime(), p.processorTime(b)
	b.ResetTimer()
	took := run()
	b.StopTimer()
	n := float64(b.N)
	m.rate = n / took.Seconds()
	m.server = float64((processorTime() - server).Nanoseconds()) / 1e3 / n
	m.postgres = float64((p.processorTime(b) - postgres).Nanoseconds()) / 1e3 / n
	b.ReportMetric(m.rate, "requests/s")
	b.ReportMetric(m.server, "µs-server")
	b.ReportMetric(m.postgres, "µs-postgres")
	return m
}
