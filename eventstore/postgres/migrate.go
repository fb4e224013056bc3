package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ensemble/eventstore"
)

// MigrateOptions configures [Migrate]. The zero value is ready to use.
type MigrateOptions struct {
	// Views are those with which the log is opened afterwards.
	Views []eventstore.View
	// Schema is where everything is. "" means public.
	Schema string
	// Role is granted what serving takes: to read, and to execute the functions that
	// append and fill the views. "" grants nothing.
	Role string
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
}

// Migrate makes the schema of a log, or brings it to the version of this program, with
// the role of its owner. Other programs may go on using the log meanwhile. It changes
// all of it or nothing, and changes nothing where nothing is to be done.
//
// Errors: VersionError when the schema is newer; those of the server.
func Migrate(ctx context.Context, address string, opts MigrateOptions) error {
	server, err := newServer(address)
	if err != nil {
		return err
	}
	o := Options{Schema: opts.Schema, Log: opts.Log}.withDefaults()
	views, err := newViews(o.Schema, opts.Views)
	if err != nil {
		return err
	}
	conn, err := server.connect(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", server.name, server.masked(err))
	}
	defer hangUp(ctx, conn)
	m := migration{server: server, schema: o.Schema, views: views, log: o.Log, role: opts.Role}
	if err = server.check(conn); err == nil {
		err = m.run(ctx, conn)
	}
	if err != nil {
		return fmt.Errorf("migrate %s: %w", server.name, server.masked(err))
	}
	return nil
}

// migration brings one schema to the version of this program.
type migration struct {
	server *server
	schema string
	views  *views
	log    *slog.Logger
	role   string // that is granted what serving takes
	found  int    // version of the schema, as needed has seen it
}

// migrateLock keeps two migrations of one database apart.
const migrateLock = lockClass<<32 | 1

// needed says whether there is something to migrate, and refuses a schema that is too new.
func (m *migration) needed(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var err error
	if m.found, err = m.version(ctx, conn); err != nil {
		return false, err
	}
	switch known := len(migrations()); {
	case m.found > known+1:
		return false, &ownError{&VersionError{Store: m.server.name, Found: m.found, Known: known}}
	case m.found < known:
		return true, nil
	}
	stale, err := m.stale(ctx, conn)
	return len(stale) > 0, err
}

// ensure migrates. Without the rights to, it says so.
func (m *migration) ensure(ctx context.Context, conn *pgx.Conn) error {
	err := m.run(ctx, conn)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42501" { // insufficient privilege
		return &ownError{&VersionError{Store: m.server.name, Found: m.found, Known: len(migrations())}}
	}
	return err
}

// version returns the version of the schema, 0 if there is none. A table of that name
// that somebody else has made, as Flyway did, is not ours.
func (m *migration) version(ctx context.Context, conn *pgx.Conn) (version int, err error) {
	var exists bool
	// to_regclass may remember that there was none before another replica made it.
	err = conn.QueryRow(ctx, `select exists (
		select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = $1 and c.relname = 'schema_version' and a.attname = 'one')`, m.schema).Scan(&exists)
	if err != nil || !exists {
		return 0, err
	}
	err = conn.QueryRow(ctx, in(m.schema, "select version from {s}.schema_version")).Scan(&version)
	return version, err
}

// run migrates, in one transaction.
func (m *migration) run(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Filling views takes as long as the log is.
		if _, err := tx.Exec(ctx, "set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", migrateLock); err != nil {
			return err
		}
		found, err := m.version(ctx, tx.Conn())
		if err != nil {
			return err
		}
		if err := m.upgrade(ctx, tx, found); err != nil {
			return err
		}
		if err := m.makeViews(ctx, tx); err != nil {
			return err
		}
		return m.grant(ctx, tx)
	})
}

// upgrade runs the migrations that the schema lacks.
func (m *migration) upgrade(ctx context.Context, tx pgx.Tx, found int) error {
	all := migrations()
	switch {
	case found > len(all)+1:
		return &ownError{&VersionError{Store: m.server.name, Found: found, Known: len(all)}}
	case found >= len(all):
		return nil
	}
	script := ""
	if found == 0 {
		script = "create schema if not exists {s};"
		var taken []string
		err := tx.QueryRow(ctx, "select array_agg(relname::text) from pg_class where relnamespace = to_regnamespace($1) and relname = any($2)",
			in(m.schema, "{s}"), append(ownTables(), m.views.sorted()...)).Scan(&taken)
		if err != nil {
			return err
		}
		if len(taken) > 0 {
			return &ownError{fmt.Errorf("the schema %s has tables %s that are not of a log; choose an empty database",
				m.schema, strings.Join(taken, ", "))}
		}
		var exists bool
		if err := tx.QueryRow(ctx, "select to_regnamespace($1) is not null", in(m.schema, "{s}")).Scan(&exists); err != nil {
			return err
		}
		if exists { // creating it, if only to find it there, takes a right that may be missing
			script = ""
		}
	}
	script += strings.Join(all[found:], "")
	if found == 0 {
		script += "insert into {s}.schema_version (version) values (0);" +
			"insert into {s}.lineage values (1, gen_random_uuid(), 0, 0); select {s}.arrive();"
	}
	if _, err := tx.Exec(ctx, in(m.schema, script)); err != nil {
		return fmt.Errorf("make version %d of the schema out of version %d: %w", len(all), found, err)
	}
	if _, err := tx.Exec(ctx, in(m.schema, "update {s}.schema_version set version = $1"), len(all)); err != nil {
		return err
	}
	m.log.Info("the schema of the log was migrated", "log", m.server.name, "from", found, "to", len(all))
	return nil
}

