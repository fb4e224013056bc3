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
	"ensemble/friend"
	"ensemble/internal/durable"
	"ensemble/internal/fault"
	"ensemble/projection"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

// erasing finishes what DELETE begins: two projections of the log of people, with
// their notes in the data folder. The notes save work after a restart; whoever
// deletes them has it done again.
type erasing struct {
	keys        *user.Eraser
	friendships *friend.Eraser
	cleared     *projection.Runner // of keys
	ended       *projection.Runner // of friendships
	friends     *readmodel.Friends
}

// friendNote is up to where the friendships of the erased were ended: a position of
// one log, by changes to another. If either is not the log it was, all is done anew.
type friendNote struct {
	UserLog, FriendLog [16]byte
	Position           eventstore.Position
	Friends            eventstore.Position // where the log of friendships ended then
}

// trusted says whether a note is about the logs as they are now.
func (n friendNote) trusted(users, friends eventstore.Head) bool {
	return n.UserLog == latest(users.Lineage) && n.FriendLog == latest(friends.Lineage) &&
		n.Position <= users.Position && n.Friends <= friends.Position
}

// erasing recovers what a crash has left open, and returns what follows the log.
func (s *system) erasing(
	ctx context.Context, data string, people *user.Service, friendships *friend.Service,
) (*erasing, error) {
	if err := s.refuseNote(ctx, filepath.Join(data, friendErasures)); err != nil {
		return nil, err
	}
	users, friends := readmodel.NewUsers(s.userStore), readmodel.NewFriends(s.friendStore)
	keys := crashableKeys{s.storage.keys}
	e := &erasing{friends: friends}
	var known user.Note
	path := filepath.Join(data, "user.erasures")
	readNote(path, &known)
	e.keys = user.NewEraser(user.EraserConfig{
		Store: s.userStore, Keys: keys, Service: people, Erased: users.Erased,
		Clear: crashableClear(s.clear),
		Save:  func(n user.Note) error { return saveNote(path, n, s.logger) },
	}, known)
	after, err := e.keys.Recover(ctx)
	if err != nil {
		return nil, err
	}
	e.cleared = projection.New("erasing people", s.userStore.Subscribe, e.keys, after)
	return e, e.openFriendships(ctx, s, filepath.Join(data, friendErasures), friendships)
}

// friendErasures is the file of the note about friendships.
const friendErasures = "friend.erasures"

// refuseNote deletes a note that is not about the logs as they are. It has to come
// before anybody is erased again, which would make an older log longer.
func (s *system) refuseNote(ctx context.Context, path string) error {
	users, err := s.userStore.Head(ctx)
	if err != nil {
		return err
	}
	friends, err := s.friendStore.Head(ctx)
	if err != nil {
		return err
	}
	var known friendNote
	if readNote(path, &known); known.trusted(users, friends) {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete an older note: %w", err)
	}
	return nil
}

// openFriendships makes the part that ends friendships.
func (e *erasing) openFriendships(ctx context.Context, s *system, path string, friendships *friend.Service) error {
	users, err := s.userStore.Head(ctx)
	if err != nil {
		return err
	}
	friends, err := s.friendStore.Head(ctx)
	if err != nil {
		return err
	}
	now := friendNote{UserLog: latest(users.Lineage), FriendLog: latest(friends.Lineage)}
	readNote(path, &now)
	e.friendships = friend.NewEraser(friend.EraserConfig{
		Service: friendships,
		Friendships: func(ctx context.Context, person, after int64, limit int) ([]friend.Friendship, error) {
			if fault.Crashes {
				limit = 2
			}
			if after > 0 {
				fault.Crash("between friendships")
			}
			return e.friends.Of(ctx, person, readmodel.Both, after, limit)
		},
		Save: func(p eventstore.Position) error {
			fault.Crash("before the note of friendships")
			note := now
			note.Position, note.Friends = p, s.friendStore.Position()
			return saveNote(path, note, s.logger)
		},
	}, now.Position)
	e.ended = projection.New("erasing friendships", s.userStore.Subscribe, e.friendships, now.Position)
	return nil
}

// runners returns what has to run.
func (e *erasing) runners() []*projection.Runner { return []*projection.Runner{e.cleared, e.ended} }

// progress says how far an erasure has got; recommendations is what follows the log
// of people for them.
func (e *erasing) progress(recommendations *projection.Runner) func(context.Context, user.Erasure) (wire.Erasing, error) {
	return func(ctx context.Context, erased user.Erasure) (wire.Erasing, error) {
		var w wire.Erasing
		// Asked before the friendships are listed, so that "ended" is never early.
		w.FriendshipsEnded = e.ended.Position() >= erased.Position
		left, err := e.friends.Of(ctx, erased.ID, readmodel.Both, 0, 0)
		if err != nil {
			return w, err
		}
		w.Remaining = int64(len(left))
		if removed, known := e.friendships.Removed(erased.ID); known {
			w.Removed = &removed
		}
		if position, at := e.keys.Cleared(); position >= erased.Position {
			w.FilesCleared, w.FilesClearedAt = true, at
		}
		w.Followed = recommendations.Position() >= erased.Position
		return w, nil
	}
}

// latest returns by which UUID a log is known now.
func latest(l eventstore.Lineage) [16]byte { return l[len(l)-1].UUID }

// readNote reads a note; one that is missing or can't be read is an empty one.
func readNote(path string, note any) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator's folder
	if err == nil {
		_ = json.Unmarshal(data, note) // it only saves work
	}
}

// saveNote writes a note, as a whole or not at all. It does not fail: a note that is
// older only means that more is done again.
func saveNote(path string, note any, logger *slog.Logger) error {
	if err := writeNote(path, note); err != nil {
		logger.Warn("a note about erased people was not saved; the next start looks at more of them", "error", err)
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
