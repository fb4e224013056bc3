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

// verifyPage is how many events are checked in one read transaction, so that no
// checkpoint has to wait for a check of the whole log.
const verifyPage = 20_000

// Verify checks the whole log: every checksum, the chain of commits, that
// positions and the versions of every stream are dense, that each event points
// back to the one before it in its stream, that time never runs backwards, and
// that the lineage fits. It may run while another process writes; it then checks up
// to where the log ended when it began. progress is told how far it is.
//
// Errors: DamageError, the context's.
func (l *Log) Verify(ctx context.Context, progress func(done, total eventstore.Position)) (Verified, error) {
	head, err := l.readHead(ctx)
	if err != nil {
		return Verified{}, err
	}
	if last := head.Lineage[len(head.Lineage)-1].First; last > head.Position+1 {
		return Verified{}, l.damage(head.Position+1, "the log ends before position %d, where its lineage says it goes on", last)
	}
	v := verification{log: l, encoder: newEncoder(), streams: map[string]tail{}, until: head.Position}
	for v.position < v.until && err == nil {
		err = l.readers.read(ctx, func(conn *sqlite.Conn) error { return v.page(conn, verifyPage) })
		progress(v.position, v.until)
	}
	if err == nil {
		err = l.readers.read(ctx, l.noneBeyond)
	}
	return Verified{Events: v.position, Commits: v.commits, Streams: len(v.streams)}, l.classify(err)
}

// verification walks the log along its commits, up to a position at which one ends.
// Between two pages it keeps the hash of the last commit and where each stream was, so
// that a walk in pages finds what a walk in one go would find. What lies before a
// position never changes, so it does not matter that the pages are of different moments.
type verification struct {
	log      *Log
	encoder  encoder
	streams  map[string]tail // nil: don't check versions
	until    eventstore.Position
	position eventstore.Position // of the last event that is as it should be
	commits  int
	chain    [32]byte // hash of the last commit that was walked
	last     eventstore.Event
}

// errDone ends a walk that has seen enough.
var errDone = errors.New("done")

// page checks the commits after the last one that was checked, until it has seen so
// many events and a commit ends.
func (v *verification) page(conn *sqlite.Conn, events eventstore.Position) error {
	first, enough := v.position+1, v.position+events
	links, err := openLinks(conn, first)
	if err != nil {
		return err
	}
	defer links.close()
	const sql = "SELECT " + columns + " FROM events WHERE position >= ? ORDER BY position"
	err = query(conn, sql, func(s *sqlite.Stmt) error {
		if err := v.event(s); err != nil {
			return err
		}
		if links.endAt(v.position, v.until) {
			return v.endCommit(links, enough)
		}
		if v.position >= v.until {
			return v.log.damage(v.position+1, "the last commit goes on, but the log ends")
		}
		return nil
	}, int64(first))
	if errors.Is(err, errDone) {
		return nil
	}
	if err == nil {
		err = v.log.damage(v.position+1, "the event is missing")
	}
	return err
}

// endCommit checks the commit that ends at the current event and returns errDone
// when enough was seen.
func (v *verification) endCommit(links *links, enough eventstore.Position) error {
	if err := v.commit(links.current); err != nil {
		return err
	}
	if v.position >= enough || v.position >= v.until {
		return errDone
	}
	return links.next()
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
	v.chain = v.encoder.Chain(v.chain, c.first)
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
	if r.event.Time.Before(v.last.Time) {
		return v.log.damage(at, "its time is before that of the event before it")
	}
	if err := v.version(&r); err != nil {
		return err
	}
	v.position, v.last = at, r.event
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
