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

	"ensemble/eventstore"
	"ensemble/internal/durable"
	"ensemble/internal/fault"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

// finishErasing recovers what a crash has left open, and makes what finishes what DELETE
// begins: two projections of the log of people, with their notes in the data folder.
func (s *system) finishErasing(ctx context.Context, data string) error {
	note := noteIn(data, friendErasures, s.logger)
	users, err := s.userStore.Head(ctx)
	if err != nil {
		return err
	}
	if err := s.friendships.refuseNote(ctx, users, note); err != nil {
		return err
	}
	if err := s.people.recover(ctx, noteIn(data, userErasures, s.logger)); err != nil {
		return err
	}
	s.ending, err = s.friendships.end(ctx, users, s.userStore.Subscribe, note)
	return err
}

// erasing says how far an erasure has got.
func (s *system) erasing(ctx context.Context, erased user.Erasure) (wire.Erasing, error) {
	var w wire.Erasing
	// Asked before the friendships are listed, so that "ended" is never early.
	w.FriendshipsEnded = s.ending.runner.Position() >= erased.Position
	left, err := s.friendships.friends.Of(ctx, erased.ID, readmodel.Both, 0, 0)
	if err != nil {
		return w, err
	}
	w.Remaining = int64(len(left))
	if removed, known := s.ending.eraser.Removed(erased.ID); known {
		w.Removed = &removed
	}
	s.people.cleanup(erased, &w)
	w.Followed = s.users.Position() >= erased.Position
	return w, nil
}

// latest returns by which UUID a log is known now.
func latest(l eventstore.Lineage) [16]byte { return l[len(l)-1].UUID }

// notePath is the file of a note. The notes save work after a restart; whoever deletes
// them has it done again.
type notePath struct {
	path   string // "": nothing is kept
	logger *slog.Logger
}

// noteIn returns the file of a note in a folder.
func noteIn(folder, name string, logger *slog.Logger) notePath {
	return notePath{filepath.Join(folder, name), logger}
}

// noteBeside returns the file of a note beside a store; nothing is kept for one that is no
// file.
func noteBeside(store, name string, logger *slog.Logger) notePath {
	if folder := folderOf(store); folder != "" {
		return noteIn(folder, name, logger)
	}
	return notePath{logger: logger}
}

// The files of the notes.
const (
	userErasures   = "user.erasures"
	friendErasures = "friend.erasures"
)

// read reads a note; one that is missing or can't be read leaves what is there.
func (n notePath) read(note any) {
	if n.path == "" {
		return
	}
	data, err := os.ReadFile(n.path)
	if err == nil {
		_ = json.Unmarshal(data, note) // it only saves work
	}
}

// save writes a note, as a whole or not at all. It does not fail: a note that is
// older only means that more is done again.
func (n notePath) save(note any) error {
	if n.path == "" {
		return nil
	}
	if err := writeNote(n.path, note); err != nil {
		n.logger.Warn("a note about erased people was not saved; the next start looks at more of them", "error", err)
	}
	return nil
}

// remove deletes a note.
func (n notePath) remove() error {
	if n.path == "" {
		return nil
	}
	if err := os.Remove(n.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete an older note: %w", err)
	}
	return nil
}

// writeNote replaces a note once it is on the disk.
func writeNote(path string, note any) error {
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	err = durable.Replace(path, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// crashableKeys are keys around whose destruction a crash can be asked for.
type crashableKeys struct{ user.Keys }

// Destroy implements [user.Keys].
func (k crashableKeys) Destroy(ctx context.Context, ids ...int64) error {
	if len(ids) > 0 {
		fault.Crash("before the key")
		defer fault.Crash("after the key")
	}
	return k.Keys.Destroy(ctx, ids...)
}

// crashableClear is clearing, around which a crash can be asked for.
func crashableClear(clear func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		fault.Crash("before the files")
		defer fault.Crash("after the files")
		return clear(ctx)
	}
}
