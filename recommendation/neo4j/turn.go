package neo4j

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"ensemble/eventstore"
	"ensemble/recommendation"
)

const (
	// lock takes the lock of a checkpoint before anybody reads it: reading first and
	// locking afterwards would let two of them see the same owner.
	lock           = `MATCH (c:EnsembleCheckpoint {log: $log}) SET c.locked = true`
	readCheckpoint = `MATCH (c:EnsembleCheckpoint {log: $log}) RETURN c.owner, c.writes, c.position, c.time`
	move           = `MATCH (c:EnsembleCheckpoint {log: $log})
SET c.owner = $owner, c.writes = $writes, c.position = $position, c.time = $time`
	release = `MATCH (c:EnsembleCheckpoint) SET c.locked = true WITH c WHERE c.owner = $owner SET c.owner = ''`
)

// How long to wait before trying again: at first, and at most while the database is away.
const (
	soon = 20 * time.Millisecond
	late = 2 * time.Second
)

// longest is when the server ends a transaction of ours that goes on. One that was begun
// by a process that stands still must not hold its lock for ever.
const longest = time.Minute

// checkpoint says up to where the graph holds a log, and who wrote that.
type checkpoint struct {
	owner          string
	writes         int64 // how often it was written: two that are equal are the same
	position, time int64 // of the last event; microseconds since 1970
}

// checkpointOf reads a row of readCheckpoint.
func checkpointOf(row []any) checkpoint {
	return checkpoint{owner: text(row[0]), writes: number(row[1]), position: number(row[2]), time: number(row[3])}
}

// holds says whether the events up to a position are in. 0 is no position: the events
// come from where nobody counts them, and nobody knows.
func (c checkpoint) holds(position int64) bool { return position > 0 && position <= c.position }

// mark returns the checkpoint as others know it.
func (c checkpoint) mark() recommendation.Mark {
	if c.position == 0 {
		return recommendation.Mark{}
	}
	return recommendation.Mark{Position: eventstore.Position(c.position), Time: time.UnixMicro(c.time).UTC()}
}

// turn is the right to write one log, as this replica sees it. It belongs to the goroutine
// that follows the log.
type turn struct {
	log   string
	seen  checkpoint // what the checkpoint was when this replica looked last
	since time.Time  // since when it has been that, for the events that are waiting

	// reached is the position up to which this replica knows events to be in the graph.
	reached atomic.Int64
}

// batch is what one transaction does, and up to where that brings the graph.
type batch struct {
	statements     []statement
	position, time int64
}

// statement is a query with what it is about.
type statement struct {
	query string
	rows  []map[string]any
}

