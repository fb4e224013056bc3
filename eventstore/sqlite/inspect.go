package sqlite

import (
	"context"
	"errors"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// Inspection is what an operator asks about the files of a log.
type Inspection struct {
	Size int64 // bytes of the file
	Free int64 // bytes of it that are not in use, and will be used again
	WAL  int64 // bytes of the write-ahead log
	// Heads is how far the saved heads reach; a start reads the events after it.
	Heads eventstore.Position
	// HeadsErr is why a start can't use the saved heads. It is nil when there are
	// none, as after a crash of the first run.
	HeadsErr error
}

// The saved heads are read as a start reads them, with their checksum, so that what is
// said here is what will happen then. It costs what reading them costs a start: 27 bytes
// a stream.

// Inspect looks at the files of a log, and changes nothing.
//
// Errors: those of SQLite, the context's.
func (l *Log) Inspect(ctx context.Context) (found Inspection, err error) {
	found.WAL = l.WALSize()
	err = l.readers.read(ctx, func(conn *sqlite.Conn) error {
		var counts [3]int64
		for i, pragma := range []string{"page_size", "page_count", "freelist_count"} {
			if counts[i], err = queryInt(conn, "PRAGMA "+pragma); err != nil {
				return err
			}
		}
		found.Size, found.Free = counts[0]*counts[1], counts[0]*counts[2]
		return nil
	})
	if err != nil {
		return found, l.classify(err)
	}
	saved, err := readIndexFile(l.indexPath(), l.opts)
	switch {
	case errors.Is(err, errNoIndex):
	case err != nil:
		found.HeadsErr = err
	case saved.uuid != l.lineage[len(l.lineage)-1].UUID:
		found.HeadsErr = l.damage(0, "%s belongs to another log", l.indexPath())
	default:
		found.Heads = saved.position
	}
	return found, nil
}
