package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/broker"
	"ensemble/broker/memory"
	"ensemble/eventstore"
	"ensemble/projection"
)

// put stores events of a log as records: positions of it, in any order.
func put(t *testing.T, b *memory.Broker, log *tape, positions ...eventstore.Position) {
	t.Helper()
	for _, r := range records(t, log, positions...) {
		b.Put(topic, 0, r)
	}
}

// records renders events of a log.
func records(t *testing.T, log *tape, positions ...eventstore.Position) (all []broker.Record) {
	t.Helper()
	for _, p := range positions {
		r, err := render(&log.events[p-1], log.lineage)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// theirs stores a record of another system.
func theirs(b *memory.Broker, partition int32, key, value string, at int64) {
	b.Put(topic, partition, broker.Record{Key: []byte(key), Value: []byte(value), Time: time.UnixMilli(at)})
}

// consuming is a consumer that runs in a bubble of time.
type consuming struct {
	*broker.Consumer
	heard *heard
	stop  context.CancelFunc
	ended chan error
}

// startConsumer runs a consumer until the end of the test.
func startConsumer(t *testing.T, b broker.Publisher, partitions int, change func(*broker.ConsumerConfig)) *consuming {
	t.Helper()
	r := &consuming{heard: &heard{}, ended: make(chan error, 1)}
	c := broker.ConsumerConfig{Topic: topic, Partitions: partitions, Decode: decode, To: r.heard}
	if change != nil {
		change(&c)
	}
	r.Consumer = broker.NewConsumer(c)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.ended <- r.Run(ctx, b, nil) }()
	t.Cleanup(func() {
		stop()
		<-r.ended
	})
	return r
}

// end returns why a consumer has ended, and that it has not.
func (c *consuming) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-c.ended:
		c.ended <- err
		return err
	default:
		t.Fatal("it goes on")
		return nil
	}
}

// TestEachEventIsTakenInOnce, whatever the topic looks like.
func TestEachEventIsTakenInOnce(t *testing.T) {
	log := newTape(1)
	log.grow(9)
	restored := log.restored(5, 2)
	restored.grow(3)
	for _, c := range []struct {
		sentence string
		put      func(*testing.T, *memory.Broker)
		want     string
	}{
		{"one after the other", func(t *testing.T, b *memory.Broker) { put(t, b, log, 1, 2, 3) }, "1 2 3"},
		{"a relay that began again", func(t *testing.T, b *memory.Broker) { put(t, b, log, 1, 2, 3, 2, 3, 4, 1, 2, 3, 4, 5) }, "1 2 3 4 5"},
		{"a gap that is filled later", func(t *testing.T, b *memory.Broker) { put(t, b, log, 1, 2, 6, 7, 3, 4, 5, 6, 7, 8) }, "1 2 3 4 5 6 7 8"},
		{"a gap that is not", func(t *testing.T, b *memory.Broker) { put(t, b, log, 1, 2, 6, 7) }, "1 2"},
		{"a relay of the log before it was restored", func(t *testing.T, b *memory.Broker) {
			put(t, b, restored, 1, 2, 3, 4, 5, 6)
			put(t, b, log, 6, 7, 8, 9)
			put(t, b, restored, 7, 8)
		}, "1 2 3 4 5 6' 7' 8'"},
		{"records of others in between", func(t *testing.T, b *memory.Broker) {
			put(t, b, log, 1, 2)
			theirs(b, 0, "k", "theirs", 5)
			put(t, b, log, 3)
		}, "1 2 theirs 3"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := memory.New()
				b.Make(topic, 1)
				c.put(t, b)
				r := startConsumer(t, b, 1, nil)
				synctest.Wait()
				got := strings.NewReplacer(" of 01", "", " of 02", "'").Replace(strings.Join(r.heard.all(), " "))
				if got != c.want {
					t.Errorf("it was told %s, not %s", got, c.want)
				}
			})
		})
	}
}

// TestWhatIsMissingIsLookedForFromTheBeginning: a topic has lost its end and grown beyond
// where the consumer was before that one looked again, so events lie behind it.
func TestWhatIsMissingIsLookedForFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(9)
		b.Make(topic, 1)
		put(t, b, log, 1, 2, 3, 2, 3, 4)
		r := startConsumer(t, b, 1, nil)
		synctest.Wait()
		b.CutEnd(topic, 5, records(t, log, upTo(9)[1:]...)...)
		synctest.Wait()
		if !slices.Equal(r.heard.all(), log.said()) || r.Check(t.Context()) != nil {
			t.Errorf("it was told %q, %v", r.heard.all(), r.Check(t.Context()))
		}
	})
}

