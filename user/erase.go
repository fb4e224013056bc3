package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ensemble/eventstore"
)

// Erasure is somebody who was erased.
type Erasure struct {
	ID, Key  int64
	At       time.Time
	Position eventstore.Position // of UserErased
}

// EraserConfig is what an [Eraser] works with.
type EraserConfig struct {
	Store   *eventstore.Store // the log of people
	Keys    Keys
	Service *Service
	// Erased returns up to limit of those who are erased, with an id above
	// after, ascending.
	Erased func(ctx context.Context, after int64, limit int) ([]Erasure, error)
	// Clear makes the files of the log hold nothing any more of what was deleted
	// from them. Nil: there are none. ErrBusy and ErrFull mean: again, later.
	Clear func(ctx context.Context) error
	// Save keeps the note for the next start. Nil: nothing is kept.
	Save func(Note) error
}

// Note is what an [Eraser] knows from before a restart. It only saves work: with
// the zero Note everything is looked at again.
type Note struct {
	// Log is which log it is about: the UUID it is known by.
	Log [16]byte
	// Cleared is up to which position the files of the log were cleared, and
	// ClearedAt when.
	Cleared   eventstore.Position
	ClearedAt time.Time
	// Strays are the destroyed keys that no person of this log has: it was
	// restored from before they were born.
	Strays []int64
}

// Eraser finishes what [Service.Erase] begins, whatever was interrupted. It
// guarantees that, once it has recovered and followed the log,
//
//   - the key of everybody who is erased is destroyed, also if an older copy of the
//     keys was put back,
//   - everybody whose key is destroyed is erased, also if an older copy of the log
//     was put back,
//   - neither the memory nor the files of the log hold their names.
//
// Run it as a projection of the log of people, after [Eraser.Recover].
type Eraser struct {
	config  EraserConfig
	note    Note                 // used by one goroutine
	cleared atomic.Pointer[Note] // the note as others see it
}

// NewEraser returns an eraser that knows a note from before.
func NewEraser(c EraserConfig, note Note) *Eraser { return &Eraser{config: c, note: note} }

// Cleared returns up to which position the files of the log were cleared, and when
// that was done last.
func (e *Eraser) Cleared() (eventstore.Position, time.Time) {
	note := e.cleared.Load()
	if note == nil {
		return 0, time.Time{}
	}
	return note.Cleared, note.ClearedAt
}

// publish shows others up to where the files were cleared.
func (e *Eraser) publish() {
	note := e.note
	e.cleared.Store(&note)
}

// Recover brings keys and log in step, and returns the position after which Apply
// has to go on. It costs a look at each erased person and each key, and a reading of
// the log when a key is destroyed whose person is not erased.
//
// Errors: those of the log, of the keys, of Save.
func (e *Eraser) Recover(ctx context.Context) (eventstore.Position, error) {
	head, err := e.config.Store.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("finish erasing: %w", err)
	}
	if id := head.Lineage[len(head.Lineage)-1].UUID; e.note.Log != id || e.note.Cleared > head.Position {
		e.note = Note{Log: id}
	}
	last, strays, err := e.destroyAll(ctx)
	if err == nil {
		err = e.eraseAgain(ctx, strays)
	}
	if err != nil {
		return 0, fmt.Errorf("finish erasing: %w", err)
	}
	if last <= e.note.Cleared {
		e.publish()
		return head.Position, nil
	}
	return last - 1, nil // so that Apply clears the files
}

// destroyAll destroys the keys of those who are erased, and returns the position of
// the last erasure and the destroyed keys that are nobody's.
func (e *Eraser) destroyAll(ctx context.Context) (last eventstore.Position, strays map[int64]bool, err error) {
	destroyed, err := e.config.Keys.Destroyed(ctx)
	if err != nil {
		return 0, nil, err
	}
	strays = make(map[int64]bool, len(destroyed))
	for _, key := range destroyed {
		strays[key] = true
	}
	var left []int64
	for after := int64(0); ; {
		page, err := e.config.Erased(ctx, after, eventstore.MaxPage)
		if err != nil {
			return 0, nil, err
		}
		for _, p := range page {
			after, last = p.ID, max(last, p.Position)
			if !strays[p.Key] && p.Key != 0 {
				left = append(left, p.Key)
			}
			delete(strays, p.Key)
		}
		if len(page) < eventstore.MaxPage {
			return last, strays, e.config.Keys.Destroy(ctx, left...)
		}
	}
}

// eraseAgain erases those whose keys are destroyed. The keys that nobody has are
// noted, so that the log is not read for them at each start.
func (e *Eraser) eraseAgain(ctx context.Context, strays map[int64]bool) error {
	for _, known := range e.note.Strays {
		delete(strays, known)
	}
	if len(strays) == 0 {
		return nil
	}
	for after := eventstore.Position(0); ; {
		page, err := e.config.Store.ReadAll(ctx, after, eventstore.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Position
			if err := e.eraseStray(ctx, &page[i], strays); err != nil {
				return err
			}
		}
		if len(page) < eventstore.MaxPage {
			break
		}
	}
	for key := range strays {
		e.note.Strays = append(e.note.Strays, key)
	}
	return e.save()
}

// eraseStray erases the person of an event if it is the beginning of one whose key
// is destroyed.
func (e *Eraser) eraseStray(ctx context.Context, event *eventstore.Event, strays map[int64]bool) error {
	if event.Type != typeCreated {
		return nil
	}
	var s stored
	if err := json.Unmarshal(event.Data, &s); err != nil {
		return fmt.Errorf("decode %s at position %d: %w", event.Type, event.Position, err)
	}
	if !strays[s.Key] {
		return nil
	}
	delete(strays, s.Key)
	if _, err := e.config.Service.Erase(ctx, event.Number); err != nil && !errors.Is(err, ErrErased) {
		return err
	}
	return nil
}

// Apply does for those who were just erased what is left to do. Doing it again
// changes nothing.
func (e *Eraser) Apply(ctx context.Context, events []eventstore.Event) error {
	var last eventstore.Position
	var keys []int64
	for i := range events {
		id, err := ErasedPerson(&events[i])
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		key, err := e.forget(id, &events[i])
		if err != nil {
			return err
		}
		if key != 0 {
			keys = append(keys, key)
		}
		last = events[i].Position
	}
	if last == 0 {
		return nil
	}
	if err := e.config.Keys.Destroy(ctx, keys...); err != nil {
		return err
	}
	if err := e.clear(ctx); err != nil {
		return fmt.Errorf("clear the files after erasing: %w", err)
	}
	e.note.Cleared, e.note.ClearedAt = max(e.note.Cleared, last), time.Now()
	e.publish()
	return e.save()
}

// forget takes somebody who was erased out of the memory, and returns their key.
func (e *Eraser) forget(id int64, event *eventstore.Event) (key int64, err error) {
	decoded, err := Decode(e.config.Keys, *event)
	if err != nil {
		return 0, err
	}
	e.config.Service.Forget(id)
	if erased, ok := decoded.(Erased); ok {
		key = erased.Key
	}
	return key, nil
}

// clear clears the files, as often as it takes: readers may be in the way for a
// moment, a full disk for longer.
func (e *Eraser) clear(ctx context.Context) error {
	if e.config.Clear == nil {
		return nil
	}
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := e.config.Clear(ctx)
		if !errors.Is(err, eventstore.ErrBusy) && !errors.Is(err, eventstore.ErrFull) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// save keeps the note.
func (e *Eraser) save() error {
	if e.config.Save == nil {
		return nil
	}
	return e.config.Save(e.note)
}
