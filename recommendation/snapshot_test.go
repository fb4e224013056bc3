package recommendation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
)

// written is a log as snapshots look at it, of which a test knows everything.
type written struct {
	lineage eventstore.Lineage
	events  []string // the data of each
	fails   error
}

// log returns the log as it is now.
func (w written) log() recommendation.Log {
	return recommendation.Log{
		Name: "user",
		Head: func(context.Context) (eventstore.Head, error) {
			return eventstore.Head{Position: eventstore.Position(len(w.events)), Lineage: w.lineage}, w.fails
		},
		ReadAll: func(_ context.Context, after eventstore.Position, limit int) (page []eventstore.Event, err error) {
			for i := int(after); i < min(len(w.events), int(after)+limit); i++ {
				page = append(page, eventstore.Event{
					Stream: eventstore.Stream{Category: "user", ID: "1"}, Type: "Happened", Position: eventstore.Position(i + 1), Data: []byte(w.events[i]),
				})
			}
			return page, w.fails
		},
	}
}

// fork goes on under another name after so many events, as a restored log does.
func (w written) fork(uuid byte, keep int) written {
	w.events = slices.Clone(w.events[:keep])
	w.lineage = append(slices.Clone(w.lineage), eventstore.Fork{UUID: [16]byte{uuid}, First: eventstore.Position(keep + 1)})
	return w
}

// with appends events.
func (w written) with(events ...string) written {
	w.events = append(slices.Clone(w.events), events...)
	return w
}

// TestASnapshotIsAboutTheLogItWasMadeFrom, as far as that has it.
func TestASnapshotIsAboutTheLogItWasMadeFrom(t *testing.T) {
	old := written{lineage: eventstore.Lineage{{UUID: [16]byte{0xa}, First: 1}}, events: []string{"1", "2", "3"}}
	at := func(p eventstore.Position) recommendation.Origin {
		log := old.log()
		o, err := log.Origin(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		now    written
		origin recommendation.Origin
		says   string
	}{
		"the same":                                  {old, at(3), ""},
		"longer":                                    {old.with("4"), at(3), ""},
		"of its beginning":                          {old, at(0), ""},
		"shorter":                                   {old.fork(0xb, 2), at(3), "it holds event 3 of the log of users, which ends at 2"},
		"restored before, and grown":                {old.fork(0xb, 2).with("3", "4"), at(3), "at position 3 the log of users was known as 0b000000, and it says 0a000000"},
		"restored exactly there":                    {old.fork(0xb, 3), at(3), ""},
		"restored behind it":                        {old.with("4").fork(0xb, 4), at(3), ""},
		"an older copy that has grown":              {written{lineage: old.lineage, events: []string{"1", "2", "other"}}, at(3), "event 3 of the log of users is another one"},
		"another log, empty":                        {written{lineage: eventstore.Lineage{{UUID: [16]byte{0xc}, First: 1}}}, at(0), "was known as 0c"},
		"another log with the same events":          {written{lineage: eventstore.Lineage{{UUID: [16]byte{0xc}, First: 1}}, events: old.events}, at(3), "was known as 0c"},
		"a snapshot that says nothing of the event": {old, recommendation.Origin{Log: "user", UUID: at(3).UUID, Position: 3}, "is another one"},
	} {
		log := c.now.log()
		err := log.Has(t.Context(), c.origin)
		if c.says == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.says != "" && (!errors.Is(err, recommendation.ErrOtherLog) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %s", name, err, c.says)
		}
	}
	old.fails = broken
	log := old.log()
	if err := log.Has(t.Context(), at2(t, old)); !errors.Is(err, broken) || errors.Is(err, recommendation.ErrOtherLog) {
		t.Errorf("a log that can't be read: %v", err) // it may be the right one: nothing is deleted
	}
}

// at2 is where a log ends that can't be read any more.
func at2(t *testing.T, w written) recommendation.Origin {
	t.Helper()
	w.fails = nil
	log := w.log()
	o, err := log.Origin(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestASnapshotIsTakenExactlyByWhoHasItsEvents: logs are forked and grow at random; a
// snapshot of one of them is taken by another if and only if the other has all of the
// one's events up to there, by the same name.
func TestASnapshotIsTakenExactlyByWhoHasItsEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logs := []written{{lineage: eventstore.Lineage{{UUID: [16]byte{1}, First: 1}}}}
		for n := range rapid.IntRange(1, 12).Draw(t, "steps") {
			from := logs[rapid.IntRange(0, len(logs)-1).Draw(t, "from")]
			if rapid.Bool().Draw(t, "restored") {
				from = from.fork(byte(n+2), rapid.IntRange(0, len(from.events)).Draw(t, "keep"))
			}
			for i := range rapid.IntRange(0, 3).Draw(t, "more") {
				from = from.with(fmt.Sprint("step ", n, " event ", i))
			}
			logs = append(logs, from)
		}
		one, other := rapid.SampledFrom(logs).Draw(t, "one"), rapid.SampledFrom(logs).Draw(t, "other")
		at := rapid.IntRange(0, len(one.events)).Draw(t, "at")
		a, b := one.log(), other.log()
		origin, err := a.Origin(t.Context(), eventstore.Position(at))
		if err != nil {
			t.Fatal(err)
		}
		p := eventstore.Position(at)
		want := len(other.events) >= at && slices.Equal(one.events[:at], other.events[:at]) && one.lineage.At(p) == other.lineage.At(p)
		if err := b.Has(t.Context(), origin); (err == nil) != want {
			t.Fatalf("it is taken: %v, and should be: %v", err, want)
		}
	})
}

// TestARebuildPutsAnotherBackendInThePlaceOfTheLiveOne: who saves the one that answers has
// to ask each time.
func TestARebuildPutsAnotherBackendInThePlaceOfTheLiveOne(t *testing.T) {
	s := newSystem(t)
	defer s.run(t)()
	if _, err := s.people.Create(t.Context(), "Ada", "", nil); err != nil {
		t.Fatal(err)
	}
	s.seen(t)
	fresh := memory.New()
	if s.service.Live() == recommendation.Backend(fresh) {
		t.Fatal("it answers before it was filled")
	}
	if err := s.service.Rebuild(t.Context(), fresh, s.followers(), func(_, _ eventstore.Position) {}); err != nil {
		t.Fatal(err)
	}
	if s.service.Live() != recommendation.Backend(fresh) || fresh.Stats().People != 1 {
		t.Fatalf("the live one is another, with %+v", fresh.Stats())
	}
}
