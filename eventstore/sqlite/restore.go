package sqlite

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
	"ensemble/internal/durable"
)

// unfinishedName is a file that is in a folder from before the first byte of a
// restore until after the last. No log is opened beside it.
//
// Renaming a folder into place would be simpler, and atomic as well. But the folder may
// hold the keys already, which come from another backup, and may be a mount point,
// which can't be renamed. Two logs have to appear together, and two renames are not
// one: a system that started between them would make an empty log beside a full one.
//
// The file holds the manifest of what is being restored. So whoever comes next knows
// which files the interrupted restore has made, and removes no other.
const unfinishedName = "restore.unfinished"

// UnfinishedError means that a restore into a folder was interrupted.
type UnfinishedError struct{ Dir string }

// Error implements error.
func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("a restore into %s was not finished; run 'ensemble events restore' into it again, or choose another folder", e.Dir)
}

// refuseUnfinished refuses a folder into which a restore was interrupted.
func refuseUnfinished(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, unfinishedName)); err == nil {
		return &UnfinishedError{dir}
	}
	return nil
}

// OccupiedError means that a folder holds what a restore would overwrite.
type OccupiedError struct{ Path string }

// Error implements error.
func (e *OccupiedError) Error() string {
	return fmt.Sprintf("%s is there already, and nothing is overwritten; restore into another folder, or move this one away", e.Path)
}

// Restore brings the logs of a backup into a folder, which it makes if needed. Each
// log gets a new entry in its lineage, so that whoever has seen events that were
// lost with the old log can tell. The views are made when the log is opened for
// writing.
//
// The backup is checked before the folder is touched, the logs are checked before
// Restore returns; after an error nothing of them is left. After a crash nothing
// opens what is there; another Restore into the folder begins anew.
//
// Errors: BackupError, OccupiedError, LockedError when a system runs there,
// DamageError, the context's, those of the file system.
func Restore(ctx context.Context, path, dir string, progress Progress) (m Manifest, err error) {
	file, err := os.Open(path) //nolint:gosec // the operator's path
	if err != nil {
		return m, fmt.Errorf("open the backup: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	if m, err = readManifest(path, tar.NewReader(file)); err != nil {
		return m, err
	}
	if err := checkSeal(path, file, func(done, total int64) { progress("checking the backup", done, total) }); err != nil {
		return m, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return m, fmt.Errorf("make the data folder: %w; choose another with --data", err)
	}
	r := restore{dir: dir, manifest: m, progress: progress}
	defer func() { err = errors.Join(err, r.release()) }()
	if err := r.take(ctx); err != nil {
		return m, err
	}
	if err := r.fill(ctx, path, file); err != nil {
		return m, errors.Join(fmt.Errorf("restore %s into %s: %w", path, dir, err), r.undo())
	}
	return m, r.finish()
}

// restore is a restore being made.
type restore struct {
	dir      string
	manifest Manifest
	progress Progress
	locks    []*flock.Flock
}

// take makes sure that nobody works in the folder and that there is room, and puts
// the mark of an unfinished restore there.
func (r *restore) take(ctx context.Context) error {
	for _, l := range r.manifest.Logs {
		lock := flock.New(r.path(l.Name)+".lock", flock.SetPermissions(0o600))
		if err := takeLock(ctx, lock, r.path(l.Name)); err != nil {
			return err
		}
		r.locks = append(r.locks, lock)
	}
	if err := r.clear(); err != nil {
		return err
	}
	for _, l := range r.manifest.Logs {
		for _, path := range r.files(l.Name) {
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				return errors.Join(err, &OccupiedError{path})
			}
		}
	}
	return r.mark()
}

