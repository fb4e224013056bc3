package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// oneByte changes one byte, or one unit, of what a column holds.
func oneByte() map[string]string {
	text := func(c string) string { return c + " = overlay(" + c + " placing 'Z' from 3 for 1)" }
	bytes := func(c string) string { return c + " = set_byte(" + c + ", 0, get_byte(" + c + ", 0) # 1)" }
	return map[string]string{
		"stream": text("stream"), "type": text("type"),
		"number": "number = number # 1", "previous": "previous = previous # 64",
		"recorded_at": "recorded_at = recorded_at - interval '1us'",
		"crc":         "crc = crc # 1", "crc, upper half": "crc = crc # (1::bigint << 40)", "crc, sign": "crc = crc # (1::bigint << 63)",
		"data": bytes("data"), "data, longer": `data = data || '\x00'`, "data, none": "data = ''",
		"meta": "meta = replace(meta::text, 'rich', 'poor')::json", "meta, spaces": "meta = (meta::text || ' ')::json", "meta, none": "meta = null",
		"key": bytes("key"), "key, none": "key = null",
		"fingerprint": bytes("fingerprint"), "fingerprint and key swapped": "fingerprint = key, key = fingerprint",
		"version": "version = version + 7",
	}
}

// TestAByteThatIsChangedAnywhereIsFoundByAllThatRead changes each column of each event
// by itself. Verify names the event, and reading the log serves what is before it, and
// then names it too; its stream is not served.
func TestAByteThatIsChangedAnywhereIsFoundByAllThatRead(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	var batch []eventstore.Write
	for i := range 4 {
		w := keyed(one(on(fmt.Sprint(i%2)), eventstore.Any, fmt.Sprint("data ", i)), byte(i+1))
		w.Events[0].Meta = eventstore.Metadata{"who": "rich"}
		batch = append(batch, w)
	}
	for _, part := range [][]eventstore.Write{batch[:1], batch[1:3], batch[3:]} {
		if _, err := log.Commit(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, url, "create table kept as select * from events")
	for column, change := range oneByte() {
		for at := eventstore.Position(1); at <= 4; at++ {
			execute(t, url, fmt.Sprintf("update events set %s where position = %d", change, at))
			_, err := log.Verify(t.Context(), func(_, _ eventstore.Position) {})
			if d, ok := errors.AsType[*eventstore.DamageError](err); !ok || d.Position != at {
				t.Errorf("%s at %d: Verify says %v", column, at, err)
			}
			before, err := log.ReadAll(t.Context(), 0, 10)
			if at > 1 && (err != nil || len(before) != int(at-1)) {
				t.Errorf("%s at %d: %d events before it are served, %v", column, at, len(before), err)
			}
			if at > 1 {
				_, err = log.ReadAll(t.Context(), at-1, 10)
			}
			if d, ok := errors.AsType[*eventstore.DamageError](err); !ok || d.Position != at {
				t.Errorf("%s at %d: reading says %v", column, at, err)
			}
			if events, err := log.ReadStream(t.Context(), on(fmt.Sprint((at-1)%2)), 0, 10); err == nil && len(events) == 2 {
				t.Errorf("%s at %d: its stream is served: %+v", column, at, events)
			}
			execute(t, url, "truncate events", "insert into events select * from kept")
		}
	}
	verified(t, log)
}

// TestDamageBesideTheEventsIsFound: rows that are gone, doubled, moved or made up, each
// undone again.
func TestDamageBesideTheEventsIsFound(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{Views: []eventstore.View{counted{}}})
	story(t, log)
	tables := []string{"events", "commits", "lineage", "counters", "counted"}
	for _, name := range tables {
		execute(t, url, fmt.Sprintf("create table kept_%s as select * from %[1]s", name))
	}
	for _, what := range []string{
		"insert into events select 6, stream, 9, previous, number, type, recorded_at, crc, data, meta, key, fingerprint from events where position = 5", // doubled
		"update events set position = 60 where position = 5", // moved
		"update events set position = position + 10",
		"update events set position = case position when 4 then 40 when 5 then 4 end where position > 3",
		"delete from events where position >= 4", // its end is cut off
		"delete from events",
		"delete from commits",
		"update commits set first = 2 where first = 3",
		"update commits set last = 4 where first = 4",
		"update commits set last = last + 1 where first = 4",
		"update commits set first = 30, last = 30 where first = 3",
		"update commits set hash = '' where first = 4",
		"insert into commits select 6, 6, recorded_at, hash, batch from commits where first = 4",
		"insert into commits select 6, 5, recorded_at, hash, batch from commits where first = 4",
		"delete from lineage",
		"update lineage set first = 2",
		"update lineage set first = 0",
		"insert into lineage select 7, gen_random_uuid(), timeline, system from lineage",
		"insert into counters values ('invented', 3)",
		"delete from counters",
		"update counters set category = 'renamed'",
		"update counters set highest = highest + 1",
		"insert into counted values (-5)",
		"insert into counted values (9223372036854775807)",
		"update counted set id = 77 where id = 1",
		"update counted set at = 'infinity' where id = 1",
		"delete from counted",
	} {
		execute(t, url, what)
		_, err := log.Verify(t.Context(), func(_, _ eventstore.Position) {})
		if _, ok := errors.AsType[*eventstore.DamageError](err); !ok {
			t.Errorf("%s: Verify says %v", what, err)
		}
		for _, name := range tables {
			execute(t, url, fmt.Sprintf("truncate %s", name), fmt.Sprintf("insert into %s select * from kept_%[1]s", name))
		}
	}
	verified(t, log)
}

// TestALineageThatIsDamagedIsSaidAtOnce, and not taken for a database that is away.
func TestALineageThatIsDamagedIsSaidAtOnce(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{Patience: time.Hour}) // of which nothing is used
	execute(t, url, "update lineage set first = 2")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := log.Head(ctx)
	if _, ok := errors.AsType[*eventstore.DamageError](err); !ok || errors.Is(err, eventstore.ErrAway) {
		t.Fatalf("got %v", err)
	}
	execute(t, url, "update lineage set first = 1")
	if _, err := log.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestATableWhoseTypesWereChangedIsNotServed: an operator has made a column an int, or
// allowed null in it.
func TestATableWhoseTypesWereChangedIsNotServed(t *testing.T) {
	for _, what := range []string{
		"alter table counted alter events type integer", "alter table counted alter id type smallint",
		"alter table counted alter events drop not null; update counted set events = null",
		"alter table counted alter at drop not null; update counted set at = null",
		"alter table counted alter data drop not null; update counted set data = null",
	} {
		url := servertest.Postgres(t)
		log := open(t, url, Options{Views: []eventstore.View{counted{}}})
		story(t, log)
		execute(t, url, strings.Split(what, "; ")...)
		rows, err := log.Select(t.Context(), eventstore.Select{Table: "counted", Limit: 10})
		if d, ok := errors.AsType[*eventstore.DamageError](err); !ok || !strings.Contains(d.Error(), "drop the table") {
			t.Errorf("%s: got %v, %v", what, rows, err)
		}
		execute(t, url, "drop table counted", "delete from views where name = 'counted'") // as the hint says
		v := verified(t, open(t, url, Options{Views: []eventstore.View{counted{}}}))
		if v.Rows != 3 {
			t.Errorf("%s: afterwards %+v", what, v)
		}
	}
}
