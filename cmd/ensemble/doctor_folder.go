package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/keyring"
	"ensemble/user"
)

// Locks are only asked for, never waited for, and given back at once. A start that falls
// into the same millisecond waits for it.

// holderOf says who has the logs of a folder open, "" for nobody.
func (e *examination) holderOf(data string) string {
	for _, name := range logNames() {
		path := filepath.Join(data, name+".db.lock")
		if _, err := os.Stat(path); err != nil {
			continue // asking would make it
		}
		lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
		free, err := lock.TryRLock()
		if err != nil || free {
			_ = lock.Unlock()
			continue
		}
		return lockHolder(e.proc, path)
	}
	return ""
}

// lockHolder says which process holds a lock, where Linux tells.
func lockHolder(proc, path string) string {
	inode := inodeOf(path)
	for _, fields := range linesOf(filepath.Join(proc, "locks")) {
		// 1: FLOCK ADVISORY WRITE pid device:inode start end (proc_locks(5))
		if len(fields) > 5 && fields[1] == "FLOCK" && inode != "" && strings.HasSuffix(fields[5], ":"+inode) {
			return processName(proc, fields[4])
		}
	}
	return somebody
}

// checkPermissions looks who else may read what only Ensemble should.
func (e *examination) checkPermissions(_ context.Context, f *findings) {
	if runtime.GOOS == "windows" {
		return // its modes say nothing
	}
	data := e.flags.Data
	paths := []string{data, filepath.Join(data, "keys"), filepath.Join(data, "keys", "master.key"), filepath.Join(data, "keys", "keys")}
	for _, name := range logNames() {
		paths = append(paths, filepath.Join(data, name+".db"))
	}
	snapshots := snapshotFolder{dir: filepath.Join(data, snapshotDir)}
	paths = append(paths, snapshots.dir, snapshots.path(1), snapshots.path(2))
	open, seen := 0, 0
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue // said elsewhere
		}
		seen++
		if info.Mode().Perm()&0o077 == 0 {
			continue
		}
		open++
		status := hint
		if strings.HasPrefix(path, filepath.Join(data, "keys")) {
			status = problem
		}
		f.add(status, fmt.Sprintf("Run 'chmod go= %s'.", path), "others may read or write %s (mode %04o)", path, info.Mode().Perm())
	}
	if open == 0 && seen > 0 {
		f.ok("nobody else may read %s", data)
	}
}

// checkLogs looks at the logs as opening does.
func (e *examination) checkLogs(ctx context.Context, f *findings) {
	var missing []string
	for _, name := range logNames() {
		if _, err := os.Stat(filepath.Join(e.flags.Data, name+".db")); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		}
	}
	if e.holder != "" {
		f.ok("%s has the logs open", e.holder)
	}
	for _, name := range logNames() {
		if err := e.checkLog(ctx, f, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.add(problem, repairOf(err), "%v", err)
		}
	}
	switch len(missing) {
	case 0:
	case len(logNames()):
		f.ok("there are no logs in %s yet; 'ensemble up' makes them", e.flags.Data)
	default:
		f.add(problem, "Bring it back from a backup, or move the other away to begin anew.", "the log of %ss is missing in %s, the other is there", missing[0], e.flags.Data)
	}
	e.checkSnapshots(f)
}

// checkSnapshots looks at the beginning and the end of each snapshot: enough to know what
// the next start begins with.
func (e *examination) checkSnapshots(f *findings) {
	folder := snapshotFolder{dir: filepath.Join(e.flags.Data, snapshotDir)}
	for _, s := range folder.find() {
		if s.err != nil {
			f.add(hint, fmt.Sprintf("Delete %s; without one the next start makes the graph from the logs.", s.path),
				"the snapshot can't be used: %v", s.err)
			continue
		}
		f.ok("the snapshot %s holds the graph up to user:%d and friend:%d", s.path, s.meta.Logs[0].Position, s.meta.Logs[1].Position)
	}
}

