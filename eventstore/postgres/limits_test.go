package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// readable returns every rune up to U+FFFF, and some beyond, that may be in the ID of a
// stream, in IDs of at most eventstore.MaxName bytes.
func readable() (ids []string) {
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			ids = append(ids, b.String())
		}
		b.Reset()
	}
	for r := rune('!'); r <= 0x1ffff; r++ {
		if r == 0x7f || r >= 0xd800 && r < 0xe000 || r > 0x2fff && r%97 != 0 {
			continue
		}
		if b.Len()+4 > eventstore.MaxName {
			flush()
		}
		b.WriteRune(r)
	}
	flush()
	return ids
}

// TestEveryNameAndEveryByteComesBackAsItWas: IDs made of all characters, data that is no
// text, metadata with NUL and with signs that JSON writes in two ways.
func TestEveryNameAndEveryByteComesBackAsItWas(t *testing.T) {
	log := open(t, servertest.Postgres(t), Options{})
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	want := map[eventstore.Position]eventstore.NewEvent{}
	names := map[eventstore.Position]eventstore.Stream{}
	for i, id := range readable() {
		e := eventstore.NewEvent{Type: "T" + strings.Repeat("y", i%eventstore.MaxName), Data: append(every[i%256:len(every):len(every)], id...)}
		if i%3 == 0 {
			e.Meta = eventstore.Metadata{id: "\x00\u2028<&>\\u0000" + id, "": ""}
		}
		w := eventstore.Write{Stream: eventstore.Stream{Category: "Any_1", ID: id}, Events: []eventstore.NewEvent{e}}
		r, err := store.Append(t.Context(), w)
		if err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		want[r.Position], names[r.Position] = e, w.Stream
	}
	events, err := store.ReadAll(t.Context(), 0, eventstore.MaxPage)
	if err != nil || len(events) != len(want) {
		t.Fatalf("%d events of %d, %v", len(events), len(want), err)
	}
	for _, e := range events {
		got := eventstore.NewEvent{Type: e.Type, Data: e.Data, Meta: e.Meta, Number: e.Number}
		if diff := cmp.Diff(want[e.Position], got); diff != "" || e.Stream != names[e.Position] {
			t.Fatalf("%q: %s", e.Stream, diff)
		}
		alone, err := log.ReadStream(t.Context(), e.Stream, 0, 2)
		if err != nil || len(alone) != 1 || alone[0].Position != e.Position {
			t.Fatalf("%q read alone: %+v, %v", e.Stream, alone, err)
		}
	}
	verified(t, log)
}

// TestTheLargestCommitFits: as many events as there may be, as many bytes, with data of
// which nothing can be compressed, and the longest names.
func TestTheLargestCommitFits(t *testing.T) {
	log := open(t, servertest.Postgres(t), Options{})
	noise := make([]byte, eventstore.MaxData)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise)
	long := func(i int) string { return fmt.Sprintf("%0*d", eventstore.MaxName, i) }
	var many, large []eventstore.Write
	for i := range eventstore.MaxBatch {
		w := one(eventstore.Stream{Category: strings.Repeat("c", eventstore.MaxName), ID: long(i)}, 0, string(noise[:1000]))
		w.Key = &eventstore.Key{Hash: [16]byte{1, byte(i), byte(i >> 8)}, Outcome: noise[:eventstore.MaxOutcome]}
		many = append(many, w)
	}
	for i := range eventstore.MaxBatchLen / eventstore.MaxData {
		w := one(on("large"), eventstore.Version(i), string(noise))
		w.Events[0].Meta = eventstore.Metadata{"k": strings.Repeat("\x00", eventstore.MaxMeta-1)} // as JSON it is six times as long
		large = append(large, w)
	}
	for _, batch := range [][]eventstore.Write{many, large, many} {
		results, err := log.Commit(t.Context(), batch)
		if err != nil || len(results) != len(batch) {
			t.Fatalf("%d results, %v", len(results), err)
		}
	}
	if v := verified(t, log); int(v.Events) != len(many)+len(large) || v.Commits != 2 {
		t.Fatalf("%+v", v)
	}
	events, err := log.ReadStream(t.Context(), on("large"), 0, eventstore.MaxPage)
	if err != nil || len(events) != len(large) || !bytes.Equal(events[3].Data, noise) || len(events[3].Meta["k"]) != eventstore.MaxMeta-1 {
		t.Fatalf("%d large events, %v", len(events), err)
	}
	o, found, err := log.Outcome(t.Context(), [16]byte{1, 255, 3})
	if err != nil || !found || !bytes.Equal(o.Data, noise[:eventstore.MaxOutcome]) || o.Events != 1 {
		t.Fatalf("an outcome of %d bytes, %v, %v", len(o.Data), found, err)
	}
}

