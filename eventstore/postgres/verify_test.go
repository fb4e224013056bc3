package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// story fills a log with three commits: five events in three streams, one with metadata
// and a key.
func story(t *testing.T, log *Log) {
	t.Helper()
	rich := keyed(one(on("2"), eventstore.Any, "two"), 1)
	rich.Events[0].Meta = eventstore.Metadata{"traceparent": "00-1"}
	for _, batch := range [][]eventstore.Write{
		{one(on("1"), 0, "one"), rich}, {one(on("1"), 1, "three")}, {one(on("3"), 0, "four"), one(on("2"), 1, "five")},
	} {
		results, err := log.Commit(t.Context(), batch)
		if err != nil || results[0].Err != nil {
			t.Fatal(results, err)
		}
	}
}

// TestVerifyFindsWhateverIsChanged changes every column of the log by itself, behind its
// back, and names the place.
func TestVerifyFindsWhateverIsChanged(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{Views: []eventstore.View{counted{}}})
	story(t, log)
	if v := verified(t, log); v.Events != 5 || v.Commits != 3 || v.Streams != 3 || v.Rows != 3 {
		t.Fatalf("%+v", v)
	}
	execute(t, url, "create table kept as select * from events", "create table kept_commits as select * from commits",
		"create table kept_rows as select * from counted", "create table kept_lineage as select * from lineage")
	const swap = "update events set data = case position when 1 then 'three'::bytea else 'one' end where position in (1, 3)"
	for what, at := range map[string]eventstore.Position{
		"update events set stream = 'thing-9' where position = 3":                                                      3,
		"update events set version = 7 where position = 3":                                                             3,
		"update events set previous = 2 where position = 3":                                                            3,
		"update events set number = 9 where position = 2":                                                              2,
		"update events set type = 'Other' where position = 4":                                                          4,
		"update events set recorded_at = recorded_at + interval '1us' where position = 5":                              5,
		"update events set crc = crc # 1 where position = 1":                                                           1,
		"update events set data = 'twO' where position = 2":                                                            2,
		"update events set meta = '{\"traceparent\":\"00-2\"}' where position = 2":                                     2,
		"update events set meta = '{\"traceparent\": \"00-1\"}' where position = 2":                                    2,
		"update events set key = '\\x00' where position = 2":                                                           2,
		"update events set fingerprint = null where position = 2":                                                      2,
		"delete from events where position = 3":                                                                        3,
		"delete from events where position = 5":                                                                        5,
		swap:                                                                                                           1,
		"update commits set hash = sha256(hash) where first = 3":                                                       3,
		"update commits set recorded_at = now() where first = 3":                                                       3,
		"update commits set last = 1 where first = 1":                                                                  1,
		"delete from commits where first = 3":                                                                          3,
		"delete from commits where first = 4":                                                                          4,
		"update lineage set first = 9":                                                                                 6,
		"update counters set highest = 4":                                                                              0,
		"insert into counted values (9)":                                                                               0,
		"delete from counted where id = 3":                                                                             0,
		"update counted set data = 'x' where id = 2":                                                                   0,
		"update counted set at = at + interval '1us' where id = 1":                                                     0,
		"delete from events where position > 3; delete from commits where first > 3":                                   0, // the counter knows
		"insert into events select 6, 'thing-8', 1, 0, 6, type, recorded_at, crc, data from events where position = 1": 6,
	} {
		execute(t, url, what)
		_, err := log.Verify(t.Context(), func(_, _ eventstore.Position) {})
		damage, ok := errors.AsType[*eventstore.DamageError](err)
		if !ok || damage.Position != at || strings.Contains(damage.Log, "password") || damage.Hint == "" {
			t.Errorf("%s: %v, should be at %d", what, err, at)
		}
		execute(t, url, "truncate events, commits, counted, lineage", "insert into events select * from kept", "insert into commits select * from kept_commits",
			"insert into counted select * from kept_rows", "insert into lineage select * from kept_lineage", "update counters set highest = 5")
	}
	verified(t, log)
}

// TestDamageIsNotServed: reading gives the events before it, and then says what is wrong.
func TestDamageIsNotServed(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	story(t, log)
	for _, what := range []string{"changed", "missing"} {
		if what == "changed" {
			execute(t, url, "update events set data = 'forged' where position = 3")
		} else {
			execute(t, url, "delete from events where position = 3")
		}
		before, err := log.ReadAll(t.Context(), 0, 10)
		if err != nil || len(before) != 2 {
			t.Fatalf("%s: %d events before it, %v", what, len(before), err)
		}
		_, all := log.ReadAll(t.Context(), 2, 10)
		_, stream := log.ReadStream(t.Context(), on("1"), 1, 10)
		if damage, ok := errors.AsType[*eventstore.DamageError](all); !ok || damage.Position != 3 {
			t.Errorf("%s: reading all says %v", what, all)
		}
		if damage, ok := errors.AsType[*eventstore.DamageError](stream); what == "changed" && (!ok || damage.Position != 3) {
			t.Errorf("%s: reading its stream says %v", what, stream)
		}
	}
}

// TestAKeyThatHasExpiredIsNewAndItsRowGoes, by age and by number.
func TestAKeyThatHasExpiredIsNewAndItsRowGoes(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{KeepKeys: 300})
	use := func(key byte) *eventstore.Outcome {
		results, err := log.Commit(t.Context(), []eventstore.Write{keyed(one(on("a"), eventstore.Any, fmt.Sprint(key)), key)})
		if err != nil {
			t.Fatal(err)
		}
		return results[0].Previous
	}
	use(1)
	if use(1) == nil {
		t.Fatal("a key is forgotten at once")
	}
	execute(t, url, "update outcomes set recorded_at = recorded_at - interval '25 hours'") // a quiet day
	if use(1) != nil {
		t.Fatal("a key is remembered for more than a day")
	}
	if use(1) == nil {
		t.Fatal("a key that is used again is not remembered")
	}
	var many []eventstore.Write
	for i := range 700 {
		w := eventstore.Write{Expected: eventstore.Any, Key: &eventstore.Key{Hash: [16]byte{2, byte(i), byte(i >> 8)}}}
		many = append(many, w)
	}
	if _, err := log.Commit(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, url)
	defer hangUp(t.Context(), conn)
	var rows, lowest int
	if err := conn.QueryRow(t.Context(), "select count(*), min(id) from outcomes").Scan(&rows, &lowest); err != nil {
		t.Fatal(err)
	}
	if rows != 300 || use(1) != nil {
		t.Fatalf("there are %d rows from %d on", rows, lowest)
	}
}
