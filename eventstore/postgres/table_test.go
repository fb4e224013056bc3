package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/eventstore"
)

// tableOf prepares a table.
func tableOf(t testing.TB, def eventstore.Table) *table {
	t.Helper()
	tab, err := newTable("public", 0, def)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// TestTheStatementsOnATable are what an operator finds in the database and in its log.
func TestTheStatementsOnATable(t *testing.T) {
	tab := tableOf(t, counted{}.Tables()[0])
	for what, pair := range map[string][2]string{
		"all": {tab.selec[""], `select id, events, data, at from "public".counted where id > $1 order by id limit $2`},
		"by key": {
			tab.selec["id"],
			`select id, events, data, at from "public".counted where id = $1 and id > $2 limit $3`,
		},
		"by index": {
			tab.selec["events"],
			`select id, events, data, at from "public".counted where events = $1 and id > $2 order by events, id limit $3`,
		},
		"call": {tab.write, `select "public".write_counted($1, $2, $3, $4, $5, $6)`},
		"ddl": {tab.ddl("public"), `create table "public".{table} (id bigint primary key, events bigint not null default 0, ` +
			`data varchar not null default '', at timestamp not null default 'epoch'); create index on "public".{table} (events, id);`},
		"shape": {strings.Join(tab.shape(), ", "), "id bigint, events bigint, data varchar, at timestamp"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is\n%s, should be\n%s", what, pair[0], pair[1])
		}
	}
	const writer = `
create or replace function "public".write_counted(p_gone bigint[], p1 bigint[], p2 bigint[], p3 varchar[], p4 timestamp[], p_green boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform "public".take_lock();
	if not p_green then
		delete from "public".counted where id = any(p_gone);
		insert into "public".counted (id, events, data, at) select * from unnest(p1, p2, p3, p4) on conflict (id) do update set events = excluded.events, data = excluded.data, at = excluded.at;
	end if;
	if p_green or (select v.green from "public".views v where v.name = 'counted') then
		delete from "public".counted_green where id = any(p_gone);
		insert into "public".counted_green (id, events, data, at) select * from unnest(p1, p2, p3, p4) on conflict (id) do update set events = excluded.events, data = excluded.data, at = excluded.at;
	end if;
end $$;`
	if diff := cmp.Diff(writer, tab.writer("public")); diff != "" {
		t.Error(diff)
	}
	only := tableOf(t, eventstore.Table{Name: "only", Columns: []eventstore.Column{{Name: "id"}}})
	if !strings.Contains(only.writer("public"), "on conflict (id) do nothing") {
		t.Errorf("a table of keys alone is written by %s", only.writer("public"))
	}
}

// TestNamesThatAreNoPlainWordsAreRefused, and those of the log itself: no name needs
// quotes, so none can break out of them.
func TestNamesThatAreNoPlainWordsAreRefused(t *testing.T) {
	column := []eventstore.Column{{Name: "id"}}
	for _, name := range []string{
		"", "Users", "a b", "a;drop table events", `a"b`, "a'b", "1a", "ä", strings.Repeat("a", 50),
		"events", "commits", "outcomes", "lineage", "views", "counters", "history", "schema_version", "users_green", "users_old",
	} {
		if _, err := newTable("public", 0, eventstore.Table{Name: name, Columns: column}); err == nil {
			t.Errorf("a table may be called %q", name)
		}
		if name == "" || plainWord(name) {
			continue
		}
		if _, err := newTable("public", 0, eventstore.Table{Name: "t", Columns: append(column, eventstore.Column{Name: name})}); err == nil {
			t.Errorf("a column may be called %q", name)
		}
	}
	if _, err := newViews("public", []eventstore.View{counted{}, counted{}}); err == nil {
		t.Error("two views share a table")
	}
	if got := in(`we"ird's`, "{s}.events {q} {class}"); got != `"we""ird's".events 'we"ird''s' 1162761026` {
		t.Errorf("the schema is named %s", got)
	}
}

// TestOfTheChangesOfAKeyTheLastCounts: random changes, folded and applied at once, end as
// one after the other.
func TestOfTheChangesOfAKeyTheLastCounts(t *testing.T) {
	tab := tableOf(t, counted{}.Tables()[0])
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		before := rapid.MapOfN(rapid.Int64Range(1, 6), rapid.Int64(), 0, 6).Draw(rt, "before")
		want, got := maps.Clone(before), maps.Clone(before)
		var changes []eventstore.Row
		for i := range rapid.IntRange(0, 12).Draw(rt, "changes") {
			id := rapid.Int64Range(1, 6).Draw(rt, "id")
			row := eventstore.Row{Delete: rapid.Bool().Draw(rt, "gone"), Values: []eventstore.Value{
				eventstore.Int(id), eventstore.Int(int64(i)), eventstore.Text(fmt.Sprint("é", i)), eventstore.Time(at),
			}}
			if changes = append(changes, row); row.Delete {
				delete(want, id)
				if rapid.Bool().Draw(rt, "short") {
					changes[len(changes)-1].Values = row.Values[:1] // only the key counts
				}
			} else {
				want[id] = int64(i)
			}
		}
		r := tab.fold(changes)
		for _, id := range r.gone {
			delete(got, id)
		}
		ids, events := r.columns[0].([]int64), r.columns[1].([]int64)
		texts, times := r.columns[2].([]string), r.columns[3].([]time.Time)
		for i, id := range ids {
			if slices.Contains(ids[:i], id) || slices.Contains(r.gone, id) {
				rt.Fatalf("key %d is changed twice in one statement: %+v", id, r)
			}
			got[id] = events[i]
			if texts[i] != fmt.Sprint("é", events[i]) || !times[i].Equal(at) {
				rt.Fatalf("the columns of a row are of different rows: %+v", r)
			}
		}
		if !maps.Equal(got, want) {
			rt.Fatalf("%v ends as %v, should be %v", changes, got, want)
		}
	})
}