// stale returns the tables of views that are not in the database as they are defined. A
// table with further columns at its end is one of a newer program: they have defaults.
func (m *migration) stale(ctx context.Context, conn *pgx.Conn) (names []string, err error) {
	rows, err := conn.Query(ctx, in(m.schema, "select name, columns, indexes from {s}.views"))
	if err != nil {
		return nil, err
	}
	type shape struct{ columns, indexes []string }
	found := map[string]shape{}
	for rows.Next() {
		var name string
		var s shape
		if err := rows.Scan(&name, &s.columns, &s.indexes); err != nil {
			return nil, err
		}
		found[name] = s
	}
	for _, name := range m.views.sorted() {
		t := m.views.tables[name]
		s, columns := found[name], t.shape()
		if len(s.columns) < len(columns) || !slices.Equal(s.columns[:len(columns)], columns) ||
			slices.ContainsFunc(t.def.Indexes, func(i string) bool { return !slices.Contains(s.indexes, i) }) {
			names = append(names, name)
		}
	}
	return names, rows.Err()
}

// makeViews makes the tables of views that are not there as they are defined, and fills
// them from the log. Nobody can append meanwhile.
func (m *migration) makeViews(ctx context.Context, tx pgx.Tx) error {
	stale, err := m.stale(ctx, tx.Conn())
	if err != nil || len(stale) == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, in(m.schema, "select {s}.take_lock(), {s}.drop_green()")); err != nil {
		return err
	}
	for _, name := range stale {
		t := m.views.tables[name]
		ddl := t.ddl(m.schema)
		script := fmt.Sprintf("drop table if exists %s; %s %s", t.name, strings.ReplaceAll(ddl, "{table}", name), t.writer(m.schema))
		if _, err := tx.Exec(ctx, script); err != nil {
			return fmt.Errorf("make table %s: %w", name, err)
		}
		_, err := tx.Exec(ctx, in(m.schema, `insert into {s}.views (name, columns, indexes, ddl) values ($1, $2, $3, $4)
			on conflict (name) do update set columns = excluded.columns, indexes = excluded.indexes, ddl = excluded.ddl`),
			name, t.shape(), append([]string{}, t.def.Indexes...), ddl)
		if err != nil {
			return fmt.Errorf("note table %s: %w", name, err)
		}
	}
	return m.fill(ctx, tx, stale)
}

// fill brings the log into tables that are empty.
func (m *migration) fill(ctx context.Context, tx pgx.Tx, stale []string) error {
	l := &Log{server: m.server, name: m.server.name, sql: newStatements(m.schema)}
	for after := eventstore.Position(0); ; {
		page, err := l.page(ctx, tx, l.sql.all, after, eventstore.MaxPage)
		if err != nil || len(page.events) == 0 {
			if page.damage != nil {
				return &ownError{page.damage}
			}
			return err
		}
		changes, err := m.views.rows(page.events)
		if err != nil {
			return &ownError{err}
		}
		for _, name := range stale {
			if len(changes[name]) == 0 {
				continue
			}
			if _, err := tx.Exec(ctx, m.views.tables[name].write, m.views.tables[name].args(changes[name], false)...); err != nil {
				return fmt.Errorf("fill table %s: %w", name, err)
			}
		}
		after = page.events[len(page.events)-1].Position
	}
}

// grant takes the right to execute our functions from everybody, and gives the roles that
// serve what serving takes: the one that was named, and those that had it before, who
// may lack it on tables that were made anew.
func (m *migration) grant(ctx context.Context, tx pgx.Tx) error {
	functions, err := m.list(ctx, tx, `select p.oid::regprocedure::text from pg_proc p
		where p.pronamespace = to_regnamespace($1) and p.proowner = current_user::regrole and p.prosecdef
			and (p.proname like 'write\_%' or p.proname in ('take_lock', 'timeline', 'append', 'remember', 'arrive',
				'make_green', 'register_green', 'flip', 'drop_green'))`)
	if err != nil || len(functions) == 0 {
		return err
	}
	roles, err := m.list(ctx, tx, `select quote_ident(pg_get_userbyid(a.grantee)) from pg_class c, aclexplode(c.relacl) a
		where c.relnamespace = to_regnamespace($1) and c.relname = 'events' and a.privilege_type = 'SELECT' and a.grantee not in (0, c.relowner)`)
	if err != nil {
		return err
	}
	if m.role != "" {
		roles = append(roles, pgx.Identifier{m.role}.Sanitize())
	}
	tables := append(ownTables(), m.views.sorted()...)
	for i, name := range tables {
		tables[i] = in(m.schema, "{s}.") + name
	}
	execute := "execute on function " + strings.Join(functions, ", ")
	script := "revoke " + execute + " from public;"
	if len(roles) > 0 {
		to := " to " + strings.Join(roles, ", ") + ";"
		script += in(m.schema, "grant usage on schema {s}") + to + "grant select on " + strings.Join(tables, ", ") + to + "grant " + execute + to
	}
	if _, err = tx.Exec(ctx, script); err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	return nil
}

// list returns the texts that a query about the schema finds.
func (m *migration) list(ctx context.Context, tx pgx.Tx, sql string) ([]string, error) {
	rows, err := tx.Query(ctx, sql, in(m.schema, "{s}"))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
