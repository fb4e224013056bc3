// Package brokertest checks that something keeps the contract of [broker.Publisher],
// sentence by sentence.
package brokertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ensemble/broker"
)

// Run checks the broker that open connects to. Topics have names of their own, so that
// runs may share a broker.
func Run(t *testing.T, open func(*testing.T) broker.Publisher) {
	for _, c := range []struct {
		sentence string
		check    func(*testing.T, *suite)
	}{
		{"a topic that is not there has no bounds", noTopic},
		{"a topic is made with one empty partition", prepared},
		{"a topic that is there stays as it is", preparedAgain},
		{"records come back as they were published, in order", comeBack},
		{"a header may come twice, and be empty", headers},
		{"the offset of the first record is returned", firstOffset},
		{"a reader gets what is there, then each new record", follow},
		{"a reader begins at any offset", fromTheMiddle},
		{"a reader with an end stops before it", upTo},
		{"a reader with an empty range gets nothing", emptyRange},
		{"from an offset that is not there yet, it reads from the beginning", ahead},
		{"a reader that has enough is left alone", enough},
		{"a reader ends with its context", canceled},
		{"many publish at once, and each one's records stay in order", together},
		{"a page of thousands is stored as one", large},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			b := open(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			t.Cleanup(cancel)
			c.check(t, &suite{Publisher: b, ctx: ctx, topic: Topic()})
		})
	}
}

// Topic returns a name that no other topic has.
func Topic() string { return "test-" + strings.ToLower(rand.Text()) }

// suite is a broker and a topic of one check.
type suite struct {
	broker.Publisher
	ctx   context.Context
	topic string
}

// prepare makes the topic.
func (s *suite) prepare(t *testing.T) {
	t.Helper()
	if err := s.Prepare(s.ctx, s.topic); err != nil {
		t.Fatalf("prepare: %v", err)
	}
}

// some returns records with values from..to-1.
func some(from, to int) (records []broker.Record) {
	for i := from; i < to; i++ {
		records = append(records, broker.Record{Key: fmt.Append(nil, "k", i%7), Value: fmt.Append(nil, i), Time: time.UnixMilli(1669477531123).UTC()})
	}
	return records
}

// publish stores records.
func (s *suite) publish(t *testing.T, records []broker.Record) int64 {
	t.Helper()
	first, err := s.Publish(s.ctx, s.topic, records)
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	return first
}

// read returns the records of a range.
func (s *suite) read(t *testing.T, from, to int64) (all []broker.Record) {
	t.Helper()
	for r, err := range s.Read(s.ctx, s.topic, 0, from, to) {
		if err != nil {
			t.Fatalf("read from %d to %d: %v", from, to, err)
		}
		all = append(all, r)
	}
	return all
}

// values checks that records have the values from..to-1, at offsets from first on.
func values(t *testing.T, records []broker.Record, from, to int, first int64) {
	t.Helper()
	if len(records) != to-from {
		t.Fatalf("there are %d records, not %d", len(records), to-from)
	}
	for i, r := range records {
		if string(r.Value) != fmt.Sprint(from+i) || r.Offset != first+int64(i) {
			t.Fatalf("record %d is %q at offset %d", i, r.Value, r.Offset)
		}
	}
}

func noTopic(t *testing.T, s *suite) {
	if _, err := s.Bounds(s.ctx, s.topic); !errors.Is(err, broker.ErrNoTopic) {
		t.Fatalf("the bounds of no topic: %v", err)
	}
}

func prepared(t *testing.T, s *suite) {
	s.prepare(t)
	bounds, err := s.Bounds(s.ctx, s.topic)
	if err != nil || !slices.Equal(bounds, []broker.Bounds{{}}) {
		t.Fatalf("a new topic has %v, %v", bounds, err)
	}
}

func preparedAgain(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 3))
	s.prepare(t)
	bounds, err := s.Bounds(s.ctx, s.topic)
	if err != nil || !slices.Equal(bounds, []broker.Bounds{{Begin: 0, End: 3}}) {
		t.Fatalf("it has %v, %v", bounds, err)
	}
}

func comeBack(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 10))
	s.publish(t, some(10, 12))
	records := s.read(t, 0, 12)
	values(t, records, 0, 12, 0)
	for i, r := range records {
		if string(r.Key) != fmt.Sprint("k", i%7) || !r.Time.Equal(time.UnixMilli(1669477531123)) || r.Partition != 0 {
			t.Fatalf("record %d has the key %q, the time %v, partition %d", i, r.Key, r.Time, r.Partition)
		}
	}
}