// sorted brings questions into an order that can be compared.
func (q questions) String() string {
	slices.Sort(q.streams)
	slices.Sort(q.counters)
	unnamed := make([]string, len(q.categories))
	for i := range q.categories {
		unnamed[i] = fmt.Sprint(q.categories[i], "+", q.counts[i])
	}
	slices.Sort(unnamed)
	return fmt.Sprint("ends of ", q.streams, unnamed, ", counters ", q.counters, ", keys ", len(q.keys))
}

// TestABatchAsksForWhatItNeedsAndOnce.
func TestABatchAsksForWhatItNeedsAndOnce(t *testing.T) {
	plain := func(id string) eventstore.Write {
		return eventstore.Write{Stream: on(id), Events: []eventstore.NewEvent{{Type: "A"}}}
	}
	unnamed := eventstore.Write{Stream: eventstore.Stream{Category: "user"}, Events: []eventstore.NewEvent{{Type: "A", Number: eventstore.NextNumber}}}
	answer := eventstore.Write{Stream: on("a"), Expected: 1, Key: &eventstore.Key{Hash: [16]byte{1}}}
	general := eventstore.Write{Key: &eventstore.Key{Hash: [16]byte{2}}}
	for _, c := range []struct {
		what  string
		batch []eventstore.Write
		want  string
	}{
		{"nothing", nil, "ends of [] [], counters [], keys 0"},
		{"a stream, twice", []eventstore.Write{plain("a"), plain("a"), plain("b")}, "ends of [thing-a thing-b] [], counters [], keys 0"},
		{"numbers", []eventstore.Write{one(on("a"), 0, ""), one(on("b"), 0, "")}, "ends of [thing-a thing-b] [], counters [thing], keys 0"},
		{"streams that are named by their number", []eventstore.Write{unnamed, unnamed, unnamed}, "ends of [] [user+3], counters [user], keys 0"},
		{"and those that take numbers in between", []eventstore.Write{unnamed, {
			Stream: eventstore.Stream{Category: "user", ID: "x"}, Events: unnamed.Events,
		}}, "ends of [user-x] [user+2], counters [user], keys 0"},
		{"answers", []eventstore.Write{answer, general}, "ends of [thing-a] [], counters [], keys 2"},
		{"everything", []eventstore.Write{keyed(one(on("c"), 0, ""), 3), unnamed, answer}, "ends of [thing-a thing-c] [user+1], counters [thing user], keys 2"},
	} {
		if got := ask(c.batch).String(); got != c.want {
			t.Errorf("%s: asks for %s, should for %s", c.what, got, c.want)
		}
	}
}

// TestWhereALogIsSaidToBe: enough to find it, and no password.
func TestWhereALogIsSaidToBe(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://me:secret@db.example:6543/social":                          "postgres://me@db.example:6543/social",
		"postgresql://me@db.example/social?sslmode=require":                    "postgres://me@db.example:5432/social",
		"host=db.example user=me password=secret dbname=social":                "postgres://me@db.example:5432/social",
		"postgres://me:secret@first.example:1,second.example:2/social":         "postgres://me@first.example:1/social",
		"postgres://m%40e:se%2Fcret@db.example/social?application_name=friend": "postgres://m%40e@db.example:5432/social",
	} {
		s, err := newServer(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if s.name != want {
			t.Errorf("%s is called %s, should be %s", address, s.name, want)
		}
		params := s.config.RuntimeParams
		if params["timezone"] != "UTC" || params["lock_timeout"] == "" || params["application_name"] == "" || s.config.ValidateConnect == nil {
			t.Errorf("%s is used with %v", address, params)
		}
		if masked := s.masked(fmt.Errorf("no route to %s", s.config.Password)); s.config.Password != "" && strings.Contains(masked.Error(), "cret") {
			t.Errorf("%s: masked as %v", address, masked)
		}
	}
	s, _ := newServer("postgres://me@h/d?application_name=friend&target_session_attrs=any")
	if s.config.RuntimeParams["application_name"] != "friend" {
		t.Error("what the operator asks for is overwritten")
	}
}

// TestAVersionErrorSaysWhatToDo.
func TestAVersionErrorSaysWhatToDo(t *testing.T) {
	for want, e := range map[string]VersionError{
		"run the version that migrated it, or a later one": {Found: 5, Known: 3},
		"there is no log in":           {Found: 0, Known: 3},
		"this program needs version 3": {Found: 2, Known: 3},
	} {
		e.Store = "postgres://h/d"
		if text := e.Error(); !strings.Contains(text, want) || !strings.Contains(text, e.Store) || e.Found < e.Known && !strings.Contains(text, "--migrate-store") {
			t.Errorf("%+v says %s", e, text)
		}
	}
}

// TestPausesGrowAndEnd.
func TestPausesGrowAndEnd(t *testing.T) {
	last := time.Duration(0)
	for try := range 100 {
		p := pause(try)
		if p < last || p > time.Second || try < 3 && p > 100*time.Millisecond {
			t.Fatalf("before try %d it waits %v", try+1, p)
		}
		last = p
	}
	if last != time.Second {
		t.Fatalf("in the end it waits %v", last)
	}
}
