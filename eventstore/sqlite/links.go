package sqlite

import (
	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// link is one row of commits.
type link struct {
	first eventstore.Position
	hash  [32]byte
}

// links walks the rows of commits, one ahead: where a commit ends is known from
// where the next one begins.
type links struct {
	stmt           *sqlite.Stmt
	current, ahead link
	more           bool // there is one ahead
	ended          bool // a statement that is stepped after its end begins anew
}

// openLinks begins at the first commit that begins at a position or later.
func openLinks(conn *sqlite.Conn, first eventstore.Position) (*links, error) {
	stmt, err := conn.Prepare("SELECT first, hash FROM commits WHERE first >= ? ORDER BY first")
	if err != nil {
		return nil, err
	}
	stmt.BindInt64(1, int64(first))
	l := &links{stmt: stmt}
	for range 2 { // fill current and ahead
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// next moves on by one commit.
func (l *links) next() (err error) {
	l.current = l.ahead
	if l.ended {
		return nil
	}
	if l.more, err = l.stmt.Step(); err != nil || !l.more {
		l.ended = true
		return err
	}
	l.ahead.first = eventstore.Position(l.stmt.ColumnInt64(0))
	l.stmt.ColumnBytes(1, l.ahead.hash[:])
	return nil
}

// endAt says whether the current commit ends at a position; the last one ends
// where the log ends.
func (l *links) endAt(p, end eventstore.Position) bool {
	if l.more {
		return l.ahead.first == p+1
	}
	return p == end
}

// close ends the walk.
func (l *links) close() { _ = l.stmt.Reset() } // its errors were returned by Step
