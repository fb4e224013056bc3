package postgres

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ensemble/eventstore"
	"ensemble/internal/bench"
	"ensemble/internal/servertest"
)

// openBench opens a new log.
func openBench(b *testing.B, views ...eventstore.View) (*eventstore.Store, string) {
	b.Helper()
	url := servertest.Postgres(b)
	log, err := Open(b.Context(), url, Options{Log: quiet(), Views: views})
	if err != nil {
		b.Fatal(err)
	}
	store, err := eventstore.Open(b.Context(), log, eventstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store, url
}

// command makes the commands of a turn, with keys or without: the same for everybody who
// is compared, and others in each turn.
func command(turn, i int64, keys bool) (eventstore.Write, error) {
	w, err := bench.Raw(rand.New(rand.NewPCG(uint64(turn), uint64(i))), i)
	if !keys {
		w.Key = nil
	}
	return w, err
}

// BenchmarkAppend has 256 clients append, against one transaction for each command on
// 64 connections with the same tables: begin, select, insert, commit. Both take the same
// commands, by turns.
func BenchmarkAppend(b *testing.B) {
	for name, keys := range map[string]bool{"events": false, "events-and-keys": true} {
		b.Run(name, func(b *testing.B) {
			ours, _ := openBench(b)
			theirs, err := newTransactions(b, servertest.Postgres(b), 64)
			if err != nil {
				b.Fatal(err)
			}
			var took [2]time.Duration
			const turns = 4
			for turn := range turns {
				n := max(1, b.N/turns)
				for i, append := range []func(eventstore.Write) error{
					func(w eventstore.Write) error { _, err := ours.Append(b.Context(), w); return err },
					func(w eventstore.Write) error { return theirs.append(b, w) },
				} {
					clients, share := 256, n
					if i == 1 {
						clients, share = 64, max(1, n/4)
					}
					t, err := bench.Concurrently(b.Context(), clients, share, func(_ *rand.Rand, i int64) error {
						w, err := command(int64(turn), i, keys)
						if err != nil {
							return err
						}
						return append(w)
					})
					if err != nil {
						b.Fatal(err)
					}
					took[i] += t * time.Duration(n) / time.Duration(share)
				}
			}
			b.ReportMetric(float64(b.N)/took[0].Seconds(), "commands/s")
			b.ReportMetric(float64(b.N)/took[1].Seconds(), "baseline/s")
			b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
		})
	}
}

// transactions is what one would write without an event store: a transaction for each
// command.
type transactions struct{ pool *pgxpool.Pool }

func newTransactions(b *testing.B, url string, connections int32) (*transactions, error) {
	execute(b, url, `create table events (position bigserial primary key, stream text collate "C" not null, version bigint not null,
		number bigserial, type text not null, recorded_at timestamptz not null default now(), data bytea not null, unique (stream, version))`,
		`create table outcomes (key bytea primary key, position bigint not null)`)
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		return nil, err
	}
	b.Cleanup(pool.Close)
	return &transactions{pool}, nil
}

func (p *transactions) append(b *testing.B, w eventstore.Write) error {
	return pgx.BeginFunc(b.Context(), p.pool, func(tx pgx.Tx) error {
		var version, position int64
		stream := w.Stream.String()
		if w.Stream.ID == "" {
			stream += fmt.Sprint(rand.Int64())
		}
		if err := tx.QueryRow(b.Context(), "select coalesce(max(version), 0) from events where stream = $1", stream).Scan(&version); err != nil {
			return err
		}
		err := tx.QueryRow(b.Context(), "insert into events (stream, version, type, data) values ($1, $2, $3, $4) returning position",
			stream, version+1, w.Events[0].Type, w.Events[0].Data).Scan(&position)
		if err == nil && w.Key != nil {
			_, err = tx.Exec(b.Context(), "insert into outcomes values ($1, $2)", w.Key.Hash[:], position)
		}
		return err
	})
}

// BenchmarkReplay reads a log from its beginning, every checksum checked.
func BenchmarkReplay(b *testing.B) {
	store, url := openBench(b)
	if _, err := bench.Concurrently(b.Context(), 1024, b.N, func(_ *rand.Rand, i int64) error {
		w, err := command(0, i, false)
		if err != nil {
			return err
		}
		_, err = store.Append(b.Context(), w)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	execute(b, url, "vacuum analyze events")
	b.ResetTimer()
	took, err := bench.Replay(b.Context(), store, b.N)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/took.Seconds(), "events/s")
}
