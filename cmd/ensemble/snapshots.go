package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// snapshots keeps the graph and its people on the disk, so that a start need not read
// both logs again. A snapshot only saves time: whatever is wrong with it, the graph is
// made from the logs.
//
// It is written now and then while the system serves, and once more when it has stopped.
// That it can't be written is no reason to stop serving: it is said once, and tried again.
//
//	log of users        ──────────────●─────────────────► head
//	log of friendships  ────────●─────────────────────► head
//	                            │ positions, noted first
//	                            └► snapshot: all of that, and perhaps some of what came
//	                               while it was written
//
// A start reads the newest one and follows each log from the position noted for it. Some
// events are seen again then, which changes nothing in the end (package recommendation
// says why); none is missed.
//
// # What keeps a wrong graph away
//
//	a flipped bit, a cut file     checksums over every byte
//	a newer format                its version, which is looked at before anything else
//	a log that was replaced       the name of the log at the position, and the hash of the
//	                              event that lies there
//	a name that nobody may read   it is sealed with a key that is destroyed
//	a graph that was rebuilt      the snapshots are deleted before the rebuild begins
//
// What is left is a program that has written a wrong graph: events verify finds that, and
// a rebuild mends it.
type snapshots struct {
	folder  snapshotFolder
	keys    *keyring.Keyring
	logs    [2]recommendation.Log // of users, of friendships
	logger  *slog.Logger
	service *recommendation.Service
	from    recommendation.Followers
	least   eventstore.Position // so many new events are worth another snapshot

	// writing is held by who writes, and by a rebuild: a graph that somebody doubts is
	// not saved any more.
	writing sync.Mutex
	failing bool          // the last one could not be written
	took    time.Duration // to read the one that this system began with

	saved atomic.Int64 // events of both logs together, in the newest snapshot
	wrote atomic.Int64 // nanoseconds that the last one took to write
}

// leastEvents is how many events are worth a snapshot while the system serves: fewer are
// read from a log in the time that opening a file takes. The stop writes one however few
// there were: it is the last chance, and nobody waits for an answer any more.
const leastEvents = 1000

// openSnapshots returns the snapshots of a data folder, which may have none.
func openSnapshots(data string, keys *keyring.Keyring, logger *slog.Logger, users, friends *eventstore.Store) *snapshots {
	return &snapshots{
		folder: snapshotFolder{dir: filepath.Join(data, snapshotDir)}, keys: keys, logger: logger, least: leastEvents,
		logs: [2]recommendation.Log{storeLog(user.Category, users), storeLog(friend.Category, friends)},
	}
}

// snapshotDir is the folder of snapshots in a data folder.
const snapshotDir = "recommendation"

// storeLog returns a log of the running system as snapshots look at it.
func storeLog(name string, store *eventstore.Store) recommendation.Log {
	return recommendation.Log{Name: name, Head: store.Head, ReadAll: store.ReadAll}
}

// load returns a backend from the newest snapshot that can be used, and up to where the
// logs are in it; an empty one if there is none. Which were refused, and why, is logged.
// What is about another log is deleted: it will never be of use again. What is damaged
// stays until another takes its place, for whoever wants to know what has happened to the
// disk.
//
// Errors: the context's, and no other: the logs are always a way to start.
func (s *snapshots) load(ctx context.Context) (*memory.Backend, []recommendation.Origin, error) {
	for _, found := range s.folder.find() {
		begun := time.Now()
		backend, err := s.read(ctx, found)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err == nil {
			s.folder.slot, s.took = found.slot, time.Since(begun)
			s.saved.Store(int64(found.meta.Logs[0].Position + found.meta.Logs[1].Position))
			s.logger.Info("the graph was loaded from a snapshot", "file", found.path, "people", backend.Stats().People,
				"user", found.meta.Logs[0].Position, "friend", found.meta.Logs[1].Position, "took", s.took)
			return backend, found.meta.Logs, nil
		}
		s.logger.Warn("a snapshot of the graph was refused; the one before it is used, or the graph is made from the logs",
			"file", found.path, "error", err)
		if errors.Is(err, recommendation.ErrOtherLog) {
			if err := os.Remove(found.path); err != nil {
				s.logger.Warn("it could not be deleted", "file", found.path, "error", err)
			}
		}
	}
	return memory.New(), []recommendation.Origin{{}, {}}, nil
}

