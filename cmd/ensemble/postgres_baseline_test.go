package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ensemble/graph"
	"ensemble/internal/bench"
	"ensemble/user"
	"ensemble/wire"
)

// baseline is the system one would write with Postgres: one handler, one statement
// or one transaction for each request, a pool of connections. Both directions of a
// friendship are under one primary key, so that every question about friends is
// answered from its index alone.
type baseline struct {
	pool, watch *pgxpool.Pool // watch is beside what is measured
	schema      string
}

// rankSQL ranks the ten best candidates of somebody. Of eight ways to write it this is
// the fastest by a tenth, on the generated network: the index is searched once for all
// friends, and who is no candidate is left out of the groups instead of the paths.
const rankSQL = `SELECT id, weight FROM (
		SELECT friend_id AS id, count(*) AS weight FROM friend
		WHERE user_id = ANY(ARRAY(SELECT friend_id FROM friend WHERE user_id = $1)) GROUP BY friend_id
	) counted
	WHERE id <> $1 AND id NOT IN (SELECT friend_id FROM friend WHERE user_id = $1)
	ORDER BY weight DESC, id LIMIT 10`

// recommendSQL adds who they are.
const recommendSQL = `SELECT u.id, u.first_name, u.last_name, u.created_at, u.updated_at, c.weight
	FROM (` + rankSQL + `) c JOIN users u USING (id) ORDER BY c.weight DESC, u.id`

// openBaseline connects, and loads a network into a schema of its own unless it is
// there. It makes the benchmark void if Postgres would read more than the index.
func openBaseline(b *testing.B, n network, connections int32) *baseline {
	b.Helper()
	p := &baseline{schema: "ensemble_bench_" + n.name}
	p.pool, p.watch = p.connect(b, connections), p.connect(b, 1)
	mark := fmt.Sprintf("%d people, %d friendships, first %v", n.people, len(n.pairs), n.pairs[:min(1, len(n.pairs))])
	if len(n.pairs) == 0 || p.mark(b) != mark { // without friendships it is there to be changed
		p.fill(b, n, mark)
	}
	p.exec(b, `VACUUM ANALYZE users`)
	p.exec(b, `VACUUM ANALYZE friend`)
	if len(n.pairs) > 0 {
		p.onlyTheIndex(b)
	}
	return p
}

// postgresURL says where Postgres is; without one the benchmark is left out.
func postgresURL(b *testing.B) string {
	b.Helper()
	url := os.Getenv("ENSEMBLE_POSTGRES")
	if url == "" {
		b.Skip("ENSEMBLE_POSTGRES names no Postgres")
	}
	return url
}

// connect opens a pool. Neither compiling statements nor workers beside a connection
// pay for statements of milliseconds that come from many connections at once.
func (p *baseline) connect(b *testing.B, connections int32) *pgxpool.Pool {
	b.Helper()
	config, err := pgxpool.ParseConfig(postgresURL(b))
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = connections
	maps.Copy(config.ConnConfig.RuntimeParams, map[string]string{
		"search_path": p.schema, "application_name": p.schema, "jit": "off", "work_mem": "64MB",
		"max_parallel_workers_per_gather": "0",
	})
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// mark returns which network was loaded before, "" for none.
func (p *baseline) mark(b *testing.B) (mark string) {
	b.Helper()
	err := p.watch.QueryRow(b.Context(),
		`SELECT coalesce(obj_description(to_regnamespace($1)::oid, 'pg_namespace'), '')`, p.schema).Scan(&mark)
	if err != nil {
		b.Fatal(err)
	}
	return mark
}

func (p *baseline) exec(b *testing.B, sql string) {
	b.Helper()
	if _, err := p.watch.Exec(b.Context(), sql); err != nil {
		b.Fatal(err)
	}
}

// fill makes the tables. Friends are copied in the order of their key, before there
// is one: so the index is as dense as it can be.
func (p *baseline) fill(b *testing.B, n network, mark string) {
	b.Helper()
	p.exec(b, `DROP SCHEMA IF EXISTS `+p.schema+` CASCADE; CREATE SCHEMA `+p.schema)
	p.exec(b, `CREATE TABLE users (id bigint PRIMARY KEY, first_name varchar NOT NULL, last_name varchar NOT NULL,
		created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)`)
	p.exec(b, `CREATE TABLE friend (user_id bigint NOT NULL, friend_id bigint NOT NULL)`)
	p.exec(b, `CREATE TABLE events (position bigserial PRIMARY KEY, stream varchar NOT NULL, version bigint NOT NULL,
		type varchar NOT NULL, data varchar NOT NULL, UNIQUE (stream, version))`)
	p.exec(b, fmt.Sprintf(`INSERT INTO users SELECT i, 'First' || i, 'Last' || i, now(), now() FROM generate_series(1, %d) i`, n.people))
	lists := bench.NewLists(n.people, n.pairs)
	id, friends := int64(0), []int32(nil)
	_, err := p.watch.CopyFrom(b.Context(), pgx.Identifier{"friend"}, []string{"user_id", "friend_id"}, pgx.CopyFromFunc(func() ([]any, error) {
		for len(friends) == 0 {
			if id++; id > int64(n.people) {
				return nil, nil
			}
			friends = lists.Of(id)
		}
		friend := friends[0]
		friends = friends[1:]
		return []any{id, int64(friend)}, nil
	}))
	if err != nil {
		b.Fatal(err)
	}
	p.exec(b, `ALTER TABLE friend ADD PRIMARY KEY (user_id, friend_id)`)
	p.exec(b, `COMMENT ON SCHEMA `+p.schema+` IS '`+mark+`'`)
}

// onlyTheIndex makes the benchmark void unless the table of friends is never read,
// only its index. It also reads that index once, into memory.
func (p *baseline) onlyTheIndex(b *testing.B) {
	b.Helper()
	p.exec(b, `PREPARE rank(bigint) AS `+rankSQL)
	rows, err := p.watch.Query(b.Context(), `EXPLAIN (ANALYZE, COSTS OFF) EXECUTE rank(1)`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		b.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.Fatal(err)
	}
	scans := 0
	for _, line := range lines {
		line = strings.TrimSpace(line)
		scan := strings.Contains(line, " on friend")
		if scan && !strings.Contains(line, "Index Only Scan using friend_pkey") ||
			strings.HasPrefix(line, "Heap Fetches:") && line != "Heap Fetches: 0" {
			b.Fatalf("void: more than the index is read:\n%s", strings.Join(lines, "\n"))
		}
		if scan {
			scans++
		}
	}
	if scans < 2 {
		b.Fatalf("void: the index is not read:\n%s", strings.Join(lines, "\n"))
	}
	p.exec(b, `DEALLOCATE rank`)
	p.exec(b, `SELECT count(*) FROM friend`)
}

// rank returns the ten best candidates of somebody.
func (p *baseline) rank(b *testing.B, id int64) []graph.Ranked {
	b.Helper()
	rows, err := p.pool.Query(b.Context(), rankSQL, id)
	if err != nil {
		b.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r graph.Ranked, err error) {
		return r, row.Scan(&r.ID, &r.Weight)
	})
	if err != nil {
		b.Fatal(err)
	}
	return all
}

