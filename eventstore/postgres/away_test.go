package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// TestASubscriptionGoesOnOverCutLines: each event once and in order, while every line is
// cut again and again.
func TestASubscriptionGoesOnOverCutLines(t *testing.T) {
	address := servertest.Postgres(t)
	p, through := newProxy(t, address)
	log := open(t, through, Options{})
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Poll: time.Millisecond, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	writer := open(t, address, Options{}) // another replica, whose lines are well
	const events = 60
	var group sync.WaitGroup
	group.Go(func() {
		for i := range events {
			if _, err := writer.Commit(context.Background(), []eventstore.Write{one(on(fmt.Sprint(i)), 0, "x")}); err != nil {
				t.Error(err)
			}
		}
	})
	next := eventstore.Position(1)
	for e, err := range store.Subscribe(t.Context(), 0) {
		if err != nil || e.Position != next {
			t.Fatalf("got position %d, %v, should be %d", e.Position, err, next)
		}
		if next%3 == 0 {
			p.cut()
		}
		if next++; next > events {
			break
		}
	}
	group.Wait()
}

// TestEverythingWaitsForAServerThatStarts: opening, reading and committing, for as long as
// there is patience, and then they say what it is about.
func TestEverythingWaitsForAServerThatStarts(t *testing.T) {
	address := servertest.Postgres(t)
	p, through := newProxy(t, address)
	p.refuse.Store(true)
	_, err := Open(t.Context(), through, Options{Log: quiet(), Patience: 50 * time.Millisecond})
	if !errors.Is(err, eventstore.ErrAway) {
		t.Fatalf("opening says %v", err)
	}
	opened := make(chan *Log, 1)
	go func() {
		log, err := Open(context.Background(), through, Options{Log: quiet(), Patience: time.Minute})
		if err != nil {
			t.Error(err)
		}
		opened <- log
	}()
	p.refuse.Store(false)
	log := <-opened
	t.Cleanup(func() { _ = log.Close() })
	if _, err := log.Commit(t.Context(), []eventstore.Write{keyed(one(on("a"), 0, "x"), 1)}); err != nil {
		t.Fatal(err)
	}
	p.refuse.Store(true)
	p.cut()
	log.opts.Patience = 50 * time.Millisecond
	reads := map[string]func(context.Context) error{
		"head":    func(ctx context.Context) error { _, err := log.Head(ctx); return err },
		"all":     func(ctx context.Context) error { _, err := log.ReadAll(ctx, 0, 9); return err },
		"stream":  func(ctx context.Context) error { _, err := log.ReadStream(ctx, on("a"), 0, 9); return err },
		"outcome": func(ctx context.Context) error { _, _, err := log.Outcome(ctx, [16]byte{1, 1}); return err },
		"verify": func(ctx context.Context) error {
			_, err := log.Verify(ctx, func(_, _ eventstore.Position) {})
			return err
		},
		"commit": func(ctx context.Context) error {
			_, err := log.Commit(ctx, []eventstore.Write{one(on("b"), 0, "y")})
			return err
		},
	}
	for name, read := range reads {
		if err := read(t.Context()); !errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrUnknown) || !strings.Contains(err.Error(), log.name) {
			t.Errorf("%s says %v", name, err)
		}
	}
	p.refuse.Store(false)
	log.opts.Patience, log.away = time.Minute, false
	for name, read := range reads {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s, and the server is back: %v", name, err)
		}
	}
}

// TestARebuildWhoseLineIsCutLeavesTheOldRows, at whichever step, and can be begun again.
func TestARebuildWhoseLineIsCutLeavesTheOldRows(t *testing.T) {
	address := servertest.Postgres(t)
	p, through := newProxy(t, address)
	log := open(t, through, Options{Views: []eventstore.View{counted{}}})
	for i := range 5 {
		if _, err := log.Commit(t.Context(), []eventstore.Write{one(on(fmt.Sprint(i+1)), 0, "here")}); err != nil {
			t.Fatal(err)
		}
	}
	for at := 1; ; at++ {
		steps := 0
		_, err := log.Rebuild(t.Context(), eventstore.Rebuild{Between: func(_ context.Context, step func() error) error {
			if steps++; steps == at {
				p.cut()
			}
			return step()
		}})
		if _, err := log.Commit(t.Context(), []eventstore.Write{one(on(fmt.Sprint(at)), eventstore.Any, "again")}); err != nil {
			t.Fatal(err)
		}
		if v := verified(t, log); v.Rows < 5 {
			t.Fatalf("cut at step %d: %+v", at, v)
		}
		if err == nil {
			if at < 3 {
				t.Fatalf("a rebuild of %d steps", at-1)
			}
			return
		}
	}
}

