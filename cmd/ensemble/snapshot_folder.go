package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"ensemble/friend"
	"ensemble/internal/durable"
	"ensemble/internal/fault"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// snapshotFolder is where the snapshots of a data folder are:
//
//	recommendation/1.snapshot    the newest and the one before it, in turn: whichever
//	recommendation/2.snapshot    is not the newest good one is replaced next
//	recommendation/new.snapshot  one that is being written, or that a crash has left
//
// A file gets its name when it is on the disk as a whole. So at every moment the newest
// good one is there, and mostly the one before it, for the day on which the newest turns
// out to be damaged.
//
// What a crash leaves, by when it comes:
//
//	while new.snapshot is written    both from before; the next writing replaces it
//	before it is renamed             the same, though it is whole
//	after it is renamed              the new one, and the newest from before
//	before the folder is synced      either of the two, as the file system has it
//
// One process writes: the lock of the logs says so. Others may read at any time, for a
// file with a name is never changed, only replaced.
type snapshotFolder struct {
	dir    string
	slot   int   // of the newest good one; 0: there is none
	number int64 // the highest that was given
}

// slots is how many snapshots are kept.
const slots = 2

// foundSnapshot is a file that says it is a snapshot.
type foundSnapshot struct {
	path string
	slot int
	meta recommendation.Meta
	err  error // why it says nothing
}

// path returns the file of a slot.
func (f *snapshotFolder) path(slot int) string {
	return filepath.Join(f.dir, fmt.Sprintf("%d.snapshot", slot))
}

// find returns the snapshots that there are, the newest first; before it those that can't
// even say when they were written, so that each gets its line of log. It reads the head
// and the foot of each, no matter how large they are. Numbers given from then on are above
// all that were found.
func (f *snapshotFolder) find() (found []foundSnapshot) {
	for slot := 1; slot <= slots; slot++ {
		s := foundSnapshot{path: f.path(slot), slot: slot}
		if s.meta, s.err = readSnapshotMeta(s.path); errors.Is(s.err, fs.ErrNotExist) {
			continue
		}
		f.number = max(f.number, s.meta.Number)
		found = append(found, s)
	}
	newest := func(s foundSnapshot) int64 {
		if s.err != nil {
			return math.MaxInt64
		}
		return s.meta.Number
	}
	slices.SortStableFunc(found, func(a, b foundSnapshot) int { return cmp.Compare(newest(b), newest(a)) })
	return found
}

// readSnapshotMeta reads what a snapshot is about, and no more than that.
func readSnapshotMeta(path string) (m recommendation.Meta, err error) {
	err = withSnapshot(path, func(file *os.File, size int64) error {
		data, err := memory.ReadMeta(file, size)
		if err != nil {
			return err
		}
		m, err = recommendation.DecodeMeta(data, user.Category, friend.Category)
		return err
	})
	return m, err
}

// withSnapshot opens a file for reading.
func withSnapshot(path string, fn func(file *os.File, size int64) error) error {
	file, err := os.Open(path) //nolint:gosec // the operator's folder
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no file")
	}
	return fn(file, info.Size())
}

// write puts a new snapshot in the place of the older one. If anything goes wrong, both
// stay, and nothing half is left that takes room: on a full disk the logs need it more.
func (f *snapshotFolder) write(ctx context.Context, encode func(io.Writer) error) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	temp := filepath.Join(f.dir, "new.snapshot")
	if err := os.RemoveAll(temp); err != nil { // of a crash
		return err
	}
	fault.Crash("before the snapshot")
	if err := writeSynced(ctx, temp, encode); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	fault.Crash("before the snapshot has its name")
	slot := f.slot%slots + 1
	if err := os.Rename(temp, f.path(slot)); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	fault.Crash("after the snapshot has its name")
	f.slot, f.number = slot, f.number+1 // also if the folder can't be synced: it has its name
	return durable.SyncFolder(f.dir)
}

// writeSynced writes a file that only its owner may read, and returns once it is on the
// disk. Friendships are nobody else's business, though the names are sealed.
func writeSynced(ctx context.Context, path string, encode func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's folder
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(&endable{ctx: ctx, w: file}, 1<<20)
	err = encode(out)
	for _, step := range []func() error{out.Flush, file.Sync, file.Close} {
		if stepErr := step(); err == nil {
			err = stepErr
		}
	}
	return err
}

// endable is a writer that a context ends, and in the middle of whose writing a crash can
// be asked for.
type endable struct {
	ctx context.Context // of this writing
	w   io.Writer
}

// Write implements io.Writer.
func (e *endable) Write(b []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	if !fault.Crashes {
		return e.w.Write(b)
	}
	half, err := e.w.Write(b[:len(b)/2])
	if err != nil {
		return half, err
	}
	fault.Crash("halfway through the snapshot")
	rest, err := e.w.Write(b[half:])
	return half + rest, err
}

// endableReader is a reader that a context ends.
type endableReader struct {
	ctx context.Context // of this reading
	r   io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (e endableReader) ReadAt(b []byte, at int64) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.r.ReadAt(b, at)
}

// remove deletes all snapshots for good; there need not be any.
func (f *snapshotFolder) remove() error {
	var errs []error
	for _, path := range []string{f.path(1), f.path(2), filepath.Join(f.dir, "new.snapshot")} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	f.slot = 0
	if _, err := os.Stat(f.dir); err == nil {
		errs = append(errs, durable.SyncFolder(f.dir))
	}
	return errors.Join(errs...)
}
