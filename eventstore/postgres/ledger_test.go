package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// ledger is what clients were told about each of their commands, to be held against the
// log afterwards.
type ledger struct {
	mu      sync.Mutex
	answers map[string]answer // by what the command wrote
}

// answer is what a client knows of a command.
type answer struct {
	position eventstore.Position // acknowledged there; 0: not
	unknown  bool                // nobody knows
	key      bool                // it had an idempotency key, and was sent until it was known
}

// note writes down what a command was answered.
func (l *ledger) note(data string, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[data] = a
}

// clients send commands until the context ends; every second one has a key and is sent
// again for as long as its outcome is unknown.
func (l *ledger) clients(ctx context.Context, t *testing.T, n int, stores []*eventstore.Store) *sync.WaitGroup {
	var group sync.WaitGroup
	for c := range n {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				data := fmt.Sprint(c, "-", i)
				w := one(on(fmt.Sprint(1+rand.IntN(50))), eventstore.Any, data)
				a := answer{key: i%2 == 0}
				if a.key {
					w.Key = &eventstore.Key{Hash: [16]byte{1, byte(c), byte(i), byte(i >> 8)}}
				}
				for {
					r, err := stores[rand.IntN(len(stores))].Append(context.Background(), w)
					unknown := errors.Is(err, eventstore.ErrUnknown)
					if a.key && !errors.Is(err, eventstore.ErrClosed) && (unknown || a.unknown && err != nil) {
						a.unknown = true
						continue
					}
					a.unknown = unknown
					if a.position = r.Position; r.Previous != nil {
						a.position = r.Previous.Position
					}
					if err != nil && !unknown && !errors.Is(err, eventstore.ErrAway) {
						t.Errorf("command %s: %v", data, err)
					}
					break
				}
				l.note(data, a)
			}
		})
	}
	return &group
}

// settle holds the ledger against the log.
func (l *ledger) settle(t *testing.T, log *Log) {
	t.Helper()
	there := map[string]eventstore.Position{}
	for i, data := range all(t, log) {
		if there[data] != 0 {
			t.Errorf("%s is there twice, at %d and %d", data, there[data], i+1)
		}
		there[data] = eventstore.Position(i + 1)
	}
	known, refused, unknown := 0, 0, 0
	for data, a := range l.answers {
		switch {
		case a.unknown:
			unknown++
		case a.position == 0 && there[data] != 0:
			t.Errorf("%s was refused, and is at %d", data, there[data])
		case a.position != there[data]:
			t.Errorf("%s was acknowledged at %d, and is at %d (0: nowhere)", data, a.position, there[data])
		case a.position == 0:
			refused++
		default:
			known++
		}
		delete(there, data)
	}
	for data, at := range there {
		t.Errorf("%s at %d was sent by nobody", data, at)
	}
	v := verified(t, log)
	t.Logf("%d acknowledged, %d refused, %d unknown; %+v", known, refused, unknown, v)
	if known == 0 {
		t.Error("nothing was acknowledged: this test has tested nothing")
	}
}

// TestNothingAcknowledgedIsLostWhenLinesAreCut has clients write through two replicas
// while their lines are cut after random numbers of bytes and their backends are
// terminated.
func TestNothingAcknowledgedIsLostWhenLinesAreCut(t *testing.T) {
	url := servertest.Postgres(t)
	p, through := newProxy(t, url)
	opts := Options{Views: []eventstore.View{counted{}}, Patience: 500 * time.Millisecond}
	stores, _ := replicas(t, 2, through, opts)
	l := &ledger{answers: map[string]answer{}}
	ctx, stop := context.WithCancel(t.Context())
	clients := l.clients(ctx, t, 8, stores)
	cuts := 30
	if n, err := strconv.Atoi(os.Getenv("ENSEMBLE_KILL_ROUNDS")); err == nil {
		cuts = n
	}
	for i := range cuts {
		if i%4 == 3 {
			execute(t, url, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and random() < 0.5")
			continue
		}
		p.budget.Store(1 + rand.Int64N(30_000))
		for p.budget.Load() > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	stop()
	clients.Wait()
	l.settle(t, open(t, url, opts))
}
