package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// TestAProgramWorksOnItsOwnSchemaAndTheNext, and says what to do about any other.
func TestAProgramWorksOnItsOwnSchemaAndTheNext(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	known := len(migrations())
	commit := func(l *Log, data string) error {
		_, err := l.Commit(t.Context(), []eventstore.Write{one(on(data), 0, data)})
		return err
	}
	if err := commit(log, "own"); err != nil {
		t.Fatal(err)
	}
	execute(t, url, fmt.Sprint("update schema_version set version = ", known+1))
	if err := errors.Join(commit(log, "next"), commit(open(t, url, Options{}), "next, opened")); err != nil {
		t.Fatal(err)
	}
	execute(t, url, fmt.Sprint("update schema_version set version = ", known+2))
	_, opened := Open(t.Context(), url, Options{Log: quiet()})
	migrated := Migrate(t.Context(), url, MigrateOptions{Log: quiet()})
	for what, err := range map[string]error{"a commit": commit(log, "beyond"), "opening": opened, "migrating": migrated} {
		version, ok := errors.AsType[*VersionError](err)
		if !ok || version.Found != known+2 || !strings.Contains(err.Error(), "run the version that migrated it") {
			t.Errorf("%s on a schema from the future: %v", what, err)
		}
	}
	if got := all(t, log); !slices.Equal(got, []string{"own", "next", "next, opened"}) {
		t.Errorf("the log has %q", got)
	}
}

// TestARoleThatServesCanOnlyAppendAndRead: with it a log can't be made or migrated, and
// what was written can't be changed.
func TestARoleThatServesCanOnlyAppendAndRead(t *testing.T) {
	url := servertest.Postgres(t)
	served := role(t, url)
	for range 2 { // before there is a log, and when another role made it
		_, err := Open(t.Context(), served, Options{Log: quiet()})
		if version, ok := errors.AsType[*VersionError](err); err == nil || ok && !strings.Contains(version.Error(), "--migrate-store") {
			t.Fatalf("without any right: %v", err)
		}
		if err := Migrate(t.Context(), url, MigrateOptions{Log: quiet()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := Migrate(t.Context(), url, MigrateOptions{Role: userOf(t, served), Log: quiet(), Views: []eventstore.View{counted{}}}); err != nil {
		t.Fatal(err)
	}
	log := open(t, served, Options{Views: []eventstore.View{counted{}}})
	for i := range 3 {
		if _, err := log.Commit(t.Context(), []eventstore.Write{keyed(one(on("1"), eventstore.Any, "x"), byte(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
		t.Fatal(err)
	}
	verified(t, log)
	conn := connect(t, served)
	defer hangUp(t.Context(), conn)
	for _, sql := range []string{
		"update events set data = 'forged'", "delete from events", "insert into commits values (9, 9, now(), '', gen_random_uuid())",
		"truncate outcomes", "update lineage set first = 7", "drop table counted", "update counted set events = 7",
		"update schema_version set version = 9", "create table mine (id int)",
		// The function trusts nobody: neither a gap nor a second event at a position.
		"select append(gen_random_uuid(), 9, now(), '', '{a-1}', '{1}', '{0}', '{0}', '{A}', '{0}', '{x}', '{null}', '{null}', '{null}', '{}', '{}')",
		"select append(gen_random_uuid(), 3, now(), '', '{a-1}', '{1}', '{0}', '{0}', '{A}', '{0}', '{x}', '{null}', '{null}', '{null}', '{}', '{}')",
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("this was allowed: %s", sql)
		}
	}
	if v := verified(t, log); v.Events != 3 {
		t.Fatalf("%+v", v)
	}
	// Nobody else may, though functions are everybody's unless somebody says otherwise.
	if other, err := pgx.Connect(t.Context(), role(t, url)); err == nil {
		defer hangUp(t.Context(), other)
		if _, err := other.Exec(t.Context(), "select take_lock()"); err == nil {
			t.Error("a role without rights holds up the log")
		}
	}
}

// longer is counted with one more column.
type longer struct{}

// Tables implements eventstore.View.
func (longer) Tables() []eventstore.Table {
	tables := counted{}.Tables()
	tables[0].Columns = append(tables[0].Columns, eventstore.Column{Name: "twice", Type: eventstore.IntColumn})
	return tables
}

// Rows implements eventstore.View.
func (longer) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	rows, err := counted{}.Rows(e)
	for i := range rows {
		rows[i].Values = append(rows[i].Values, eventstore.Int(2*int64(e.Version)))
	}
	return rows, err
}

// TestAViewWithANewColumnIsFilledWhileOlderReplicasGoOn: what those write has the default
// in the column that they do not know, and a rebuild puts it right.
func TestAViewWithANewColumnIsFilledWhileOlderReplicasGoOn(t *testing.T) {
	url := servertest.Postgres(t)
	served := role(t, url)
	if err := Migrate(t.Context(), url, MigrateOptions{Role: userOf(t, served), Log: quiet(), Views: []eventstore.View{counted{}}}); err != nil {
		t.Fatal(err)
	}
	older := open(t, served, Options{Views: []eventstore.View{counted{}}})
	commit := func(l *Log, id string) {
		t.Helper()
		if _, err := l.Commit(t.Context(), []eventstore.Write{one(on(id), eventstore.Any, "x")}); err != nil {
			t.Fatal(err)
		}
	}
	commit(older, "1")
	if _, err := Open(t.Context(), served, Options{Views: []eventstore.View{longer{}}, Log: quiet()}); err == nil || !strings.Contains(err.Error(), "--migrate-store") {
		t.Fatalf("the role that serves may not migrate, and opening says %v", err)
	}
	newer := open(t, url, Options{Views: []eventstore.View{longer{}}}) // the owner's may
	commit(older, "2")
	commit(newer, "3")
	twice := func() (got []int64) {
		rows, err := newer.Select(t.Context(), eventstore.Select{Table: "counted", Limit: 9})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			got = append(got, row[4].Int())
		}
		return got
	}
	if got := twice(); !slices.Equal(got, []int64{2, 0, 2}) {
		t.Fatalf("the new column is %v", got)
	}
	open(t, served, Options{Views: []eventstore.View{counted{}}}) // an older one starts again
	found, err := newer.Rebuild(t.Context(), eventstore.Rebuild{})
	if err != nil || found.Tables[0].Differ != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if got := twice(); !slices.Equal(got, []int64{2, 2, 2}) {
		t.Fatalf("after a rebuild the new column is %v", got)
	}
	commit(older, "1")
	verified(t, older)
}

// TestADatabaseThatIsSomethingElseIsLeftAlone, such as the one of the Spring system.
func TestADatabaseThatIsSomethingElseIsLeftAlone(t *testing.T) {
	url := servertest.Postgres(t)
	execute(t, url, "create table counted (id bigint primary key)", "insert into counted values (7)")
	_, err := Open(t.Context(), url, Options{Views: []eventstore.View{counted{}}, Log: quiet()})
	if err == nil || !strings.Contains(err.Error(), "tables counted that are not of a log") || !strings.Contains(err.Error(), "empty database") {
		t.Fatalf("got %v", err)
	}
	execute(t, url, "update counted set id = id where id = 7")
	open(t, url, Options{}) // nothing of it is in the way
}
