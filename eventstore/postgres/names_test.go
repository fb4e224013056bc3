package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// TestASchemaAndARoleMayHaveAnyName that Postgres takes: with quotes, spaces, signs that
// other languages know, words of SQL. Everything works in it, as a role that only serves
// and has such a name too, and nothing lands in another schema.
func TestASchemaAndARoleMayHaveAnyName(t *testing.T) {
	address := servertest.Postgres(t)
	for i, schema := range []string{
		"plain", "Upper Case", `with"quotes"`, `it's`, `'; drop table events; --`, `a.b`, `select`, `100%`, `%s%d%[1]s`, `back\slash`, `\'`,
		"öäü", "日本語", "😀", strings.Repeat("x", 63), ` `, `:name`, `?`, `a-b/c`, `"`, `''`,
	} {
		role := fmt.Sprintf(`role %s %d`, schema[:min(len(schema), 5)], i)
		role = strings.ToValidUTF8(role, "")
		quoted := pgx.Identifier{role}.Sanitize()
		execute(t, address, "create role "+quoted+" login")
		t.Cleanup(func() { execute(t, address, "drop owned by "+quoted, "drop role "+quoted) })
		opts := Options{Schema: schema, Views: []eventstore.View{counted{}}, Log: quiet()}
		if err := Migrate(t.Context(), address, MigrateOptions{Views: opts.Views, Schema: schema, Role: role, Log: quiet()}); err != nil {
			t.Errorf("%q: %v", schema, err)
			continue
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.User(role)
		log := open(t, u.String(), opts)
		for n := range 3 {
			if _, err := log.Commit(t.Context(), []eventstore.Write{keyed(one(on("1"), eventstore.Version(n), fmt.Sprint(n)), byte(n))}); err != nil {
				t.Errorf("%q: %v", schema, err)
			}
		}
		found, err := log.Rebuild(t.Context(), eventstore.Rebuild{})
		if err != nil || found.Tables[0].Differ != 0 {
			t.Errorf("%q: a rebuild found %+v, %v", schema, found, err)
		}
		if v := verified(t, log); v.Events != 3 || v.Rows != 1 {
			t.Errorf("%q: %+v", schema, v)
		}
		again := open(t, u.String(), opts)
		if _, found, err := again.Outcome(t.Context(), [16]byte{2, 1}); !found || err != nil {
			t.Errorf("%q: the outcome is found: %v, %v", schema, found, err)
		}
		_, _ = log.Close(), again.Close()
	}
	conn := connect(t, address)
	defer hangUp(t.Context(), conn)
	var strays int
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_class where relnamespace = 'public'::regnamespace").Scan(&strays); err != nil || strays != 0 {
		t.Errorf("%d things are in the schema public, %v", strays, err)
	}
}

// TestANameThatPostgresWouldBendIsRefused before anybody connects: one that it cuts off, or
// that would be another in our scripts.
func TestANameThatPostgresWouldBendIsRefused(t *testing.T) {
	const nowhere = "postgres://me@127.0.0.1:1/x"
	for _, schema := range []string{
		strings.Repeat("x", 64), strings.Repeat("é", 32), "pg_mine", "pg_catalog", "$$", "a$b", "{s}", "{table}", "a\x00b", "a\nb", "\xff", "\u0085",
	} {
		_, opened := Open(t.Context(), nowhere, Options{Schema: schema, Log: quiet()})
		migrated := Migrate(t.Context(), nowhere, MigrateOptions{Schema: schema, Log: quiet()})
		for _, err := range []error{opened, migrated} {
			if err == nil || !strings.Contains(err.Error(), "can't be the name of the schema") {
				t.Errorf("%q: %v", schema, err)
			}
		}
	}
}

// shaped is a view with tables of given names.
type shaped []eventstore.Table

// Tables implements eventstore.View.
func (s shaped) Tables() []eventstore.Table { return s }

// Rows implements eventstore.View.
func (s shaped) Rows(eventstore.Event) ([]eventstore.Row, error) { return nil, nil }

