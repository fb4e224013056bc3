package sqlite

import (
	"context"
	"errors"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// Verified is what Verify has looked at.
type Verified struct {
	Events  eventstore.Position
	Commits int
	Streams int
}

// Verify checks the whole log: every checksum, the chain of commits, that
// positions and the versions of every stream are dense, that each event points
// back to the one before it in its stream, and that time never runs backwards.
// It may run while another process writes; it then checks up to where the log
// ended when it began. progress is told how far it is.
//
// Errors: DamageError, the context's.
func (l *Log) Verify(ctx context.Context, progress func(done, total eventstore.Position)) (Verified, error) {
	head, err := l.readHead(ctx)
	if err != nil {
		return Verified{}, err
	}
	v := verification{log: l, encoder: newEncoder(), streams: map[string]tail{}, until: head.Position}
	err = l.readers.read(ctx, func(conn *sqlite.Conn) error {
		err := v.run(conn, 1, func(p eventstore.Position) error {
			if p%1024 == 0 {
				progress(p, head.Position)
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		return l.noneBeyond(conn)
	})
	if err == nil && v.position < head.Position {
		err = l.damage(v.position+1, "the event is missing")
	}
	return Verified{Events: v.position, Commits: v.commits, Streams: len(v.streams)}, l.classify(err)
}

// verification walks the log along its commits.
type verification struct {
	log      *Log
	encoder  encoder
	streams  map[string]tail // nil: don't check versions
	until    eventstore.Position
	position eventstore.Position // of the last event that is as it should be
	commits  int
	chain    [32]byte // hash of the last commit that was walked
	last     record
}

// errDone ends a walk that has seen enough.
var errDone = errors.New("done")

// run checks everything from a commit on, which must begin at first.
func (v *verification) run(conn *sqlite.Conn, first eventstore.Position, each func(eventstore.Position) error) error {
	links, err := openLinks(conn, first)
	if err != nil {
		return err
	}
	defer links.close()
	if v.chain, err = v.before(conn, first); err != nil {
		return err
	}
	v.position = first - 1
	const events = "SELECT " + columns + " FROM events WHERE position >= ? ORDER BY position"
	err = query(conn, events, func(s *sqlite.Stmt) error {
		if err := v.event(s); err != nil {
			return err
		}
		if links.endAt(v.position, v.end()) {
			if err := v.commit(links.current); err != nil {
				return err
			}
			if err := links.next(); err != nil {
				return err
			}
		}
		if v.until > 0 && v.position >= v.until {
			return errDone
		}
		return each(v.position)
	}, int64(first))
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// end is the position at which the last commit ends.
func (v *verification) end() eventstore.Position {
	if v.until > 0 {
		return v.until
	}
	return v.log.head.position
}

// before returns the hash of the commit before the one that begins at first.
func (v *verification) before(conn *sqlite.Conn, first eventstore.Position) (hash [32]byte, err error) {
	const sql = "SELECT hash FROM commits WHERE first < ? ORDER BY first DESC LIMIT 1"
	err = query(conn, sql, func(s *sqlite.Stmt) error {
		s.ColumnBytes(0, hash[:])
		return nil
	}, int64(first))
	return hash, err
}

// commit checks the hash of the commit that has just been walked.
func (v *verification) commit(c link) error {
	v.chain = v.encoder.chain(v.chain, c.first)
	if v.chain != c.hash {
		return v.log.damage(c.first, "the commit that begins here does not fit into the chain")
	}
	v.commits++
	return nil
}

// event checks the current row.
func (v *verification) event(s *sqlite.Stmt) error {
	at := v.position + 1
	var r record
	if err := v.log.decodeChecked(s, &r, &v.encoder); err != nil {
		return err
	}
	if r.event.Position != at {
		return v.log.damage(at, "the event is missing")
	}
	if r.event.Time.Before(v.last.event.Time) {
		return v.log.damage(at, "its time is before that of the event before it")
	}
	if err := v.version(&r); err != nil {
		return err
	}
	v.position, v.last = at, r
	return nil
}

// version checks that an event follows the one before it in its stream.
func (v *verification) version(r *record) error {
	if v.streams == nil {
		return nil
	}
	t := v.streams[r.stream]
	if r.event.Version != t.version()+1 || r.previous != t.position() {
		return v.log.damage(r.event.Position, "it is version %d of stream %s, which was at version %d",
			r.event.Version, r.stream, t.version())
	}
	v.streams[r.stream] = newTail(r.event.Position, r.event.Version)
	return nil
}