// TestAGapIsSaid: health names what is missing, until it comes.
func TestAGapIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(9)
		b.Make(topic, 1)
		put(t, b, log, 1, 2, 6)
		r := startConsumer(t, b, 1, nil)
		synctest.Wait()
		if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "lacks the events from 3 to 5") {
			t.Errorf("its health is %v", err)
		}
		put(t, b, log, 3, 4, 5, 6)
		synctest.Wait()
		if err := r.Check(t.Context()); err != nil || r.Progress().Position != 6 {
			t.Errorf("its health is %v at %d", err, r.Progress().Position)
		}
	})
}

// TestALogThatWasRestoredEndsTheConsumer, which begins anew with the log as it is now.
func TestALogThatWasRestoredEndsTheConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(9)
		b.Make(topic, 1)
		put(t, b, log, upTo(9)...)
		r := startConsumer(t, b, 1, nil)
		synctest.Wait()
		restored := log.restored(5, 2)
		restored.grow(2)
		put(t, b, restored, 5, 6, 7)
		synctest.Wait()
		var replaced *broker.ReplacedError
		if err := r.end(t); !errors.As(err, &replaced) || replaced.At != 6 {
			t.Fatalf("it ended with %v", err)
		}
		again := startConsumer(t, b, 1, func(c *broker.ConsumerConfig) { c.From = replaced.Again() })
		synctest.Wait()
		if !slices.Equal(again.heard.all(), restored.said()) {
			t.Errorf("it was told %q", again.heard.all())
		}
	})
}

// TestALogThatGoesOnUnderAnotherNameIsTheSame, for who was not further than that.
func TestALogThatGoesOnUnderAnotherNameIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(5)
		b.Make(topic, 1)
		put(t, b, log, upTo(5)...)
		r := startConsumer(t, b, 1, nil)
		synctest.Wait()
		restored := log.restored(5, 2)
		restored.grow(2)
		put(t, b, restored, 6, 7)
		synctest.Wait()
		if p := r.Progress(); p.Position != 7 || len(p.Lineage) != 2 || !slices.Equal(r.heard.all(), restored.said()) {
			t.Errorf("it is at %+v", p)
		}
	})
}

// TestWhatATopicHasNoMoreComesFromTheFeed, and the topic is joined where that ends: at the
// beginning, and also in the middle.
func TestWhatATopicHasNoMoreComesFromTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(5000)
		b.Make(topic, 1)
		put(t, b, log, upTo(5000)[3000:]...)
		asked := 0
		feed := func(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error] {
			asked++
			return log.since(ctx, after)
		}
		r := startConsumer(t, b, 1, func(c *broker.ConsumerConfig) { c.Earlier = &broker.Feed{Head: log.Head, Events: feed} })
		synctest.Wait()
		if asked != 1 || !slices.Equal(r.heard.all(), log.said()) {
			t.Errorf("the feed was asked %d times, and it was told %d events", asked, len(r.heard.all()))
		}
		log.grow(10)
		put(t, b, log, 5007, 5008, 5009, 5010)
		synctest.Wait()
		if asked != 2 || !slices.Equal(r.heard.all(), log.said()) {
			t.Errorf("the feed was asked %d times, and it was told %d events", asked, len(r.heard.all()))
		}
	})
}

// TestAFeedThatFailsEndsTheConsumerWhereItIs: nothing is skipped.
func TestAFeedThatFailsEndsTheConsumerWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(20)
		b.Make(topic, 1)
		put(t, b, log, 1, 2, 9)
		broken := errors.New("the feed is broken")
		r := startConsumer(t, b, 1, func(c *broker.ConsumerConfig) {
			c.Earlier = &broker.Feed{Head: log.Head, Events: func(context.Context, eventstore.Position) iter.Seq2[eventstore.Event, error] {
				return func(yield func(eventstore.Event, error) bool) { yield(eventstore.Event{}, broken) }
			}}
		})
		synctest.Wait()
		if err := r.end(t); !errors.Is(err, broken) {
			t.Errorf("it ended with %v", err)
		}
		if p := r.Progress(); p.Position != 2 || p.Offsets[0] != 2 {
			t.Errorf("it is at %+v", p)
		}
	})
}

