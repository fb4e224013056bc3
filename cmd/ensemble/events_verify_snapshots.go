package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ensemble/eventstore"
	"ensemble/graph"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// A snapshot is right if it leads where the logs lead. So its graph is read as a start
// reads it, gets the events after its positions, and is then held against the same rows as
// the graph that was made from all events. Nothing of it is compared before: what it holds
// beyond its positions is not wrong.

// savedGraph is the graph of a snapshot, which follows the logs from there on.
type savedGraph struct {
	path           string
	graph          *graph.Graph
	users, friends eventstore.Position // of the snapshot
}

// savedGraphs reads the snapshots of a folder. What is damaged is an error; what is about
// another log is none, for the next start deletes it. A running system may put another in
// the place of one that was found; the next look would see that one.
func savedGraphs(ctx context.Context, con *console, r *reading, logs [2]recommendation.Log) (saved []*savedGraph, errs error) {
	folder := snapshotFolder{dir: filepath.Join(r.data, snapshotDir)}
	for _, found := range folder.find() {
		one, err := readSavedGraph(ctx, found, r.keys, logs)
		switch {
		case errors.Is(err, fs.ErrNotExist): // another has taken its place just now
		case errors.Is(err, recommendation.ErrOtherLog):
			errs = errors.Join(errs, con.say("%s will not be used: %v\n", found.path, err))
		case err != nil:
			errs = errors.Join(errs, fmt.Errorf("%s: %w; delete it: the next start uses the other one, or makes the graph from the logs", found.path, err))
		default:
			saved = append(saved, one)
		}
	}
	return saved, errs
}

// readSavedGraph reads one snapshot, with all names that can be opened.
func readSavedGraph(ctx context.Context, found foundSnapshot, keys user.Keys, logs [2]recommendation.Log) (*savedGraph, error) {
	if found.err != nil {
		return nil, found.err
	}
	for i := range logs {
		if err := logs[i].Has(ctx, found.meta.Logs[i]); err != nil {
			return nil, err
		}
	}
	s := &savedGraph{path: found.path, users: found.meta.Logs[0].Position, friends: found.meta.Logs[1].Position}
	err := withSnapshot(found.path, func(file *os.File, size int64) error {
		backend, _, err := memory.ReadSnapshot(file, size, func() user.Keys { return everybodyThere{keys} })
		if err == nil {
			s.graph = backend.Graph()
		}
		return err
	})
	return s, err
}

// everybodyThere are keys of which none seems destroyed: who is erased is said by the log
// here, not by the keys, which may be younger. A key that does not open what it should is
// an error all the same.
type everybodyThere struct{ user.Keys }

// Open implements [user.Keys].
func (k everybodyThere) Open(id int64, sealed []byte) ([]byte, error) {
	plain, err := k.Keys.Open(id, sealed)
	if errors.Is(err, user.ErrKeyDestroyed) {
		return []byte("0:"), nil // no first name, no last name
	}
	return plain, err
}

// follow makes a change that happened at a position, unless the snapshot knows it.
func (s *savedGraph) follow(change graph.Change, at eventstore.Position) error {
	known := s.friends
	if change.Kind == graph.AddUser || change.Kind == graph.RemoveUser {
		known = s.users
	}
	if at <= known {
		return nil
	}
	_, err := s.graph.Apply([]graph.Change{change})
	return err
}
