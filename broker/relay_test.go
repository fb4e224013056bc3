package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/broker"
	"ensemble/broker/memory"
	"ensemble/eventstore"
)

// relaying is a relay that runs in a bubble of time.
type relaying struct {
	*broker.Relay
	broker *memory.Broker
	log    *tape
	store  *eventstore.Store
	told   *lines
	stop   context.CancelFunc
	ended  chan error
}

// lines is a log of the operator's.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns what was written.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startRelay runs a relay until the end of the test.
func startRelay(t *testing.T, log *tape, b *memory.Broker, change func(*broker.RelayConfig)) *relaying {
	t.Helper()
	r := &relaying{broker: b, log: log, store: log.open(t), told: new(lines), ended: make(chan error, 1)}
	c := broker.RelayConfig{Log: r.store, Topic: topic, Broker: b, Render: render, Logger: slog.New(slog.NewTextHandler(r.told, nil))}
	if change != nil {
		change(&c)
	}
	r.Relay = broker.NewRelay(c)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case <-r.ended:
		case <-time.After(time.Hour): // bubble time: it would hang otherwise
			t.Error("the relay does not end")
		}
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// append appends n events as commands do.
func (r *relaying) append(t *testing.T, n int) {
	t.Helper()
	for range n {
		_, err := r.store.Append(t.Context(), eventstore.Write{
			Stream: eventstore.Stream{Category: "thing", ID: "1"}, Expected: eventstore.Any, Events: []eventstore.NewEvent{{Type: "Happened", Data: []byte("{}")}},
		})
		if err != nil {
			t.Fatalf("a command failed: %v", err)
		}
	}
}

// positions lists what the topic holds.
func positions(t *testing.T, b *memory.Broker) (all []eventstore.Position) {
	t.Helper()
	bounds, err := b.Bounds(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range b.Read(t.Context(), topic, 0, 0, bounds[0].End) {
		if err != nil {
			t.Fatal(err)
		}
		o, ours, err := broker.OriginOf(&r)
		if err != nil || !ours {
			t.Fatalf("a record is not ours: %v", err)
		}
		all = append(all, o.Position)
	}
	return all
}

// upTo is 1…n.
func upTo(n int) (all []eventstore.Position) {
	for p := 1; p <= n; p++ {
		all = append(all, eventstore.Position(p))
	}
	return all
}

func TestARelaySendsWhatIsThereThenEachNewEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTape(1)
		log.grow(12_000) // three pages
		r := startRelay(t, log, memory.New(), nil)
		synctest.Wait()
		for range 5 {
			r.append(t, 1)
			synctest.Wait()
		}
		if got := positions(t, r.broker); !slices.Equal(got, upTo(12_005)) {
			t.Errorf("the topic has %d events", len(got))
		}
		s := r.Status()
		if s.Sent != 12_005 || s.Head != 12_005 || s.Records != 12_005 || s.Resumes != 1 || !s.Leads || s.Failing != nil || s.Waiting != 0 {
			t.Errorf("it says %+v", s)
		}
	})
}

// TestCommandsGoOnWhileTheBrokerIsAway: for an hour. Health and status say so, the log is
// told once, and everything is sent when it is back.
func TestCommandsGoOnWhileTheBrokerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRelay(t, newTape(1), memory.New(), nil)
		r.append(t, 3)
		synctest.Wait()
		r.broker.SetAway(true)
		for range 60 {
			r.append(t, 2)
			time.Sleep(time.Minute)
		}
		s := r.Status()
		if s.Behind() != 120 || !errors.Is(s.Failing, memory.ErrAway) || s.Waiting < 59*time.Minute || s.Waiting > 61*time.Minute {
			t.Errorf("it says %+v", s)
		}
		if err := r.Check(t.Context()); !errors.Is(err, memory.ErrAway) || !strings.Contains(err.Error(), "120 events wait") {
			t.Errorf("its health is %v", err)
		}
		r.broker.SetAway(false)
		time.Sleep(6 * time.Second) // it asks every five
		if got := positions(t, r.broker); !slices.Equal(got, upTo(123)) {
			t.Errorf("the topic has %v", got)
		}
		if err := r.Check(t.Context()); err != nil {
			t.Errorf("its health is still %v", err)
		}
		if told := r.told.String(); strings.Count(told, "can't be sent") != 1 || strings.Count(told, "sent to the broker again") != 1 {
			t.Errorf("the operator was told\n%s", told)
		}
	})
}

