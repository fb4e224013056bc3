package adopt

import (
	"context"
	"errors"
	"fmt"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// Target is where a network is written to: open logs that nobody else writes.
type Target struct {
	Users, Friends eventstore.Driver
	Keys           user.Keys
	// Progress, if set, is told how far a part is.
	Progress func(part string, done, total int)
}

// ErrNotEmpty means that there are events already in a log that has to be new.
var ErrNotEmpty = errors.New("the log is not empty")

// Write writes a network that was settled into new logs, many events a commit. It goes past
// the committer of a log, because a log takes numbers that are brought along only in
// ascending order. Interrupted, it leaves logs that are half full: begin again with others.
//
// Errors: [ErrNotEmpty]; those of the logs and of the keys; the context's.
func Write(ctx context.Context, n Network, to Target) error {
	if to.Progress == nil {
		to.Progress = func(string, int, int) {}
	}
	for _, log := range []eventstore.Driver{to.Users, to.Friends} {
		head, err := log.Head(ctx)
		if err != nil {
			return fmt.Errorf("look at the new log: %w", err)
		}
		if head.Position > 0 {
			return fmt.Errorf("%w: it has %d events; take over into an empty folder", ErrNotEmpty, head.Position)
		}
	}
	people := writer{log: to.Users, part: "people", total: len(n.People), progress: to.Progress}
	for _, p := range n.People {
		w, err := to.person(ctx, p)
		if err == nil {
			err = people.add(ctx, w)
		}
		if err != nil {
			return fmt.Errorf("write user %d: %w", p.ID, err)
		}
	}
	if err := people.flush(ctx); err != nil {
		return fmt.Errorf("write people: %w", err)
	}
	return to.rows(ctx, n.Rows)
}

// rows writes the friendships: each behind what its pair has already.
func (t *Target) rows(ctx context.Context, rows []Row) error {
	friendships := writer{log: t.Friends, part: "friendships", total: len(rows), progress: t.Progress}
	versions := make(map[eventstore.Stream]eventstore.Version, len(rows))
	for _, r := range rows {
		e, err := friend.Encode(friend.Added{By: r.By, To: r.To})
		if err != nil {
			return err
		}
		e.Number = r.ID
		stream := friend.Stream(r.By, r.To)
		w := eventstore.Write{Stream: stream, Expected: versions[stream], Events: []eventstore.NewEvent{e}}
		versions[stream]++
		if err := friendships.add(ctx, w); err != nil {
			return fmt.Errorf("write row %d: %w", r.ID, err)
		}
	}
	if err := friendships.flush(ctx); err != nil {
		return fmt.Errorf("write friendships: %w", err)
	}
	return nil
}

// person returns what is written about somebody. Of who was erased, that they were there
// and are no more; their key is gone before the log knows of it.
func (t *Target) person(ctx context.Context, p Person) (w eventstore.Write, err error) {
	key, err := t.Keys.New(ctx)
	if err != nil {
		return w, err
	}
	events := []user.Event{user.Created{FirstName: p.FirstName, LastName: p.LastName, Key: key}}
	if p.Erased {
		events = []user.Event{user.Created{FirstName: unnamed, Key: key}, user.Erased{Key: key}}
	}
	w.Stream = user.Stream(p.ID)
	for _, event := range events {
		e, err := user.Encode(t.Keys, event)
		if err != nil {
			return w, err
		}
		if e.Number == eventstore.NextNumber {
			e.Number = p.ID
		}
		w.Events = append(w.Events, e)
	}
	if p.Erased {
		err = t.Keys.Destroy(ctx, key)
	}
	return w, err
}

// writer gathers writes into commits.
type writer struct {
	log      eventstore.Driver
	part     string
	progress func(part string, done, total int)

	batch         []eventstore.Write
	events, bytes int // of the batch
	done, total   int
}

// add gathers a write, and commits what was gathered when there is no room for it.
func (w *writer) add(ctx context.Context, one eventstore.Write) error {
	size := 0
	for _, e := range one.Events {
		size += len(e.Data)
	}
	if w.events+len(one.Events) > eventstore.MaxBatch || w.bytes+size > eventstore.MaxBatchLen {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.batch = append(w.batch, one)
	w.events, w.bytes = w.events+len(one.Events), w.bytes+size
	return nil
}

// flush commits what was gathered.
func (w *writer) flush(ctx context.Context) error {
	if len(w.batch) == 0 {
		return nil
	}
	results, err := w.log.Commit(ctx, w.batch)
	if err != nil {
		return err
	}
	for i := range results {
		if results[i].Err != nil {
			return fmt.Errorf("stream %s: %w", w.batch[i].Stream, results[i].Err)
		}
	}
	w.done += len(w.batch)
	w.progress(w.part, w.done, w.total)
	w.batch, w.events, w.bytes = w.batch[:0], 0, 0
	return nil
}
