package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ensemble/client"
	"ensemble/internal/loadgen"
	"ensemble/user"
	"ensemble/wire"
)

// The benchmarks of this file hold the whole system, over HTTP on loopback, against
// what one would write with Postgres instead: one handler, one statement or one
// transaction for each request, a pool of connections. They need a Postgres whose
// content may be thrown away:
//
//	ENSEMBLE_POSTGRES=postgres://… go test -run '^$' -bench Postgres ./cmd/ensemble

// baseline is the system one would write with Postgres.
type baseline struct {
	pool  *pgxpool.Pool
	users int
}

// openBaseline makes the tables in a schema of its own, and fills them with a network.
func openBaseline(b *testing.B, g *loadgen.Graph, connections int32) *baseline {
	b.Helper()
	url := os.Getenv("ENSEMBLE_POSTGRES")
	if url == "" {
		b.Skip("ENSEMBLE_POSTGRES names no Postgres")
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = connections
	config.ConnConfig.RuntimeParams["search_path"] = "ensemble_bench"
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	p := &baseline{pool: pool, users: len(g.People)}
	p.exec(b, `DROP SCHEMA IF EXISTS ensemble_bench CASCADE; CREATE SCHEMA ensemble_bench`)
	p.exec(b, `CREATE TABLE users (id bigint PRIMARY KEY, first_name varchar NOT NULL, last_name varchar NOT NULL,
		created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)`)
	// Both directions under one key: every question about friends is answered from
	// the index alone.
	p.exec(b, `CREATE TABLE friend (user_id bigint, friend_id bigint, PRIMARY KEY (user_id, friend_id))`)
	p.exec(b, `CREATE TABLE events (position bigserial PRIMARY KEY, stream varchar NOT NULL, version bigint NOT NULL,
		type varchar NOT NULL, data varchar NOT NULL, UNIQUE (stream, version))`)
	p.fill(b, g)
	p.exec(b, `VACUUM ANALYZE users`)
	p.exec(b, `VACUUM ANALYZE friend`)
	return p
}

func (p *baseline) exec(b *testing.B, sql string) {
	b.Helper()
	if _, err := p.pool.Exec(b.Context(), sql); err != nil {
		b.Fatal(err)
	}
}

func (p *baseline) fill(b *testing.B, g *loadgen.Graph) {
	b.Helper()
	p.exec(b, fmt.Sprintf(`INSERT INTO users SELECT i, 'First' || i, 'Last' || i, now(), now() FROM generate_series(1, %d) i`, p.users))
	rows := make([][]any, 0, 2*len(g.Friendships))
	for _, pair := range g.Friendships {
		x, y := int64(pair[0])+1, int64(pair[1])+1
		rows = append(rows, []any{x, y}, []any{y, x})
	}
	_, err := p.pool.CopyFrom(b.Context(), pgx.Identifier{"friend"}, []string{"user_id", "friend_id"}, pgx.CopyFromRows(rows))
	if err != nil {
		b.Fatal(err)
	}
}

// recommend answers with the ten best candidates, by one statement.
func (p *baseline) recommend(w http.ResponseWriter, r *http.Request) {
	const sql = `WITH mine AS (SELECT friend_id FROM friend WHERE user_id = $1)
		SELECT u.id, u.first_name, u.last_name, u.created_at, u.updated_at, c.weight FROM (
			SELECT f.friend_id AS id, count(*) AS weight FROM mine JOIN friend f ON f.user_id = mine.friend_id
			WHERE f.friend_id <> $1 AND NOT EXISTS (SELECT FROM friend x WHERE x.user_id = $1 AND x.friend_id = f.friend_id)
			GROUP BY f.friend_id ORDER BY weight DESC, id LIMIT 10
		) c JOIN users u USING (id) ORDER BY c.weight DESC, u.id`
	id, ok := wire.ParseID(r.PathValue("id"))
	if !ok {
		http.Error(w, "no id", http.StatusBadRequest)
		return
	}
	rows, err := p.pool.Query(r.Context(), sql, id)
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
		if err := tx.QueryRow(r.Context(), `SELECT count(*) FROM users WHERE id IN ($1, $2)`, id, other).Scan(&people); err != nil {
			return err
		}
		if err := tx.QueryRow(r.Context(), `SELECT count(*) FROM friend WHERE user_id = $1 AND friend_id = $2`, id, other).Scan(&friends); err != nil {
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

// serveBaseline serves it on loopback and returns its base address.
func serveBaseline(b *testing.B, p *baseline) string {
	b.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /recommendation/v1/users/{id}/commands/recommendFriends", p.recommend)
	mux.HandleFunc("POST /friend/v1/users/{id}/commands/addFriend", p.add)
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	return server.URL
}

// serveSystem runs the whole system on a folder of its own, loads a network, and
// returns the address of the gateway.
func serveSystem(b *testing.B, g *loadgen.Graph) string {
	b.Helper()
	s, err := openSystem(b.Context(), filepath.Join(b.TempDir(), "data"), discardLog())
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- s.run(ctx, listeners{{"edge", l}}, func(context.Context) error { close(ready); return nil })
	}()
	b.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, s.close()); err != nil {
			b.Error(err)
		}
	})
	<-ready
	_, err = loadgen.Run(b.Context(), loadgen.Options{
		Client:  client.New("http://gateway", &http.Client{Transport: loadgen.InProcess{Handler: s.handlers["edge"]}}),
		Workers: 256, Graph: g, Keys: "bench-",
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.caughtUp(b.Context()); err != nil {
		b.Fatal(err)
	}
	return "http://" + l.Addr().String()
}

// ask sends requests from many connections until the benchmark ends. An answer with
// another status than want makes it void.
func ask(b *testing.B, connections int, want int, next func(n int64) (method, url string)) {
	b.Helper()
	transport := client.Transport(connections)
	defer transport.CloseIdleConnections()
	http := &http.Client{Transport: transport}
	var sent atomic.Int64
	b.SetParallelism(connections / 2) // of GOMAXPROCS goroutines each
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			method, url := next(sent.Add(1))
			if err := askOnce(b.Context(), http, method, url, want); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func askOnce(ctx context.Context, c *http.Client, method, url string, want int) error {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != want {
		return fmt.Errorf("%s %s is answered %s: %s", method, url, answer.Status, body)
	}
	return nil
}

// BenchmarkPostgresRecommend asks for ten recommendations over HTTP, of everybody of
// the real network of 4,039 people in turn.
func BenchmarkPostgresRecommend(b *testing.B) {
	g, err := loadgen.Demo()
	if err != nil {
		b.Fatal(err)
	}
	postgres := serveBaseline(b, openBaseline(b, g, 32))
	system := serveSystem(b, g)
	for _, one := range []struct{ name, url string }{{"ensemble", system}, {"postgres", postgres}} {
		b.Run(one.name, func(b *testing.B) {
			ask(b, 64, http.StatusOK, func(n int64) (string, string) {
				id := strconv.FormatInt(n*2_654_435_761%int64(len(g.People))+1, 10)
				return http.MethodGet, one.url + "/recommendation/v1/users/" + id + "/commands/recommendFriends?limit=10"
			})
		})
	}
}

// BenchmarkPostgresAdd adds friendships over HTTP from 256 connections, against a
// transaction for each of them with a pool of ten.
func BenchmarkPostgresAdd(b *testing.B) {
	const people = 100_000
	crowd := loadgen.Random(people, 0, 1)
	postgres := serveBaseline(b, openBaseline(b, crowd, 10))
	system := serveSystem(b, crowd)
	var from atomic.Int64 // no pair comes twice, in any round
	for _, one := range []struct{ name, url string }{{"ensemble", system}, {"postgres", postgres}} {
		b.Run(one.name, func(b *testing.B) {
			first := from.Load()
			ask(b, 256, http.StatusCreated, func(n int64) (string, string) {
				n += first
				x := n*2_654_435_761%people + 1
				y := (x+n/people*7919+n%7)%people + 1
				return http.MethodPost, one.url + "/friend/v1/users/" + strconv.FormatInt(x, 10) +
					"/commands/addFriend?friendId=" + strconv.FormatInt(y, 10)
			})
			from.Add(int64(b.N) + 1)
		})
	}
}