func headers(t *testing.T, s *suite) {
	s.prepare(t)
	sent := broker.Record{Value: []byte("v"), Headers: []broker.Header{{Key: "a", Value: []byte(`"1"`)}, {Key: "b", Value: []byte{}}, {Key: "a", Value: []byte("2")}}}
	s.publish(t, []broker.Record{sent})
	got := s.read(t, 0, 1)[0]
	if len(got.Key) != 0 {
		t.Errorf("a record without a key has %q", got.Key)
	}
	if !slices.EqualFunc(got.Headers, sent.Headers, func(a, b broker.Header) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }) {
		t.Errorf("the headers are %q", got.Headers)
	}
	if string(got.Header("a")) != `"1"` || got.Header("none") != nil {
		t.Errorf("by name: %q, %q", got.Header("a"), got.Header("none"))
	}
}

func firstOffset(t *testing.T, s *suite) {
	s.prepare(t)
	for _, n := range []int{0, 5, 6, 10} {
		if first := s.publish(t, some(n, n+map[int]int{0: 5, 5: 1, 6: 4, 10: 1}[n])); first != int64(n) {
			t.Fatalf("the first offset is %d, not %d", first, n)
		}
	}
}

func follow(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 3))
	var all []broker.Record
	for r, err := range s.Read(s.ctx, s.topic, 0, 0, -1) {
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, r); len(all)%3 == 0 {
			if len(all) == 9 {
				break
			}
			s.publish(t, some(len(all), len(all)+3))
		}
	}
	values(t, all, 0, 9, 0)
}

func fromTheMiddle(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 20))
	for _, from := range []int{0, 1, 13, 19} {
		values(t, s.read(t, int64(from), 20), from, 20, int64(from))
	}
}

func upTo(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 20))
	for _, to := range []int{1, 13, 20} {
		values(t, s.read(t, 0, int64(to)), 0, to, 0)
	}
}

func emptyRange(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 2))
	for _, at := range []int64{0, 1, 2} {
		if got := s.read(t, at, at); len(got) != 0 {
			t.Fatalf("from %d to %d there are %d records", at, at, len(got))
		}
	}
}

func ahead(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 5))
	for r, err := range s.Read(s.ctx, s.topic, 0, 9, -1) {
		if err != nil || r.Offset != 0 {
			t.Fatalf("the first record has offset %d, %v", r.Offset, err)
		}
		return
	}
	t.Fatal("nothing was read")
}

func enough(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 5))
	for range s.Read(s.ctx, s.topic, 0, 0, -1) {
		break
	}
	values(t, s.read(t, 0, 5), 0, 5, 0)
}

func canceled(t *testing.T, s *suite) {
	s.prepare(t)
	s.publish(t, some(0, 1))
	ctx, cancel := context.WithCancel(s.ctx)
	var last error
	for _, err := range s.Read(ctx, s.topic, 0, 0, -1) {
		last = err
		cancel()
	}
	cancel()
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("it ended with %v", last)
	}
}

func together(t *testing.T, s *suite) {
	s.prepare(t)
	const writers, each = 4, 25
	done := make(chan error)
	for w := range writers {
		go func() {
			var failed error
			for i := range each {
				r := broker.Record{Key: fmt.Append(nil, w), Value: fmt.Append(nil, i)}
				_, err := s.Publish(s.ctx, s.topic, []broker.Record{r})
				failed = errors.Join(failed, err)
			}
			done <- failed
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	next := map[string]int{}
	for i, r := range s.read(t, 0, writers*each) {
		if string(r.Value) != fmt.Sprint(next[string(r.Key)]) || r.Offset != int64(i) {
			t.Fatalf("offset %d has %q of %q", r.Offset, r.Value, r.Key)
		}
		next[string(r.Key)]++
	}
}

func large(t *testing.T, s *suite) {
	s.prepare(t)
	page := some(0, 5000)
	for i := range page {
		page[i].Headers = []broker.Header{{Key: "pad", Value: bytes.Repeat([]byte("x"), 500)}}
	}
	s.publish(t, page)
	if first := s.publish(t, some(5000, 5001)); first != 5000 {
		t.Fatalf("what comes behind it has offset %d", first)
	}
	values(t, s.read(t, 0, 5001), 0, 5001, 0)
}