// TestTextThatIsNoneIsRefusedAndNothingStays: past the checks of a Store, Postgres takes
// neither NUL nor bytes that are not UTF-8 for a text. The batch with it fails as a whole,
// it is not said to be away, and the log goes on.
func TestTextThatIsNoneIsRefusedAndNothingStays(t *testing.T) {
	log := open(t, servertest.Postgres(t), Options{Views: []eventstore.View{counted{}}})
	for i, w := range []eventstore.Write{
		one(on("a\x00b"), 0, "x"), one(on("a\xff"), eventstore.Any, "x"),
		one(eventstore.Stream{Category: "\xc3", ID: "1"}, 0, "x"), one(eventstore.Stream{Category: "c\x00"}, 0, "x"),
		{Stream: on("1"), Expected: eventstore.Any, Events: []eventstore.NewEvent{{Type: "T\x00", Data: []byte("x")}}},
		one(on("1"), eventstore.Any, "a row with \x00"), one(on("1"), eventstore.Any, "a row with \xff"),
		{Stream: on("a\x00"), Key: &eventstore.Key{Hash: [16]byte{5}}},
	} {
		batch := []eventstore.Write{one(on("7"), eventstore.Any, "beside it"), w}
		results, err := log.Commit(t.Context(), batch)
		if err == nil || errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrUnknown) {
			t.Errorf("write %d: %+v, %v", i, results, err)
		}
	}
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("1"), 0, "well")}); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, log); v.Events != 1 || v.Rows != 1 {
		t.Errorf("%+v", v)
	}
}

// TestNumbersThatAreUsedUpRefuseOneCommandAndNotTheBatch: an import has brought the last
// number there is. Who asks for the next is refused; who stands beside it is not.
func TestNumbersThatAreUsedUpRefuseOneCommandAndNotTheBatch(t *testing.T) {
	log := open(t, servertest.Postgres(t), Options{})
	last := one(eventstore.Stream{Category: "thing"}, 0, "the last")
	last.Events[0].Number = math.MaxInt64
	next, beside := one(eventstore.Stream{Category: "thing"}, 0, "one more"), one(eventstore.Stream{Category: "other"}, 0, "beside it")
	for range 2 { // in one batch, and when it is in the log
		results, err := log.Commit(t.Context(), []eventstore.Write{last, next, beside})
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(results[1].Err, eventstore.ErrInvalid) || results[2].Err != nil {
			t.Errorf("got %+v", results)
		}
	}
	if got := all(t, log); fmt.Sprint(got) != "[the last beside it beside it]" {
		t.Errorf("the log has %q", got)
	}
	verified(t, log)
}

// TestEveryWayOfSendingStatementsThatIsLetInWorks: a URL may choose one for a pooler.
func TestEveryWayOfSendingStatementsThatIsLetInWorks(t *testing.T) {
	url := servertest.Postgres(t)
	for i, mode := range []string{"cache_statement", "cache_describe", "describe_exec"} {
		opts := Options{Schema: mode, Views: []eventstore.View{counted{}}, Log: quiet()}
		log, err := Open(t.Context(), url+"&default_query_exec_mode="+mode, opts)
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		for n := range 2 {
			if _, err := log.Commit(t.Context(), []eventstore.Write{keyed(one(on("1"), eventstore.Version(n), mode), byte(n+1)), one(on("2"), eventstore.Any, "x")}); err != nil {
				t.Errorf("%s: %v", mode, err)
			}
		}
		if _, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
			t.Errorf("%s: a rebuild: %v", mode, err)
		}
		if v, err := log.Verify(t.Context(), func(_, _ eventstore.Position) {}); err != nil || v.Events != 4 || v.Rows != 2 {
			t.Errorf("%d %s: %+v, %v", i, mode, v, err)
		}
		if _, found, err := log.Outcome(t.Context(), [16]byte{1, 1}); !found || err != nil {
			t.Errorf("%s: the outcome: %v, %v", mode, found, err)
		}
		_ = log.Close()
	}
}

// TestTheClockOfTheDatabaseMayGoBack: a log never does. Its next commit has the time of
// the one before, and an event from the future is no reason to stop.
func TestTheClockOfTheDatabaseMayGoBack(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	future := time.Date(2100, 1, 2, 3, 4, 5, 678_000, time.UTC)
	s, err := commitAt(t, log, future)
	if err != nil || !s.Equal(future) {
		t.Fatalf("%v, %v", s, err)
	}
	for range 2 {
		results, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), eventstore.Any, "later")})
		if err != nil || !results[0].Time.Equal(future) {
			t.Fatalf("got %+v, %v", results, err)
		}
	}
	head, err := log.Head(t.Context())
	if err != nil || !head.Time.Equal(future) {
		t.Fatalf("the head is %+v, %v", head, err)
	}
	verified(t, log)
}

// commitAt commits one event as if the clock of the database were at a moment, and
// returns what time it has.
func commitAt(t *testing.T, log *Log, at time.Time) (time.Time, error) {
	t.Helper()
	if err := log.connectWriter(t.Context()); err != nil {
		return at, err
	}
	real := log.sql.state
	defer func() { log.sql.state = real }()
	log.sql.state = strings.Replace(real, "clock_timestamp()", "'"+at.Format(time.RFC3339Nano)+"'::timestamptz", 1)
	results, err := log.Commit(context.WithoutCancel(t.Context()), []eventstore.Write{one(on("a"), eventstore.Any, "then")})
	if err != nil {
		return at, err
	}
	return results[0].Time, nil
}
