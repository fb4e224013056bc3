package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// What a recommendation service that follows topics keeps in its folder:
//
//	1.snapshot, 2.snapshot   the graph, its people, and how far both topics are in it
//	keys/                    one key, with which the names in them are sealed
//
// All of it can be deleted while the service is stopped: the topics, and the feeds of the
// other services, have everything.

// openTopicSnapshots opens the folder in which a graph is saved.
func openTopicSnapshots(ctx context.Context, data string, logger *slog.Logger, r *resources) (*topicSnapshots, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w; choose another with --data", err)
	}
	ring, err := keyring.Open(filepath.Join(data, "keys"))
	if err != nil {
		return nil, fmt.Errorf("open the key of the snapshots: %w", err)
	}
	r.add(ring.Close)
	s := &topicSnapshots{folder: snapshotFolder{dir: data}, keys: oneKey{ring, 1}, logger: logger}
	if _, err := ring.Seal(1, nil); err != nil { // a new folder
		if s.keys.id, err = ring.New(ctx); err != nil {
			return nil, fmt.Errorf("make the key of the snapshots: %w", err)
		}
	}
	return s, nil
}

// graphs is that of [generations]: the first graph is the one that was saved, and its
// topics go on from there; those after it are empty, and what was saved is deleted.
func (s *topicSnapshots) graphs(t topics) graphs {
	return func(ctx context.Context, again bool) (recommendation.Backend, error) {
		if again {
			s.remove()
			return memory.New(), nil
		}
		backend, from := s.load(ctx)
		for i, name := range topicNames() {
			t.again.Store(name, from[i])
		}
		return backend, nil
	}
}

// topicNames returns the topics, of users and of friendships. They are called as the logs.
func topicNames() [2]string { return [2]string{user.Category, friend.Category} }

// keep saves the graph that answers now and then while a service runs, and once more when
// it has ended.
func (s *topicSnapshots) keep(t topics, g *generations, every time.Duration) func(context.Context) error {
	save := func(ctx context.Context) {
		live, latest := g.live.Load(), t.latest.Load()
		if live != nil && latest != nil && live.graph == latest.graph {
			s.save(ctx, latest)
		}
	}
	return func(ctx context.Context) error {
		group, running := errgroup.WithContext(ctx)
		group.Go(func() error { return g.run(running) })
		if every > 0 {
			group.Go(func() error {
				tick := time.NewTicker(every)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						save(running)
					case <-running.Done():
						return nil
					}
				}
			})
		}
		err := group.Wait()
		save(context.WithoutCancel(ctx)) // nothing moves any more
		return err
	}
}

// oneKey seals everybody's name with one key: this service learns of people from topics,
// where their own keys are not. Whose name may not be kept any more is not in the next
// snapshot.
type oneKey struct {
	*keyring.Keyring
	id int64
}

// Seal implements [user.Keys].
func (k oneKey) Seal(_ int64, plain []byte) ([]byte, error) { return k.Keyring.Seal(k.id, plain) }

// Open implements [user.Keys].
func (k oneKey) Open(_ int64, sealed []byte) ([]byte, error) { return k.Keyring.Open(k.id, sealed) }

// topicSnapshots saves a graph with how far both topics are in it, and reads it again.
// Whatever goes wrong with that only costs time.
type topicSnapshots struct {
	folder snapshotFolder
	keys   oneKey
	logger *slog.Logger

	mu     sync.Mutex             // held while files change
	saved  [2]eventstore.Position // offsets that the newest one has, of each topic
	failed bool
}

// load returns the newest graph that can be used and how far both topics are in it; an
// empty one if there is none.
func (s *topicSnapshots) load(ctx context.Context) (*memory.Backend, [2]broker.Progress) {
	for _, found := range s.folder.find() {
		var backend *memory.Backend
		from, err := progressOf(found)
		if err == nil {
			err = withSnapshot(found.path, func(file *os.File, size int64) (err error) {
				backend, _, err = memory.ReadSnapshot(endableReader{ctx, file}, size, func() user.Keys { return s.keys })
				return err
			})
		}
		if err == nil {
			s.folder.slot, s.saved = found.slot, taken(from)
			s.logger.Info("the graph was loaded from a snapshot", "file", found.path, "people", backend.Stats().People)
			return backend, from
		}
		s.logger.Warn("a snapshot of the graph was refused; the one before it is used, or the graph is made from the topics",
			"file", found.path, "error", err)
	}
	return memory.New(), [2]broker.Progress{}
}

// progressOf reads how far both topics are in a snapshot.
func progressOf(found foundSnapshot) (from [2]broker.Progress, err error) {
	if found.err != nil {
		return from, found.err
	}
	if len(found.meta.Topics) == 0 {
		return from, errors.New("it is not made from topics")
	}
	if err := json.Unmarshal(found.meta.Topics, &from); err != nil {
		return from, fmt.Errorf("read how far the topics are: %w", err)
	}
	return from, nil
}

// sum adds offsets up.
func sum(offsets []int64) (all int64) {
	for _, o := range offsets {
		all += o
	}
	return all
}

// taken returns how many offsets of each topic are passed.
func taken(of [2]broker.Progress) (n [2]eventstore.Position) {
	for i := range of {
		n[i] = eventstore.Position(sum(of[i].Offsets))
	}
	return n
}

// save writes a snapshot, if anything has happened since the last one. It does not fail:
// what goes wrong is logged, the first time. A graph of topics with several partitions is
// not saved: which of two records is the later one is known only to who has read both.
func (s *topicSnapshots) save(ctx context.Context, g *topicGraph) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// How far it is comes first: what is written afterwards holds at least that.
	from := g.progress()
	if taken(from) == s.saved || g.several {
		return
	}
	err := s.write(ctx, g, from)
	switch {
	case err == nil:
		s.saved = taken(from)
	case !s.failed && ctx.Err() == nil:
		s.logger.Warn("no snapshot of the graph could be written; serving goes on, and it is tried again", "error", err)
	}
	s.failed = err != nil
}

// write writes a snapshot.
func (s *topicSnapshots) write(ctx context.Context, g *topicGraph, from [2]broker.Progress) error {
	backend, ok := g.graph.Live().(*memory.Backend)
	if !ok {
		return errors.New("the backend that answers keeps itself")
	}
	topics, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("write how far the topics are: %w", err)
	}
	meta := recommendation.Meta{Number: s.folder.number + 1, Written: time.Now().UTC(), Topics: topics}
	for i, name := range topicNames() {
		meta.Logs = append(meta.Logs, recommendation.Origin{Log: name, Position: from[i].Position})
	}
	encoded, err := meta.Encode()
	if err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	return s.folder.write(ctx, func(w io.Writer) error { return backend.WriteSnapshot(w, encoded, s.keys) })
}

// remove deletes what was saved of a graph that is to be made anew.
func (s *topicSnapshots) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.folder.remove(); err != nil {
		s.logger.Warn("a snapshot of a graph that is made anew could not be deleted; the next one takes its place", "error", err)
	}
	s.saved = [2]eventstore.Position{}
}