// read reads a snapshot that is about the logs as they are. Whether it is costs two
// events read; so that is looked at first.
func (s *snapshots) read(ctx context.Context, found foundSnapshot) (backend *memory.Backend, err error) {
	if found.err != nil {
		return nil, found.err
	}
	for i := range s.logs {
		if err := s.logs[i].Has(ctx, found.meta.Logs[i]); err != nil {
			return nil, err
		}
	}
	err = withSnapshot(found.path, func(file *os.File, size int64) error {
		backend, _, err = memory.ReadSnapshot(endableReader{ctx, file}, size, s.keys.InOrder)
		return err
	})
	return backend, err
}

// run writes a snapshot every so often, if enough has happened since the last one, until
// the context ends. A pause of 0 or less writes none.
func (s *snapshots) run(ctx context.Context, pause time.Duration) {
	if pause <= 0 {
		return
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.save(ctx, s.least)
		}
	}
}

// save writes a snapshot if at least so many events came since the last one, and if no
// rebuild is under way. It does not fail: what goes wrong is logged, the first time, and
// the files from before stay.
func (s *snapshots) save(ctx context.Context, least eventstore.Position) {
	if !s.writing.TryLock() {
		return
	}
	defer s.writing.Unlock()
	// The positions come first: what is written afterwards holds at least that.
	users, friends := s.from.Users.Position(), s.from.Friends.Position()
	if s.behind() < least {
		return
	}
	begun := time.Now()
	err := s.write(ctx, users, friends)
	switch {
	case err == nil:
		s.saved.Store(int64(users + friends))
		s.wrote.Store(int64(time.Since(begun)))
		s.logger.Info("wrote a snapshot of the graph", "file", s.folder.path(s.folder.slot),
			"user", users, "friend", friends, "took", time.Since(begun))
	case ctx.Err() != nil:
		return // stopping: the last one is written when everything else has ended
	case !s.failing:
		s.logger.Warn("no snapshot of the graph could be written; serving goes on, and it is tried again", "error", err)
	}
	s.failing = err != nil
}

// behind returns how many events came since the newest snapshot: a start has to read them.
func (s *snapshots) behind() eventstore.Position {
	return s.from.Users.Position() + s.from.Friends.Position() - eventstore.Position(s.saved.Load())
}

// write writes a snapshot of the backend that answers now. A rebuild may have put another
// in the place of the one that the positions were read beside; that one is not older.
func (s *snapshots) write(ctx context.Context, users, friends eventstore.Position) error {
	backend, ok := s.service.Live().(*memory.Backend)
	if !ok {
		return errors.New("the backend that answers keeps itself")
	}
	meta := recommendation.Meta{Number: s.folder.number + 1, Written: time.Now().UTC()}
	for i, at := range []eventstore.Position{users, friends} {
		origin, err := s.logs[i].Origin(ctx, at)
		if err != nil {
			return err
		}
		meta.Logs = append(meta.Logs, origin)
	}
	encoded, err := meta.Encode()
	if err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	return s.folder.write(ctx, func(w io.Writer) error { return backend.WriteSnapshot(w, encoded, s.keys.InOrder()) })
}

// doubt deletes all snapshots, has the graph made anew, and saves the new one. Nothing is
// saved in between, so whenever the system ends, the next start has a graph that was made
// from the logs.
func (s *snapshots) doubt(ctx context.Context, rebuild func() error) error {
	if err := s.removeAll(rebuild); err != nil {
		return err
	}
	s.save(ctx, 1)
	return nil
}

// removeAll deletes all snapshots, then rebuilds while none is written.
func (s *snapshots) removeAll(rebuild func() error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.folder.remove(); err != nil {
		return fmt.Errorf("delete the snapshots of a graph that is to be made anew: %w", err)
	}
	s.saved.Store(0)
	return rebuild()
}