// processorTime returns how much processor time the connections have used in
// Postgres so far, if it runs on this machine.
func (p *baseline) processorTime(b *testing.B) (used time.Duration) {
	b.Helper()
	rows, err := p.watch.Query(b.Context(), `SELECT pid FROM pg_stat_activity WHERE application_name = $1`, p.schema)
	if err != nil {
		b.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(int(pid)), "stat"))
		if err != nil || !strings.Contains(string(text), "(postgres)") {
			return 0
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // from the third on; utime and stime are the 14th and the 15th
		for _, ticks := range fields[11:13] {
			n, _ := strconv.ParseInt(ticks, 10, 64)
			used += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return used
}

// recommend answers with the ten best candidates, by one statement.
func (p *baseline) recommend(w http.ResponseWriter, r *http.Request) {
	id, ok := wire.ParseID(r.PathValue("id"))
	if !ok {
		http.Error(w, "no id", http.StatusBadRequest)
		return
	}
	rows, err := p.pool.Query(r.Context(), recommendSQL, id)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body := []byte("[")
	var u user.User
	var weight int
	_, err = pgx.ForEachRow(rows, []any{&u.ID, &u.FirstName, &u.LastName, &u.CreatedAt, &u.LastModified, &weight}, func() error {
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = wire.AppendRecommendation(body, u, weight, nil)
		return nil
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, ']'))
}

// add makes two people friends in one transaction: look, record the event, write both
// rows.
func (p *baseline) add(w http.ResponseWriter, r *http.Request) {
	id, ok := wire.ParseID(r.PathValue("id"))
	other, ok2 := wire.ParseID(r.URL.Query().Get("friendId"))
	if !ok || !ok2 {
		http.Error(w, "no ids", http.StatusBadRequest)
		return
	}
	var position int64
	err := pgx.BeginFunc(r.Context(), p.pool, func(tx pgx.Tx) error {
		var people, friends int
		if err := tx.QueryRow(r.Context(), `SELECT (SELECT count(*) FROM users WHERE id IN ($1, $2)),
			(SELECT count(*) FROM friend WHERE user_id = $1 AND friend_id = $2)`, id, other).Scan(&people, &friends); err != nil {
			return err
		}
		if people != 2 || friends != 0 {
			return errors.New("refused")
		}
		err := tx.QueryRow(r.Context(), `INSERT INTO events (stream, version, type, data) VALUES ($1, 1, 'FriendAdded', $2) RETURNING position`,
			fmt.Sprintf("friend-%d:%d", min(id, other), max(id, other)), fmt.Sprintf(`{"by":%d,"to":%d}`, id, other)).Scan(&position)
		if err != nil {
			return err
		}
		_, err = tx.Exec(r.Context(), `INSERT INTO friend VALUES ($1, $2), ($2, $1)`, id, other)
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"id":%d,"userId":%d,"friendId":%d}`, position, id, other)
}

// serveBaseline serves it on loopback and returns its address.
func serveBaseline(b *testing.B, p *baseline) string {
	b.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /recommendation/v1/users/{id}/commands/recommendFriends", p.recommend)
	mux.HandleFunc("POST /friend/v1/users/{id}/commands/addFriend", p.add)
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