// TestATableMayNotTakeANameOfTheLog, nor one that a rebuild gives, nor one that needs
// quotes; and two views may not share one.
func TestATableMayNotTakeANameOfTheLog(t *testing.T) {
	columns := func(names ...string) (list []eventstore.Column) {
		for _, name := range names {
			list = append(list, eventstore.Column{Name: name, Type: eventstore.IntColumn})
		}
		return list
	}
	for want, view := range map[string]shaped{
		"events: the log has the name":            {{Name: "events", Columns: columns("id")}},
		"history: the log has the name":           {{Name: "history", Columns: columns("id")}},
		"users_green: the log":                    {{Name: "users_green", Columns: columns("id")}},
		"users_old: the log":                      {{Name: "users_old", Columns: columns("id")}},
		`"Users" can't be the name`:               {{Name: "Users", Columns: columns("id")}},
		`"a b" can't be the name`:                 {{Name: "fine", Columns: columns("id", "a b")}},
		`"x;drop" can't be`:                       {{Name: "x;drop", Columns: columns("id")}},
		`"" can't be the name`:                    {{Name: "", Columns: columns("id")}},
		"two views share the table twice":         {{Name: "twice", Columns: columns("id")}, {Name: "twice", Columns: columns("id")}},
		`"` + strings.Repeat("n", 60) + `" can't`: {{Name: strings.Repeat("n", 60), Columns: columns("id")}},
	} {
		_, err := Open(t.Context(), "postgres://me@127.0.0.1:1/x", Options{Views: []eventstore.View{view}, Log: quiet()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, should say %s", err, want)
		}
	}
}

// TestTheTablesOfFlywayAreNotOurs: it once kept its notes in a table schema_version too.
// That is said at once, and nothing of it is changed.
func TestTheTablesOfFlywayAreNotOurs(t *testing.T) {
	address := servertest.Postgres(t)
	execute(t, address, "create table schema_version (version varchar, description varchar)", "insert into schema_version values ('1.1', 'users')")
	_, opened := Open(t.Context(), address, Options{Log: quiet(), Patience: 1 << 40})
	migrated := Migrate(t.Context(), address, MigrateOptions{Log: quiet()})
	for _, err := range []error{opened, migrated} {
		if err == nil || errors.Is(err, eventstore.ErrAway) || !strings.Contains(err.Error(), "tables schema_version that are not of a log") {
			t.Errorf("got %v", err)
		}
	}
	conn := connect(t, address)
	defer hangUp(t.Context(), conn)
	var tables []string
	if err := conn.QueryRow(t.Context(), "select array_agg(relname::text) from pg_class where relnamespace = 'public'::regnamespace").Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tables, []string{"schema_version"}) {
		t.Errorf("there is %v", tables)
	}
}

// TestADatabaseInAnotherEncodingIsLeftAsItWas by opening and by migrating.
func TestADatabaseInAnotherEncodingIsLeftAsItWas(t *testing.T) {
	address := servertest.Postgres(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/") + "_ascii"
	execute(t, address, "create database "+name+" encoding 'SQL_ASCII' locale 'C' template template0")
	t.Cleanup(func() { execute(t, address, "drop database "+name+" with (force)") })
	u.Path = "/" + name
	_, opened := Open(t.Context(), u.String(), Options{Log: quiet()})
	migrated := Migrate(t.Context(), u.String(), MigrateOptions{Log: quiet()})
	for _, err := range []error{opened, migrated} {
		if err == nil || !strings.Contains(err.Error(), "encoding SQL_ASCII; make one with the encoding UTF8") {
			t.Errorf("got %v", err)
		}
	}
	conn := connect(t, u.String())
	defer hangUp(t.Context(), conn)
	var made int
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_class where relnamespace = 'public'::regnamespace").Scan(&made); err != nil || made != 0 {
		t.Errorf("%d things were made, %v", made, err)
	}
}