// clear takes away what an interrupted restore has left: the logs that its mark
// names were all made by it.
func (r *restore) clear() error {
	text, err := os.ReadFile(filepath.Join(r.dir, unfinishedName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var left Manifest
	if err == nil {
		err = json.Unmarshal(text, &left)
	}
	if err != nil {
		return fmt.Errorf("read what an interrupted restore has left: %w; delete %s", err, r.dir)
	}
	ours := restore{dir: r.dir, manifest: left}
	return ours.undo()
}

// mark says in the folder that a restore is under way, and of what. It comes into
// place as a whole.
func (r *restore) mark() error {
	text, err := json.Marshal(r.manifest)
	if err != nil {
		return err
	}
	err = durable.Replace(filepath.Join(r.dir, unfinishedName), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark the data folder: %w", err)
	}
	return durable.SyncFolder(r.dir)
}

// path returns where a log goes.
func (r *restore) path(name string) string { return filepath.Join(r.dir, name+".db") }

// files returns all that belongs to a log, apart from its lock.
func (r *restore) files(name string) []string {
	path := r.path(name)
	return []string{path, path + "-wal", path + "-shm", path + "-journal", filepath.Join(r.dir, name+".heads")}
}

// fill extracts the logs and checks each.
func (r *restore) fill(ctx context.Context, path string, file io.ReadSeeker) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	archive := tar.NewReader(file)
	if _, err := readManifest(path, archive); err != nil {
		return err
	}
	for _, l := range r.manifest.Logs {
		header, err := archive.Next()
		if err != nil || header.Name != l.Name+".db" {
			return errors.Join(err, &BackupError{path, "lacks the log " + l.Name, "Restore another backup"})
		}
		if err := r.extract(ctx, l, archive, header.Size); err != nil {
			return err
		}
		if err := verifyCopy(ctx, r.path(l.Name), l.Position, r.progress.On("checking "+l.Name)); err != nil {
			return err
		}
		if err := fork(r.path(l.Name), l); err != nil {
			return err
		}
	}
	return durable.SyncFolder(r.dir)
}

// extract writes one log into the folder and syncs it.
func (r *restore) extract(ctx context.Context, l BackedLog, from io.Reader, size int64) (err error) {
	out, err := os.OpenFile(r.path(l.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for done := int64(0); done < size; r.progress("restoring "+l.Name, done, size) {
		n, err := io.CopyN(out, from, min(1<<20, size-done))
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		done += n
	}
	return out.Sync()
}

// fork gives a restored log a new identity for what comes after the backup. If an entry
// begins at that very position, the backup was made of a log that had itself just been
// restored; nothing in it was written under that name, so the new one takes its place.
func fork(path string, l BackedLog) (err error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var found []string
	err = query(conn, "SELECT first, lower(hex(uuid)) FROM lineage ORDER BY first", func(s *sqlite.Stmt) error {
		found = append(found, fmt.Sprintf("%d %s", s.ColumnInt64(0), s.ColumnText(1)))
		return nil
	})
	if err != nil {
		return err
	}
	var said []string
	for _, f := range l.Lineage {
		said = append(said, fmt.Sprintf("%d %s", f.First, f.UUID))
	}
	if strings.Join(found, ",") != strings.Join(said, ",") {
		return &eventstore.DamageError{
			Log: path, Reason: "its lineage is not the one in the manifest", Hint: "Restore another backup",
		}
	}
	return name(conn, l.Position+1)
}

// finish takes the mark away: from now on the logs can be opened.
func (r *restore) finish() error {
	if err := os.Remove(filepath.Join(r.dir, unfinishedName)); err != nil {
		return fmt.Errorf("finish the restore: %w", err)
	}
	return durable.SyncFolder(r.dir)
}

// undo removes the logs, and then the mark: in this order, so that a crash in between
// leaves a folder that is still refused.
func (r *restore) undo() error {
	for _, l := range r.manifest.Logs {
		for _, path := range r.files(l.Name) {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("take back the restore: %w", err)
			}
		}
	}
	if err := durable.SyncFolder(r.dir); err != nil {
		return err
	}
	return r.finish()
}

// release lets go of the folder.
func (r *restore) release() error {
	var errs []error
	for _, lock := range r.locks {
		errs = append(errs, lock.Unlock())
	}
	return errors.Join(errs...)
}
