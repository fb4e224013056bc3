package sqlite

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"ensemble/eventstore"
	"ensemble/internal/durable"
)

// Backup writes logs into one new file at path, with a seal, and checks what it has
// written. Their heads are taken in the order given, so that a log which speaks of
// another comes before it: what it speaks of is in the backup then. The logs may be
// written meanwhile. After an error there is no file; after a crash there may be one
// called path.partial, which nothing restores and the next backup replaces.
//
// Errors: BackupError when there is a file already, DamageError, the context's,
// those of the file system.
func Backup(ctx context.Context, path, by string, logs []*Log, progress Progress) (m Manifest, err error) {
	if err := absent(path); err != nil {
		return m, err
	}
	b := backup{path: path, partial: path + ".partial", progress: progress}
	b.lock = flock.New(b.partial, flock.SetPermissions(0o600))
	if locked, err := b.lock.TryLock(); err != nil || !locked {
		return m, errors.Join(err, &BackupError{b.partial, "is being written by another backup", "Wait for that one, or choose another file"})
	}
	defer func() { err = errors.Join(err, b.release(err)) }()
	m = Manifest{Format: backupFormat, Made: time.Now().UTC().Truncate(time.Second), By: by}
	heads := make([]eventstore.Head, len(logs))
	for i, l := range logs {
		if heads[i], err = l.readHead(ctx); err != nil {
			return m, err
		}
		m.Logs = append(m.Logs, backedLog(l, heads[i]))
	}
	if err := b.write(ctx, m, logs, heads); err != nil {
		return m, fmt.Errorf("back up to %s: %w", path, err)
	}
	return m, b.publish()
}

// Progress is told what is being done, and how far it is: in positions, rows or bytes,
// as fits the thing. It is called from the goroutine that does it, often.
type Progress func(what string, done, total int64)

// On returns the progress of one thing that is counted in positions.
func (p Progress) On(what string) func(done, total eventstore.Position) {
	return func(done, total eventstore.Position) { p(what, int64(done), int64(total)) }
}

// absent refuses a path where something is.
func absent(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, &BackupError{path, "is there already", "Backups are not overwritten: choose another file"})
	}
	return nil
}

// backup is a backup being written. Its file has another name until it was checked,
// so that whatever is called by the name that was asked for is whole. The other name is
// the same each time: what a crash has left is replaced by the next backup, and does
// not pile up.
type backup struct {
	path, partial string
	progress      Progress
	lock          *flock.Flock // on the partial file, against a second backup to it
}

// release lets go of the partial file, and takes it away if the backup failed.
func (b *backup) release(failed error) error {
	err := b.lock.Unlock()
	if failed != nil {
		err = errors.Join(err, os.Remove(b.partial))
	}
	return err
}

// write writes the partial file and syncs it.
func (b *backup) write(ctx context.Context, m Manifest, logs []*Log, heads []eventstore.Head) (err error) {
	file, err := os.OpenFile(b.partial, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	a := newArchive(file)
	if err := a.manifest(m); err != nil {
		return err
	}
	for i, l := range logs {
		if err := b.add(ctx, a, l, m.Logs[i].Name, heads[i]); err != nil {
			return err
		}
	}
	if err := a.seal(); err != nil {
		return err
	}
	return file.Sync()
}

// add copies one log beside the archive, checks the copy, and moves it into the
// archive.
func (b *backup) add(ctx context.Context, a *archiveWriter, l *Log, name string, head eventstore.Head) (err error) {
	temp := b.partial + "." + name + ".db"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) { // of a backup that was killed
		return err
	}
	if err := l.copyTo(ctx, temp, head, b.progress.On("copying "+name)); err != nil {
		return err
	}
	defer func() {
		for _, end := range []string{"", "-wal", "-shm", ".lock"} {
			if gone := os.Remove(temp + end); !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}()
	if err := verifyCopy(ctx, temp, head.Position, b.progress.On("checking "+name)); err != nil {
		return err
	}
	return a.file(name+".db", temp)
}

// verifyCopy checks a copy of a log, which has to end at a position.
func verifyCopy(ctx context.Context, path string, end eventstore.Position, progress func(done, total eventstore.Position)) (err error) {
	log, err := Open(ctx, path, Options{ReadOnly: true, restoring: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	verified, err := log.Verify(ctx, progress)
	if err == nil && verified.Events != end {
		err = log.damage(verified.Events+1, "it ends here, not at position %d", end)
	}
	return err
}

// publish reads what was written again, and gives it its name. Reading it again does
// not prove what the disk holds, for the kernel may answer from memory; it proves that
// what was handed to the kernel is a whole backup.
func (b *backup) publish() error {
	file, err := os.Open(b.partial)
	if err != nil {
		return err
	}
	err = checkSeal(b.partial, file, func(done, total int64) { b.progress("reading it again", done, total) })
	if err = errors.Join(err, file.Close(), absent(b.path)); err != nil {
		return err
	}
	if err := os.Rename(b.partial, b.path); err != nil {
		return err
	}
	return durable.SyncFolder(filepath.Dir(b.path))
}

// backedLog describes a log up to a head.
func backedLog(l *Log, h eventstore.Head) BackedLog {
	b := BackedLog{Name: strings.TrimSuffix(filepath.Base(l.path), ".db"), Position: h.Position, Time: h.Time}
	for _, f := range h.Lineage {
		b.Lineage = append(b.Lineage, BackedFork{UUID: hex.EncodeToString(f.UUID[:]), First: f.First})
	}
	return b
}