// TestTheLaterOfTwoRecordsCounts, in whatever order several partitions are read: by time
// between them, by offset within one.
func TestTheLaterOfTwoRecordsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		b.Make(topic, 3)
		r := startConsumer(t, b, 3, nil)
		for _, m := range []struct {
			partition int32
			key       string
			at        int64
		}{
			{0, "a", 10}, {1, "a", 30}, {0, "a", 20}, // passed over: 1 had a later one
			{2, "b", 10}, {2, "b", 5}, // the same partition: as they lie
			{0, "a", 40}, {1, "b", 1}, {1, "c", 0},
		} {
			theirs(b, m.partition, m.key, fmt.Sprint(m.key, m.at), m.at)
			synctest.Wait()
		}
		if got := strings.Join(r.heard.all(), " "); got != "a10 a30 b10 b5 a40 c0" {
			t.Errorf("it was told %s", got)
		}
		if r.Positioned() || !slices.Equal(r.Progress().Offsets, []int64{3, 3, 2}) {
			t.Errorf("it is at %+v", r.Progress())
		}
	})
}

// TestAnotherTopicOfTheSameNameIsNoticed: what was made from records without positions is
// made anew. Shorter or longer than the one before, it is found at the next start.
func TestAnotherTopicOfTheSameNameIsNoticed(t *testing.T) {
	for records := range 5 {
		synctest.Test(t, func(t *testing.T) {
			b := memory.New()
			b.Make(topic, 1)
			theirs(b, 0, "a", "1", 1)
			theirs(b, 0, "b", "2", 2)
			first := startConsumer(t, b, 1, nil)
			synctest.Wait()
			first.stop()
			other := memory.New()
			other.Make(topic, 1)
			for i := range records {
				theirs(other, 0, "c", fmt.Sprint("other", i), 3)
			}
			again := startConsumer(t, other, 1, func(c *broker.ConsumerConfig) { c.From = first.Progress() })
			synctest.Wait()
			var replaced *broker.ReplacedError
			if err := again.end(t); !errors.As(err, &replaced) || fmt.Sprint(replaced.Again()) != fmt.Sprint(broker.Progress{}) {
				t.Errorf("with %d records it ends with %v", records, err)
			}
		})
	}
}

// TestAPositionIsSaidWhileThereIsOne: a topic whose last record is another system's has none.
func TestAPositionIsSaidWhileThereIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(9)
		b.Make(topic, 1)
		r := startConsumer(t, b, 1, nil)
		for i, want := range []bool{true, false, true} {
			if want {
				put(t, b, log, eventstore.Position(i/2+1))
			} else {
				theirs(b, 0, "k", "v", 1)
			}
			synctest.Wait()
			if r.Positioned() != want {
				t.Errorf("after record %d: %v", i, r.Positioned())
			}
		}
	})
}

// TestWhatIsOursAndCanNotBeReadEndsTheConsumer, before it: the next start begins there.
func TestWhatIsOursAndCanNotBeReadEndsTheConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(5)
		log.events[2].Data = []byte("?")
		b.Make(topic, 1)
		put(t, b, log, upTo(5)...)
		letters, err := broker.OpenDeadLetters("")
		if err != nil {
			t.Fatal(err)
		}
		r := startConsumer(t, b, 1, func(c *broker.ConsumerConfig) { c.DeadLetters = letters })
		synctest.Wait()
		if err := r.end(t); !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), "event 3 at offset 2") {
			t.Errorf("it ended with %v", err)
		}
		if p := r.Progress(); p.Position != 2 || p.Offsets[0] != 2 || letters.Count() != 0 {
			t.Errorf("it is at %+v with %d dead letters", p, letters.Count())
		}
	})
}

// TestWhatIsForeignAndCanNotBeReadIsSetAside, once, and the rest goes on; without a place
// for it, it ends the consumer.
func TestWhatIsForeignAndCanNotBeReadIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		b.Make(topic, 1)
		letters, err := broker.OpenDeadLetters("")
		if err != nil {
			t.Fatal(err)
		}
		theirs(b, 0, "k", "1", 1)
		theirs(b, 0, "k", "?", 2)
		b.Put(topic, 0, broker.Record{Value: []byte("x"), Headers: []broker.Header{{Key: "ensemble-log", Value: []byte("no uuid")}}})
		theirs(b, 0, "k", "2", 3)
		for range 2 {
			r := startConsumer(t, b, 1, func(c *broker.ConsumerConfig) { c.DeadLetters = letters })
			synctest.Wait()
			if got := strings.Join(r.heard.all(), " "); got != "1 2" {
				t.Errorf("it was told %s", got)
			}
		}
		var all []string
		for _, l := range letters.List() {
			all = append(all, l.ID+" "+l.Reason)
		}
		if len(all) != 2 || all[0] != "things-0-1 nobody can read this" || !strings.Contains(all[1], `things-0-2 the headers that say which event it is make no sense: "no uuid"`) {
			t.Errorf("set aside are %q", all)
		}
		if err := startAndWait(t, b).end(t); !errors.Is(err, errUnreadable) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// startAndWait runs a consumer without a place for dead letters.