// TestALogFromAnotherHistoryGetsAnotherName: a promoted standby has another timeline, a
// dump that was loaded elsewhere another system. Positions from before keep their name.
func TestALogFromAnotherHistoryGetsAnotherName(t *testing.T) {
	address := servertest.Postgres(t)
	log := open(t, address, Options{})
	commit := func(l *Log) {
		t.Helper()
		if _, err := l.Commit(t.Context(), []eventstore.Write{one(on("a"), eventstore.Any, "x")}); err != nil {
			t.Fatal(err)
		}
	}
	firsts := func(l *Log) (got []eventstore.Position) {
		t.Helper()
		head, err := l.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names := map[[16]byte]bool{}
		for _, f := range head.Lineage {
			got, names[f.UUID] = append(got, f.First), true
		}
		if len(names) != len(got) {
			t.Fatalf("two entries have one name: %v", head.Lineage)
		}
		return got
	}
	commit(log)
	commit(log)
	for _, c := range []struct {
		what   string
		change string
		again  bool // a connection is made anew
		want   []eventstore.Position
	}{
		{"nothing", "", true, []eventstore.Position{1}},
		{"another timeline behind the same connection", "update lineage set timeline = 77", false, []eventstore.Position{1, 4}},
		{"another timeline", "update lineage set timeline = 78 where first = 4", true, []eventstore.Position{1, 4, 5}},
		{"another system", "update lineage set system = 79 where first = 5", true, []eventstore.Position{1, 4, 5, 6}},
	} {
		if c.change != "" {
			execute(t, address, c.change)
		}
		if c.again {
			log.disconnect(t.Context())
		}
		commit(log)
		got := firsts(log)
		if !slices.Equal(got, c.want) {
			t.Fatalf("%s: the lineage begins at %v, should at %v", c.what, got, c.want)
		}
	}
	verified(t, log)
}

// TestTwoLogsInOneDatabaseDoNotWaitForEachOther.
func TestTwoLogsInOneDatabaseDoNotWaitForEachOther(t *testing.T) {
	address := servertest.Postgres(t)
	first, second := open(t, address, Options{Schema: "first"}), open(t, address, Options{Schema: "Second one"})
	conn := connect(t, address)
	defer hangUp(context.Background(), conn)
	if _, err := conn.Exec(t.Context(), "begin; select first.take_lock()"); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Commit(t.Context(), []eventstore.Write{one(on("a"), 0, "second")}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Commit(t.Context(), []eventstore.Write{one(on("a"), 0, "first")}); err != nil {
		t.Fatal(err)
	}
	if a, b := all(t, first), all(t, second); !slices.Equal(a, []string{"first"}) || !slices.Equal(b, []string{"second"}) {
		t.Fatalf("the logs have %q and %q", a, b)
	}
}

// TestManyReadersShareAFewConnections.
func TestManyReadersShareAFewConnections(t *testing.T) {
	u, err := url.Parse(servertest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	log := open(t, u.String(), Options{Readers: 2})
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), 0, "x")}); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			if events, err := log.ReadAll(context.Background(), 0, 9); err != nil || len(events) != 1 {
				t.Errorf("%v, %v", events, err)
			}
		})
	}
	group.Wait()
	if n := log.readers.Stat().TotalConns(); n > 2 {
		t.Errorf("there are %d connections", n)
	}
}

