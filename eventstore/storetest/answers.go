package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ensemble/eventstore"
)

// answers is the contract by brute force once more, with every column of every answer.
type answers struct {
	events   []eventstore.Event
	outcomes map[[16]byte]eventstore.Outcome
	highest  map[string]int64
}

// version returns how many events a stream has.
func (a *answers) version(s eventstore.Stream) (v eventstore.Version) {
	for _, e := range a.events {
		if e.Stream == s {
			v = e.Version
		}
	}
	return v
}

// check holds the result of a write against what it should be, and takes it in. Only
// the time is the log's own: it has to be that of the log before, or later.
func (a *answers) check(w eventstore.Write, r eventstore.Result) error {
	if w.Key != nil {
		if before, used := a.outcomes[w.Key.Hash]; used {
			if r.Err != nil || r.Previous == nil || cmp.Diff(before, *r.Previous, nothing()) != "" {
				return fmt.Errorf("a key that was used is answered %+v, it was %+v", r, before)
			}
			return nil
		}
	}
	stream := w.Stream
	if stream.ID == "" && len(w.Events) > 0 {
		stream.ID = fmt.Sprint(a.highest[stream.Category] + 1)
	}
	actual := a.version(stream)
	if w.Expected != eventstore.Any && w.Expected != actual {
		conflict, ok := errors.AsType[*eventstore.ConflictError](r.Err)
		if !ok || conflict.Actual != actual || conflict.Expected != w.Expected || conflict.Stream != stream {
			return fmt.Errorf("a conflict with version %d is answered %+v", actual, r)
		}
		return nil
	}
	return a.take(w, r, stream, actual)
}

// take takes in a write that has to be appended.
func (a *answers) take(w eventstore.Write, r eventstore.Result, stream eventstore.Stream, actual eventstore.Version) error {
	want := eventstore.Result{Stream: stream, Version: actual, Position: eventstore.Position(len(a.events)), Time: r.Time}
	for _, e := range w.Events {
		number := int64(0)
		if e.Number == eventstore.NextNumber {
			a.highest[stream.Category]++
			number = a.highest[stream.Category]
			if want.Number == 0 {
				want.Number = number
			}
		}
		want.Version++
		want.Position++
		a.events = append(a.events, eventstore.Event{
			Stream: stream, Version: want.Version, Position: want.Position, Number: number,
			Type: e.Type, Time: r.Time, Data: e.Data, Meta: e.Meta,
		})
	}
	if w.Key != nil {
		a.outcomes[w.Key.Hash] = eventstore.Outcome{
			Fingerprint: w.Key.Fingerprint, Stream: stream, Version: want.Version, Position: want.Position,
			Events: len(w.Events), Data: w.Key.Outcome,
		}
	}
	if len(w.Events) == 0 {
		return r.Err // what else an answer without events holds is in its outcome
	}
	if diff := cmp.Diff(want, r, cmpopts.EquateErrors()); diff != "" {
		return fmt.Errorf("a write of %d events: %s", len(w.Events), diff)
	}
	return nil
}

// drawAnswered makes up a write: events with metadata and without, under a few keys, in
// two categories with counters of their own, or an answer without events.
func drawAnswered(t *rapid.T) eventstore.Write {
	w := eventstore.Write{Stream: eventstore.Stream{
		Category: rapid.SampledFrom([]string{"thing", "other"}).Draw(t, "category"),
		ID:       rapid.SampledFrom([]string{"a", "b", "1", "2", ""}).Draw(t, "stream"),
	}}
	if rapid.IntRange(0, 2).Draw(t, "keyed") == 0 {
		w.Key = key(byte(rapid.IntRange(1, 6).Draw(t, "key")), byte(rapid.IntRange(1, 2).Draw(t, "body")))
	}
	n := rapid.IntRange(1, 3).Draw(t, "events")
	if w.Key != nil && w.Stream.ID != "" && rapid.IntRange(0, 2).Draw(t, "answer") == 0 {
		w.Key.Outcome = []byte(rapid.StringN(0, 9, -1).Draw(t, "outcome"))
		n = 0
	}
	for i := range n {
		e := event(fmt.Sprintf("%q", rapid.StringN(0, 5, -1).Draw(t, "data")))
		if rapid.Bool().Draw(t, "numbered") || i == 0 && w.Stream.ID == "" {
			e.Number = eventstore.NextNumber
		}
		if rapid.IntRange(0, 3).Draw(t, "meta") == 0 {
			e.Meta = eventstore.Metadata{"traceparent": rapid.StringMatching("[0-9a-f]{4}").Draw(t, "trace"), "": "é"}
		}
		w.Events = append(w.Events, e)
	}
	if w.Stream.ID != "" {
		w.Expected = eventstore.Version(rapid.IntRange(-1, 4).Draw(t, "expected"))
	}
	return w
}

// reads holds everything that can be read against the list.
func (a *answers) reads(t *rapid.T, l *log) {
	for range 4 {
		after, limit := rapid.IntRange(0, len(a.events)+2).Draw(t, "after"), rapid.IntRange(1, 9).Draw(t, "limit")
		got, err := l.store.ReadAll(background(), eventstore.Position(after), limit)
		want := a.events[min(after, len(a.events)):min(after+limit, len(a.events))]
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("%d events after %d: %v %s", limit, after, err, diff)
		}
	}
	streams := map[eventstore.Stream][]eventstore.Event{on("nobody"): nil}
	for _, e := range a.events {
		streams[e.Stream] = append(streams[e.Stream], e)
	}
	for _, s := range slices.SortedFunc(maps.Keys(streams), cmpStreams) {
		all := streams[s]
		after, limit := rapid.IntRange(0, len(all)+1).Draw(t, "after"), rapid.IntRange(1, 4).Draw(t, "limit")
		got, err := l.driver.ReadStream(background(), s, eventstore.Version(after), limit)
		want := all[min(after, len(all)):min(after+limit, len(all))]
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("%d events of %s after %d: %v %s", limit, s, after, err, diff)
		}
	}
	for hash := range byte(8) {
		k := key(hash, 0).Hash
		want, used := a.outcomes[k]
		got, found, err := l.store.Outcome(background(), k)
		if err != nil || found != used || cmp.Diff(want, got, nothing()) != "" {
			t.Fatalf("key %d: %+v, %v, %v, and should be %+v", hash, got, found, err, want)
		}
	}
	for i := 1; i < len(a.events); i++ {
		if a.events[i].Time.Before(a.events[i-1].Time) {
			t.Fatalf("time runs backwards at position %d", i+1)
		}
	}
}

// cmpStreams orders streams by their names.
func cmpStreams(x, y eventstore.Stream) int { return strings.Compare(x.String(), y.String()) }

func testAnswers(t *testing.T, d Driver) {
	t.Run("every column of every answer is what brute force says, also after a restart", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			l := d.open(t, Options{})
			a := &answers{outcomes: map[[16]byte]eventstore.Outcome{}, highest: map[string]int64{}}
			for range rapid.IntRange(1, 3).Draw(rt, "batches") {
				batch := rapid.SliceOfN(rapid.Custom(drawAnswered), 1, 8).Draw(rt, "batch")
				for i, r := range l.commit(batch...) {
					if err := a.check(batch[i], r); err != nil {
						rt.Fatalf("write %+v: %v", batch[i], err)
					}
				}
			}
			a.reads(rt, l)
			if d.Durable && rapid.Bool().Draw(rt, "restart") {
				l.restart()
				a.reads(rt, l)
			}
		})
	})
}