// TestABrokerThatLostItsEndIsSentItAgain, whether the relay sees that from nothing happening,
// or from where the next page lands.
func TestABrokerThatLostItsEndIsSentItAgain(t *testing.T) {
	for _, quiet := range []bool{true, false} {
		t.Run(fmt.Sprint("quiet ", quiet), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startRelay(t, newTape(1), memory.New(), nil)
				r.append(t, 20)
				synctest.Wait()
				r.broker.CutEnd(topic, 8)
				want := upTo(20)
				if quiet {
					time.Sleep(11 * time.Second)
				} else {
					r.append(t, 1) // lands behind 12
					synctest.Wait()
					want = append(append(upTo(12), 21), upTo(21)[12:]...)
				}
				if got := positions(t, r.broker); !slices.Equal(got, want) {
					t.Errorf("the topic has %v", got)
				}
			})
		})
	}
}

// TestAGapLeftByACrashIsFilled: the relay that sent into the shorter topic never learned of
// it.
func TestAGapLeftByACrashIsFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(30)
		b.Make(topic, 1)
		for _, p := range append(upTo(10), upTo(30)[24:]...) { // 1…10, 25…30
			e := log.events[p-1]
			record, _ := render(&e, log.lineage)
			b.Put(topic, 0, record)
		}
		startRelay(t, log, b, nil)
		synctest.Wait()
		want := slices.Concat(upTo(10), upTo(30)[24:], upTo(30)[10:])
		if got := positions(t, b); !slices.Equal(got, want) {
			t.Errorf("the topic has %v", got)
		}
	})
}

func TestARelayGoesOnWhereTheTopicEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(7)
		first := startRelay(t, log, b, nil)
		synctest.Wait()
		first.stop()
		log.grow(5)
		startRelay(t, log, b, nil)
		synctest.Wait()
		if got := positions(t, b); !slices.Equal(got, upTo(12)) {
			t.Errorf("the topic has %v", got)
		}
	})
}

// TestTheRecordsOfOthersAreLookedThrough: however many there are, the last one of ours says
// where to go on.
func TestTheRecordsOfOthersAreLookedThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(4)
		first := startRelay(t, log, b, nil)
		synctest.Wait()
		first.stop()
		for range 25_000 {
			b.Put(topic, 0, broker.Record{Value: []byte("theirs")})
		}
		log.grow(1)
		startRelay(t, log, b, nil)
		synctest.Wait()
		bounds, err := b.Bounds(t.Context(), topic)
		if err != nil || bounds[0].End != 25_005 {
			t.Errorf("the topic has %v, %v", bounds, err)
		}
	})
}

// TestARestoredLogIsSentFromTheFork, and at once, so that consumers learn of it: also if it
// has nothing new.
func TestARestoredLogIsSentFromTheFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(10)
		first := startRelay(t, log, b, nil)
		synctest.Wait()
		first.stop()
		restored := log.restored(6, 2)
		startRelay(t, restored, b, nil)
		synctest.Wait()
		if got := positions(t, b); !slices.Equal(got, append(upTo(10), 6)) {
			t.Errorf("the topic has %v", got)
		}
	})
}

