package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/broker"
	"ensemble/broker/memory"
)

const topic = "things"

// failing is a broker that breaks after a number of records: some of a page are stored
// then, and whoever sent it is told that it failed.
type failing struct {
	broker.Publisher
	after int // records; negative: never
}

var errBroken = errors.New("the connection broke")

// Publish implements [broker.Publisher].
func (f *failing) Publish(ctx context.Context, topic string, records []broker.Record) (int64, error) {
	if f.after < 0 || len(records) <= f.after {
		f.after -= len(records)
		return f.Publisher.Publish(ctx, topic, records)
	}
	stored := records[:f.after]
	f.after = 0
	if len(stored) > 0 {
		if _, err := f.Publisher.Publish(ctx, topic, stored); err != nil {
			return 0, err
		}
	}
	return 0, errBroken
}

// world is a log, its topic, and one who reads it, with whatever may happen to them.
type world struct {
	t      *testing.T
	broker *memory.Broker
	log    *tape
	past   []*tape // logs that were replaced, whose processes may still run
	uuids  byte

	state    *heard
	progress broker.Progress
	saved    []snapshot
	feed     bool // the reader knows where the log has a feed
}

// snapshot is a read side as it was saved.
type snapshot struct {
	said     []string
	progress broker.Progress
}

// relay sends a log's events until there is nothing to do any more, or the broker breaks.
func (w *world) relay(log *tape, after int) error {
	store := log.open(w.t)
	defer store.Close()
	r := broker.NewRelay(broker.RelayConfig{
		Log: store, Topic: topic, Broker: &failing{w.broker, after}, Render: render, Look: 10 * time.Second, Logger: quiet(),
		TakeOver: log == w.log,
	})
	ctx, cancel := context.WithTimeout(w.t.Context(), 25*time.Second) // it looks twice
	defer cancel()
	return r.Run(ctx)
}

// read takes in what the topic has, beginning anew when the log was replaced.
func (w *world) read() error {
	for range 20 {
		config := broker.ConsumerConfig{Topic: topic, Partitions: 1, Decode: decode, To: w.state, From: w.progress}
		if w.feed {
			config.Earlier = w.log.feed()
		}
		c := broker.NewConsumer(config)
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		err := c.Run(ctx, w.broker, nil)
		cancel()
		w.progress = c.Progress()
		var replaced *broker.ReplacedError
		if !errors.As(err, &replaced) {
			return err
		}
		w.state, w.progress, w.saved = &heard{}, replaced.Again(), nil
	}
	return errors.New("the log is said to be replaced again and again")
}

// step is one thing that happens.
type step struct{ What, N int }

// do does one thing. What it ends with does not matter: only the end does.
func (w *world) do(s step) {
	switch s.What {
	case 0, 1:
		w.log.grow(s.N%12 + 1)
	case 2, 3:
		_ = w.relay(w.log, s.N%16-1)
	case 4:
		_ = w.read()
	case 5:
		w.saved = append(w.saved, snapshot{w.state.all(), w.progress})
	case 6:
		if len(w.saved) > 0 {
			old := w.saved[s.N%len(w.saved)]
			w.state, w.progress = &heard{said: slices.Clone(old.said)}, old.progress
		}
	case 7:
		w.broker.CutEnd(topic, s.N%11)
	case 8:
		w.past = append(w.past, w.log.copied())
		w.uuids++
		w.log = w.log.restored(s.N%(len(w.log.events)+1), w.uuids)
	case 9:
		if len(w.past) > 0 {
			zombie := w.past[s.N%len(w.past)]
			zombie.grow(s.N % 5)
			_ = w.relay(zombie, -1)
		}
	case 10:
		if w.feed {
			w.broker.CutBegin(topic, s.N%11)
		}
	}
}

// TestAnyHistoryEndsInTheLog: whatever happens to relays, the broker, the log and the read
// side, at the end the read side was told exactly the events of the log, in order, since
// it last began anew.
func TestAnyHistoryEndsInTheLog(t *testing.T) {
	histories(t, run)
}

// histories runs 500 random histories, in a soak 20,000, each in a bubble of its own, where
// waiting takes no time. What run returns is what is wrong.
func histories(t *testing.T, run func(t *testing.T, coin bool, steps []step) string) {
	t.Helper()
	rounds := 5 // of a hundred
	if os.Getenv("ENSEMBLE_SOAK") != "" {
		rounds = 200
	}
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) {
			coin := rapid.Bool().Draw(rt, "coin")
			steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
				return step{rapid.IntRange(0, 10).Draw(rt, "what"), rapid.IntRange(0, 10_000).Draw(rt, "n")}
			}), 1, 30).Draw(rt, "steps")
			var wrong string
			synctest.Test(t, func(t *testing.T) { wrong = run(t, coin, steps) })
			if wrong != "" {
				rt.Fatal(wrong)
			}
		})
	}
}

// run does all of a history and says what is wrong in the end.
func run(t *testing.T, feed bool, steps []step) string {
	w := &world{t: t, broker: memory.New(), log: newTape(1), uuids: 1, state: &heard{}, feed: feed}
	w.broker.Make(topic, 1)
	for _, s := range steps {
		w.do(s)
	}
	if len(w.log.events) == 0 {
		w.log.grow(1) // a log without events can't tell anybody that it was replaced
	}
	if err := w.relay(w.log, -1); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("the relay ended with %v", err)
	}
	if err := w.read(); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("the consumer ended with %v", err)
	}
	if want := w.log.said(); !slices.Equal(w.state.all(), want) {
		return fmt.Sprintf("the read side was told\n%q, the log has\n%q\n%+v", w.state.all(), want, w.progress)
	}
	return ""
}