// repairOf returns what to do about a log that can't be opened.
func repairOf(err error) string {
	var damaged *eventstore.DamageError
	var newer *sqlite.VersionError
	var unfinished *sqlite.UnfinishedError
	switch {
	case errors.As(err, &damaged):
		return "Keep the files as they are, and restore a backup into another folder with 'ensemble events restore'."
	case errors.As(err, &newer):
		return "Run the version that wrote it, or a later one, or choose another folder with --data."
	case errors.As(err, &unfinished):
		return "Run 'ensemble events restore' into it again."
	}
	return "Make the files readable and writable for the user that runs Ensemble."
}

// checkLog looks at one log.
func (e *examination) checkLog(ctx context.Context, f *findings, name string) (err error) {
	log, err := sqlite.Open(ctx, filepath.Join(e.flags.Data, name+".db"), sqlite.Options{ReadOnly: true, Traceless: true, Readers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	found, err := log.Inspect(ctx)
	if err != nil {
		return err
	}
	f.ok("the log of %ss ends well at position %d; %s, of which %s are free", name, head.Position, mebi(found.Size), mebi(found.Free))
	checkClock(f, name, head, time.Now())
	switch behind := head.Position - found.Heads; {
	case found.HeadsErr != nil:
		f.add(hint, fmt.Sprintf("Move %s.heads away: the next start makes it again.", filepath.Join(e.flags.Data, name)), "the saved heads can't be used: %v", found.HeadsErr)
	case behind > 1_000_000 && e.holder == "":
		f.add(hint, "Stop it with SIGTERM next time, then the heads are saved.", "the next start reads %d events of the log of %ss again", behind, name)
	}
	if found.WAL > 64<<20 {
		f.add(hint, "Look for a reader that does not end; a stop and a start empty it.", "the write-ahead log of %ss has %s", name, mebi(found.WAL))
	}
	return nil
}

// Time in a log never runs backwards: an event gets the time of the one before it if
// the clock says less. A clock that was ahead once therefore makes all later events
// equally old, until it is reached.

// checkClock holds the clock against the last event.
func checkClock(f *findings, name string, head eventstore.Head, now time.Time) {
	if ahead := head.Time.Sub(now); ahead > 2*time.Second {
		f.add(problem, "Set the clock (NTP): until it has caught up, all events get the time of the last one.",
			"the clock stands %s before the last event of the log of %ss", ahead.Round(time.Second), name)
	}
}

// mebi shows a number of bytes.
func mebi(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// The last hundred events are enough to tell foreign keys: a key opens nothing that was
// sealed with another. Whether every name opens, 'events verify' says.

// checkKeys looks whether the keys are there and open the names.
func (e *examination) checkKeys(ctx context.Context, f *findings) {
	dir := filepath.Join(e.flags.Data, "keys")
	log, err := sqlite.Open(ctx, filepath.Join(e.flags.Data, user.Category+".db"), sqlite.Options{ReadOnly: true, Traceless: true, Readers: 1})
	if err != nil {
		return // there are no names, or it is said elsewhere why they can't be read
	}
	defer log.Close() //nolint:errcheck // only read
	head, err := log.Head(ctx)
	if err != nil {
		return
	}
	keys, err := keyring.OpenToRead(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && head.Position == 0:
		return
	case err != nil:
		f.add(problem, fmt.Sprintf("Bring their backup back with 'ensemble keys restore', into %s.", dir), "the keys can't be used: %v", err)
		return
	}
	defer keys.Close() //nolint:errcheck // only read
	last, err := log.ReadAll(ctx, max(0, head.Position-100), 100)
	if err != nil {
		return
	}
	for _, event := range last {
		if _, err := user.Decode(keys, event); err != nil {
			f.add(problem, "Bring back the keys that belong to these logs with 'ensemble keys restore'.",
				"the keys do not open the name in event %d: they belong to other logs", event.Position)
			return
		}
	}
	f.ok("the keys open the last names")
}