// bring returns when the events of a batch are in the graph, whoever wrote them. It goes on
// for as long as the database is away.
//
// Errors: [recommendation.ErrEmptied], the context's, and what no waiting makes good.
func (b *Backend) bring(ctx context.Context, t *turn, in batch) error {
	t.since = time.Now() // the owner has the lease's time, from now on, to write these
	for wait := soon; ; {
		done, err := b.attempt(ctx, t, in)
		b.note(err)
		switch {
		case done:
			t.reached.Store(max(t.reached.Load(), in.position))
			return nil
		case errors.Is(err, recommendation.ErrEmptied):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !passes(err):
			return fmt.Errorf("write to Neo4j: %w", err)
		case err != nil:
			wait = min(2*wait, late)
		default:
			wait = soon // another's turn: look often, what is asked for may be in already
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// note remembers what is wrong, for [Backend.Trouble].
func (b *Backend) note(err error) {
	if err == nil {
		b.trouble.Store(nil)
		return
	}
	b.trouble.Store(&err)
}

// attempt writes the batch if it is this replica's turn, and says whether its events are in.
func (b *Backend) attempt(ctx context.Context, t *turn, in batch) (done bool, err error) {
	if t.seen.owner != b.owner {
		now, err := b.read(ctx, t.log)
		if err != nil || now.holds(in.position) {
			return err == nil, err
		}
		if now.position < t.reached.Load() {
			return false, recommendation.ErrEmptied
		}
		t.look(now)
		if now.owner != "" && time.Since(t.since) < b.lease {
			return false, nil
		}
	}
	return b.commit(ctx, t, in)
}

// look remembers a checkpoint, and since when it has been what it is.
func (t *turn) look(now checkpoint) {
	if now != t.seen {
		t.seen, t.since = now, time.Now()
	}
}

// read returns the checkpoint of a log.
func (b *Backend) read(ctx context.Context, log string) (checkpoint, error) {
	rows, err := ask(ctx, b, neo4j.AccessModeWrite, readCheckpoint, map[string]any{"log": log}, checkpointOf)
	if err != nil {
		return checkpoint{}, err
	}
	return only(rows)
}

// only returns the one checkpoint that there is, unless somebody has emptied the database.
func only(rows []checkpoint) (checkpoint, error) {
	if len(rows) != 1 {
		return checkpoint{}, recommendation.ErrEmptied
	}
	return rows[0], nil
}

// commit brings the batch in, in one transaction, unless it is in already or somebody has
// written since this replica looked.
func (b *Backend) commit(ctx context.Context, t *turn, in batch) (done bool, err error) {
	session := b.session(ctx, neo4j.AccessModeWrite)
	defer func() { err = errors.Join(err, session.Close(context.WithoutCancel(ctx))) }()
	tx, err := session.BeginTransaction(ctx, neo4j.WithTxTimeout(longest))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, tx.Close(context.WithoutCancel(ctx))) }()
	now, err := b.locked(ctx, tx, t.log)
	if err != nil || now.holds(in.position) {
		return err == nil, err
	}
	if now.position < t.reached.Load() {
		return false, recommendation.ErrEmptied
	}
	if now.owner != b.owner && now != t.seen {
		t.look(now)
		return false, nil
	}
	for _, s := range in.statements {
		if err := inside(ctx, tx, s.query, map[string]any{"rows": s.rows}); err != nil {
			return false, err
		}
	}
	next := checkpoint{owner: b.owner, writes: now.writes + 1, position: now.position, time: now.time}
	if in.position > 0 {
		next.position, next.time = in.position, in.time
	}
	err = inside(ctx, tx, move, map[string]any{
		"log": t.log, "owner": next.owner, "writes": next.writes, "position": next.position, "time": next.time,
	})
	if err != nil {
		return false, err
	}
	if err := tx.Commit(ctx); err != nil {
		return false, err
	}
	t.look(next)
	return true, nil
}

// locked returns the checkpoint once nobody else can change it before this transaction ends.
func (b *Backend) locked(ctx context.Context, tx neo4j.ExplicitTransaction, log string) (checkpoint, error) {
	params := map[string]any{"log": log}
	if err := inside(ctx, tx, lock, params); err != nil {
		return checkpoint{}, err
	}
	result, err := tx.Run(ctx, readCheckpoint, params)
	if err != nil {
		return checkpoint{}, err
	}
	var rows []checkpoint
	for result.Next(ctx) {
		rows = append(rows, checkpointOf(result.Record().Values))
	}
	if err := result.Err(); err != nil {
		return checkpoint{}, err
	}
	return only(rows)
}

// inside runs one statement of a transaction to its end.
func inside(ctx context.Context, tx neo4j.ExplicitTransaction, query string, params map[string]any) error {
	result, err := tx.Run(ctx, query, params)
	if err != nil {
		return err
	}
	_, err = result.Consume(ctx)
	return err
}

// giveUp lets somebody else write at once.
func (b *Backend) giveUp(ctx context.Context) error {
	if b.users.seen.owner != b.owner && b.friends.seen.owner != b.owner {
		return nil
	}
	if err := b.run(ctx, release, map[string]any{"owner": b.owner}); err != nil {
		return fmt.Errorf("give up writing to Neo4j: %w", err)
	}
	return nil
}