// TestWhatOperatorsReadIsThere: the statement of docs/format/postgres.md, and the columns
// that dashboards read.
func TestWhatOperatorsReadIsThere(t *testing.T) {
	address := servertest.Postgres(t)
	log := open(t, address, Options{Views: []eventstore.View{counted{}}})
	w := one(on("7"), 0, `{"é":1}`)
	w.Events[0].Meta = eventstore.Metadata{"traceparent": "00-1"}
	if _, err := log.Commit(t.Context(), []eventstore.Write{w}); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, address)
	defer hangUp(context.Background(), conn)
	var stream, data, trace string
	err := conn.QueryRow(t.Context(), "select stream, data::json->>'é', meta->>'traceparent' from history order by position desc limit 10").Scan(&stream, &data, &trace)
	if err != nil || stream != "thing-7" || data != "1" || trace != "00-1" {
		t.Errorf("%s %s %s, %v", stream, data, trace, err)
	}
	var types string
	err = conn.QueryRow(t.Context(), `select string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' order by ordinal_position)
		from information_schema.columns where table_schema = 'public' and table_name = 'counted'`).Scan(&types)
	if want := "id bigint NO, events bigint NO, data character varying NO, at timestamp without time zone NO"; err != nil || types != want {
		t.Errorf("the table has %s, should have %s, %v", types, want, err)
	}
	var apart float64
	if err := conn.QueryRow(t.Context(), "select extract(epoch from (c.at at time zone 'UTC') - e.recorded_at)::float8 from counted c, events e").Scan(&apart); err != nil || apart != 0 {
		t.Errorf("the row's time, taken as UTC, is %v s from that of the event, %v", apart, err)
	}
}

// TestRandomBatchesOfTwoReplicasEndAsASliceSays: whichever replica a batch goes to, and
// though both have seen only some of the others'.
func TestRandomBatchesOfTwoReplicasEndAsASliceSays(t *testing.T) {
	address := servertest.Postgres(t)
	opts := Options{Views: []eventstore.View{counted{}}}
	logs := []*Log{open(t, address, opts), open(t, address, opts)}
	var events []string                         // "stream@version #number data"
	versions := map[string]eventstore.Version{} // by stream
	keys := map[byte]eventstore.Position{}
	number := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		log := logs[rapid.IntRange(0, 1).Draw(rt, "replica")]
		var batch []eventstore.Write
		for i := range rapid.IntRange(1, 5).Draw(rt, "writes") {
			id := fmt.Sprint(rapid.IntRange(1, 4).Draw(rt, "stream"))
			expected := rapid.SampledFrom([]eventstore.Version{eventstore.Any, versions[id], versions[id] + 1}).Draw(rt, "expected")
			w := one(on(id), expected, rapid.SampledFrom([]string{"here", "gone"}).Draw(rt, "data"))
			if i%2 == 0 {
				w.Events = append(w.Events, eventstore.NewEvent{Type: "Happened", Data: []byte("here")})
			}
			if rapid.Bool().Draw(rt, "keyed") {
				w = keyed(w, byte(rapid.IntRange(1, 200).Draw(rt, "key")))
			}
			batch = append(batch, w)
		}
		results, err := log.Commit(rt.Context(), batch)
		if err != nil {
			rt.Fatal(err)
		}
		for i, w := range batch {
			id, r := w.Stream.ID, results[i]
			if w.Key != nil {
				if at, used := keys[w.Key.Hash[0]]; used {
					if r.Previous == nil || r.Previous.Position != at {
						rt.Fatalf("a key that was used at %d is answered %+v", at, r)
					}
					continue
				}
			}
			if w.Expected != eventstore.Any && w.Expected != versions[id] {
				if conflict, ok := errors.AsType[*eventstore.ConflictError](r.Err); !ok || conflict.Actual != versions[id] {
					rt.Fatalf("stream %s is at %d, and %+v was answered %+v", id, versions[id], w, r)
				}
				continue
			}
			for j, e := range w.Events {
				versions[id]++
				n := int64(0)
				if j == 0 {
					number++
					n = number
				}
				events = append(events, fmt.Sprintf("%s@%d #%d %s", id, versions[id], n, e.Data))
			}
			if r.Err != nil || r.Version != versions[id] || int(r.Position) != len(events) || r.Number != number {
				rt.Fatalf("got %+v, should be at %d", r, len(events))
			}
			if w.Key != nil {
				keys[w.Key.Hash[0]] = r.Position
			}
		}
	})
	for _, log := range logs {
		var got []string
		for after := eventstore.Position(0); ; {
			page, err := log.ReadAll(t.Context(), after, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				got = append(got, fmt.Sprintf("%s@%d #%d %s", e.Stream.ID, e.Version, e.Number, e.Data))
				after = e.Position
			}
		}
		if !slices.Equal(got, events) {
			t.Fatalf("the log has %v, should have %v", got, events)
		}
		verified(t, log)
	}
}
