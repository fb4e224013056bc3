//go:build unix

package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"ensemble/broker"
	"ensemble/broker/brokertest"
	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/user"
	"ensemble/wire"
)

// recorded is a log whose events are there: reading it costs next to nothing, so that what
// is measured is rendering and sending.
type recorded struct {
	eventstore.Driver // the methods that nobody calls

	events []eventstore.Event
}

// ReadAll implements [eventstore.Driver].
func (l *recorded) ReadAll(_ context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	from := min(int(after), len(l.events))
	return l.events[from:min(from+limit, len(l.events))], nil
}

// Head implements [eventstore.Driver].
func (l *recorded) Head(context.Context) (eventstore.Head, error) {
	return eventstore.Head{Position: eventstore.Position(len(l.events)), Lineage: eventstore.Lineage{{UUID: [16]byte{1}, First: 1}}}, nil
}

// Close implements [eventstore.Driver].
func (*recorded) Close() error { return nil }

// people returns a log of n people, with names that are sealed as in any log.
func people(tb testing.TB, n int) (*recorded, user.Keys) {
	tb.Helper()
	keys, err := keyring.Open(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = keys.Close() })
	log := &recorded{}
	for i := range n {
		key, err := keys.New(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		e, err := user.Encode(keys, user.Created{FirstName: fmt.Sprint("First", i), LastName: "Lastname", Key: key})
		if err != nil {
			tb.Fatal(err)
		}
		log.add(user.Stream(int64(i+1)), e)
	}
	return log, keys
}

// friendships returns a log of n friendships.
func friendships(tb testing.TB, n int) *recorded {
	tb.Helper()
	log := &recorded{}
	for i := range int64(n) {
		e, err := friend.Encode(friend.Added{By: i%100_000 + 1, To: i%99_991 + 100_002})
		if err != nil {
			tb.Fatal(err)
		}
		log.add(friend.Stream(i%100_000+1, i%99_991+100_002), e)
	}
	return log
}

// add appends an event.
func (l *recorded) add(s eventstore.Stream, e eventstore.NewEvent) {
	p := int64(len(l.events) + 1)
	l.events = append(l.events, eventstore.Event{
		Stream: s, Version: 1, Position: eventstore.Position(p), Number: p, Type: e.Type, Data: e.Data, Time: time.UnixMicro(1669477531123456 + p).UTC(),
	})
}

// BenchmarkRelay measures how fast the events of a log reach a topic, rendered as the
// Spring system reads them. Beside it, in the same run: rendering alone.
//
//	go test -run '^$' -bench Relay -benchtime 3x ./broker/kafka
func BenchmarkRelay(b *testing.B) {
	const n = 300_000
	persons, keys := people(b, n/10)
	for _, log := range []struct {
		name   string
		log    *recorded
		render func(*eventstore.Event, eventstore.Lineage) (broker.Record, error)
	}{{"friend", friendships(b, n), wire.FriendRecords()}, {"user", persons, wire.UserRecords(keys)}} {
		b.Run("rendering/"+log.name, func(b *testing.B) {
			lineage := eventstore.Lineage{{UUID: [16]byte{1}, First: 1}}
			b.ReportAllocs()
			for i := range b.N {
				if _, err := log.render(&log.log.events[i%len(log.log.events)], lineage); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, server := range benchServers {
			b.Run(server.name+"/"+log.name, func(b *testing.B) {
				brokers, begun := server.start(b), processorTime(b)
				b.ResetTimer()
				for range b.N {
					relayAll(b, brokers, log.log, log.render)
				}
				events := float64(b.N) * float64(len(log.log.events))
				b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64((processorTime(b)-begun).Nanoseconds())/1000/events, "cpu-µs/event")
			})
		}
	}
}

// benchServers also have one that takes records and keeps none: what the client alone costs.
var benchServers = append([]server{
	{"nothing kept", func(tb testing.TB) []string { return fake(tb, kfake.BlackholeProduce()).ListenAddrs() }},
}, servers...)

// relayAll sends a whole log to a new topic.
func relayAll(b *testing.B, brokers []string, log *recorded, render func(*eventstore.Event, eventstore.Lineage) (broker.Record, error)) {
	store, err := eventstore.Open(b.Context(), log, eventstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	to := connect(b, brokers)
	defer to.Close()
	relay := broker.NewRelay(broker.RelayConfig{Log: store, Topic: brokertest.Topic(), Broker: to, Render: render})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	for relay.Status().Records < int64(len(log.events)) {
		select {
		case err := <-ended:
			b.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
}

// processorTime returns how much of the processors this process has had, a fake broker
// included: on a machine with other work it says more than the time that has passed.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// arrived is a read side that says when each event came.
type arrived chan time.Time

// Apply implements [projection.Projection].
func (a arrived) Apply(_ context.Context, events []eventstore.Event) error {
	for range events {
		a <- time.Now()
	}
	return nil
}

// BenchmarkVisible measures how long it takes from the commit of a friendship until a
// consumer has it, through the relay and a broker, one at a time.
//
//	go test -run '^$' -bench Visible -benchtime 2000x ./broker/kafka
func BenchmarkVisible(b *testing.B) {
	for _, server := range servers {
		b.Run(server.name, func(b *testing.B) {
			brokers, topic := server.start(b), brokertest.Topic()
			store, err := eventstore.Open(b.Context(), memory.New(memory.Options{}), eventstore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			from := connect(b, brokers)
			defer from.Close()
			if err := from.Prepare(b.Context(), topic); err != nil {
				b.Fatal(err)
			}
			relay := broker.NewRelay(broker.RelayConfig{Log: store, Topic: topic, Broker: from, Render: wire.FriendRecords()})
			came := make(arrived, 1)
			consumer := broker.NewConsumer(broker.ConsumerConfig{Topic: topic, Partitions: 1, Decode: wire.ReadFriendRecord, To: came})
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 2)
			go func() { ended <- relay.Run(ctx) }()
			go func() { ended <- consumer.Run(ctx, from, nil) }()
			var took []time.Duration
			for i := range int64(b.N + 100) {
				e, err := friend.Encode(friend.Added{By: i + 1, To: i + 2})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := store.Append(ctx, eventstore.Write{Stream: friend.Stream(i+1, i+2), Events: []eventstore.NewEvent{e}}); err != nil {
					b.Fatal(err)
				}
				committed := time.Now()
				took = append(took, (<-came).Sub(committed))
			}
			cancel()
			<-ended
			<-ended
			took = took[100:] // until everything is connected
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