// TestALogThatIsRestoredWhileItIsSentIsNoticed: a standby that takes over for a database may
// have left events behind, and the process goes on.
func TestALogThatIsRestoredWhileItIsSentIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRelay(t, newTape(1), memory.New(), nil)
		r.append(t, 10)
		synctest.Wait()
		other := r.log.restored(6, 2)
		r.log.mu.Lock()
		r.log.events, r.log.lineage = other.events, other.lineage
		r.log.mu.Unlock()
		r.append(t, 6)
		synctest.Wait()
		want := slices.Concat(upTo(10), upTo(12)[5:]) // 6 again, which says so, then 7…12
		if got := positions(t, r.broker); !slices.Equal(got, want) {
			t.Errorf("the topic has %v", got)
		}
	})
}

// TestWhatEndsARelay: what an operator has to decide, and an event that nobody can send.
func TestWhatEndsARelay(t *testing.T) {
	full := func(uuid byte, n int) *tape {
		log := newTape(uuid)
		log.grow(n)
		return log
	}
	for _, c := range []struct {
		sentence   string
		sent, then *tape
		change     func(*broker.RelayConfig)
		want       string
	}{
		{"the topic holds another log", full(1, 5), full(2, 9), nil, "events of another log"},
		{"the log has lost its end", full(1, 5), full(1, 3), nil, "restore the log from a backup"},
		{"an event can't be rendered", full(1, 0), full(1, 3), func(c *broker.RelayConfig) {
			c.Render = func(*eventstore.Event, eventstore.Lineage) (broker.Record, error) {
				return broker.Record{}, errUnreadable
			}
		}, "event 1: it can't be written as a record: nobody can read this"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := memory.New()
				first := startRelay(t, c.sent, b, nil)
				synctest.Wait()
				first.stop()
				r := startRelay(t, c.then, b, c.change)
				synctest.Wait()
				select {
				case err := <-r.ended:
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("it ends with %v", err)
					}
					r.ended <- err
				default:
					t.Error("it goes on")
				}
				if got := positions(t, b); len(got) != len(c.sent.events) {
					t.Errorf("the topic has %v", got)
				}
			})
		})
	}
}

// TestATopicCanBeTakenOver by a log that has nothing to do with the one before.
func TestATopicCanBeTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		before, after := newTape(1), newTape(2)
		before.grow(3)
		after.grow(2)
		first := startRelay(t, before, b, nil)
		synctest.Wait()
		first.stop()
		startRelay(t, after, b, func(c *broker.RelayConfig) { c.TakeOver = true })
		synctest.Wait()
		if got := positions(t, b); !slices.Equal(got, append(upTo(3), 1, 2)) {
			t.Errorf("the topic has %v", got)
		}
	})
}

// TestOneReplicaSendsAtATime: the next one when the first one leads no longer, also if that
// is taken from it.
func TestOneReplicaSendsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lock sync.Mutex
		taken := make(chan struct{}, 1)
		lead := func(ctx context.Context, as func(context.Context) error) error {
			for !lock.TryLock() {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			defer lock.Unlock()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() {
				select {
				case <-taken:
					cancel()
				case <-ctx.Done():
				}
			}()
			return as(ctx)
		}
		log, b := newTape(1), memory.New()
		log.grow(5)
		leads := func(c *broker.RelayConfig) { c.Lead = lead }
		one := startRelay(t, log, b, leads)
		synctest.Wait()
		two := startRelay(t, log, b, leads)
		time.Sleep(time.Minute)
		if !one.Status().Leads || two.Status().Leads || two.Check(t.Context()) != nil {
			t.Errorf("they say %+v and %+v", one.Status(), two.Status())
		}
		for turn := range 6 {
			log.grow(1)
			taken <- struct{}{}
			time.Sleep(time.Minute)
			if one.Status().Leads == two.Status().Leads {
				t.Errorf("turn %d: %+v and %+v", turn, one.Status(), two.Status())
			}
		}
		one.stop()
		log.grow(1)
		time.Sleep(time.Minute)
		if got := positions(t, b); !slices.Equal(got, upTo(12)) {
			t.Errorf("the topic has %v", got)
		}
		if told := one.told.String() + two.told.String(); told != "" {
			t.Errorf("the operator was told\n%s", told)
		}
	})
}