func startAndWait(t *testing.T, b *memory.Broker) *consuming {
	t.Helper()
	r := startConsumer(t, b, 1, nil)
	synctest.Wait()
	return r
}

// refusing is a read side that fails at one event.
type refusing struct {
	heard
	at string
}

var errRefused = errors.New("refused")

// Apply implements [projection.Projection].
func (r *refusing) Apply(ctx context.Context, events []eventstore.Event) error {
	for _, e := range events {
		if string(e.Data) == r.at {
			return errRefused
		}
	}
	return r.heard.Apply(ctx, events)
}

// TestTheProgressNeverSaysMoreThanTheReadSideHas.
func TestTheProgressNeverSaysMoreThanTheReadSideHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(9)
		b.Make(topic, 1)
		put(t, b, log, upTo(4)...)
		side := &refusing{at: "7 of 01"}
		r := startConsumer(t, b, 1, func(c *broker.ConsumerConfig) { c.To = side })
		synctest.Wait()
		put(t, b, log, upTo(9)[4:]...)
		synctest.Wait()
		if err := r.end(t); !errors.Is(err, errRefused) {
			t.Errorf("it ended with %v", err)
		}
		if p := r.Progress(); int(p.Position) != len(side.all()) || p.Offsets[0] != int64(len(side.all())) {
			t.Errorf("it is at %+v after %q", p, side.all())
		}
	})
}

// TestWhoWaitsForAPositionIsTold, and who waits for the end of the topic.
func TestWhoWaitsForAPositionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(9)
		b.Make(topic, 1)
		r := startConsumer(t, b, 1, nil)
		told := make(chan error, 2)
		go func() { told <- r.Wait(t.Context(), 4) }()
		go func() { told <- r.Reach(t.Context(), []broker.Bounds{{End: 4}}) }()
		put(t, b, log, 1, 2, 3)
		synctest.Wait()
		if len(told) != 0 {
			t.Fatal("somebody was told too early")
		}
		put(t, b, log, 4)
		synctest.Wait()
		for range 2 {
			if err := <-told; err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Wait(ctx, 5); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who gives up is told %v", err)
		}
		if err := r.Reach(ctx, []broker.Bounds{{End: 4}, {End: 0}}); err != nil {
			t.Errorf("an empty partition is reached: %v", err)
		}
	})
}

// TestABrokerThatIsAwayIsAskedAgain, and who runs the consumer is told so.
func TestABrokerThatIsAwayIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(1), memory.New()
		log.grow(3)
		b.Make(topic, 1)
		put(t, b, log, 1, 2, 3)
		b.SetAway(true)
		var last error
		c := broker.NewConsumer(broker.ConsumerConfig{Topic: topic, Partitions: 1, Decode: decode, To: &heard{}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx, b, func(err error) { last = err }) }()
		time.Sleep(time.Hour)
		if synctest.Wait(); !errors.Is(last, memory.ErrAway) {
			t.Errorf("it is told %v", last)
		}
		b.SetAway(false)
		time.Sleep(6 * time.Second)
		if synctest.Wait(); last != nil || c.Progress().Position != 3 {
			t.Errorf("it is told %v at %d", last, c.Progress().Position)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// TestProgressIsSavedAsJSON and read again as it was.
func TestProgressIsSavedAsJSON(t *testing.T) {
	p := broker.Progress{
		Lineage: eventstore.Lineage{{UUID: [16]byte{1, 2}, First: 1}, {UUID: [16]byte{3}, First: 9}},
		Learned: 5, Position: 17, Offsets: []int64{20, 3}, Marks: []uint64{1<<64 - 1, 0}, Gap: 19, Sought: true, Foreign: true,
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again broker.Progress
	if err := json.Unmarshal(text, &again); err != nil || fmt.Sprint(again) != fmt.Sprint(p) {
		t.Errorf("%s is read as %+v, %v", text, again, err)
	}
}

var _ projection.Projection = (*broker.Consumer)(nil)
