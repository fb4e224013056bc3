package user_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/internal/keyring"
	"ensemble/readmodel"
	"ensemble/user"
)

// errCrash is the moment at which everything ends.
var errCrash = errors.New("the power is gone")

// script counts the steps that an eraser takes outside of itself, and ends everything
// before or after one of them.
type script struct {
	steps []string
	crash int  // the step, from 1; 0: none
	after bool // it was done, but nobody heard of it
}

// step does one step, unless everything has ended before.
func (s *script) step(name string, do func() error) error {
	if s.crash > 0 && len(s.steps) >= s.crash {
		return errCrash
	}
	s.steps = append(s.steps, name)
	if len(s.steps) != s.crash {
		return do()
	}
	if s.after {
		_ = do()
	}
	return errCrash
}

// scriptedKeys are keys whose destruction is a step.
type scriptedKeys struct {
	user.Keys
	*script
}

func (k scriptedKeys) Destroy(ctx context.Context, ids ...int64) error {
	if len(ids) == 0 {
		return nil
	}
	return k.step("destroy", func() error { return k.Keys.Destroy(ctx, ids...) })
}

// scriptedLog is a log whose commits are steps, while there is a script. A crash
// after a commit answers that its outcome is unknown, as a disk would.
type scriptedLog struct {
	eventstore.Driver
	script *script
}

func (l *scriptedLog) Commit(ctx context.Context, batch []eventstore.Write) (r []eventstore.Result, err error) {
	if l.script == nil {
		return l.Driver.Commit(ctx, batch)
	}
	err = l.script.step("commit", func() error {
		r, err = l.Driver.Commit(ctx, batch)
		return err
	})
	return r, err
}

// plan is a world in which people are erased while things break: a log and keys that
// outlive every crash, and the note that was saved last.
type plan struct {
	t      *rapid.T
	driver eventstore.Driver
	keys   *keyring.Keyring
	note   user.Note
	erased map[int64]bool // who was answered to be erased, or may be
	people int64
}

// run opens the log as a process does, does something, and closes it.
func (p *plan) run(s *script, do func(r *registry)) {
	keys := scriptedKeys{p.keys, s}
	store, err := eventstore.Open(p.t.Context(), &scriptedLog{kept{p.driver}, s}, eventstore.Options{Log: quiet()})
	if err != nil {
		p.t.Fatal(err)
	}
	r := &registry{store: store, keys: p.keys, people: user.NewService(store, keys), users: readmodel.NewUsers(store)}
	do(r)
	_ = store.Close() // it says why it has stopped, if it has
}

// kept is a driver that outlives its store.
type kept struct{ eventstore.Driver }

func (kept) Close() error { return nil }

// recover starts an eraser on what is there, has it follow the log, and returns its
// first error.
func (p *plan) recover(s *script, r *registry) error {
	note := p.note
	eraser := user.NewEraser(user.EraserConfig{
		Store: r.store, Keys: scriptedKeys{p.keys, s}, Service: r.people, Erased: r.users.Erased,
		Clear: func(context.Context) error { return s.step("clear", func() error { return nil }) },
		Save: func(n user.Note) error {
			return s.step("save", func() error {
				n.Strays = slices.Clone(n.Strays)
				p.note = n
				return nil
			})
		},
	}, note)
	after, err := eraser.Recover(p.t.Context())
	for err == nil {
		var page []eventstore.Event
		if page, err = r.store.ReadAll(p.t.Context(), after, 2); len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Position
		err = eraser.Apply(p.t.Context(), page)
	}
	return err
}

// agreed fails unless log, keys and note say the same: exactly those are erased whose
// keys are destroyed, and the files were cleared after the last of them.
func (p *plan) agreed(r *registry) {
	destroyed, err := p.keys.Destroyed(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for id := int64(1); id <= p.people; id++ {
		_, err := r.users.ByID(p.t.Context(), id)
		gone := errors.Is(err, user.ErrErased)
		if err != nil && !gone {
			p.t.Fatal(err)
		}
		if gone != p.erased[id] || gone != slices.Contains(destroyed, id) { // here each has the key of their number
			p.t.Fatalf("person %d: erased %v, asked for %v, destroyed are %v", id, gone, p.erased[id], destroyed)
		}
	}
	last := eventstore.Position(0)
	events, err := r.store.ReadAll(p.t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		p.t.Fatal(err)
	}
	times := map[eventstore.Stream]int{}
	for _, e := range events {
		if e.Type == "UserErased" {
			last = e.Position
			times[e.Stream]++
		}
	}
	for stream, n := range times {
		if n > 1 {
			p.t.Fatalf("%s was erased %d times", stream, n)
		}
	}
	if p.note.Cleared < last {
		p.t.Fatalf("the files were cleared up to %d, the last one was erased at %d", p.note.Cleared, last)
	}
}

// TestWhereverErasingIsInterruptedTheNextStartEndsIt draws erasures, each ended before
// or after any of its steps, recoveries that are ended too, and keys destroyed that no
// event tells of. A start that nobody interrupts then leaves everything in order.
func TestWhereverErasingIsInterruptedTheNextStartEndsIt(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		keys, err := keyring.Open(fmt.Sprint(dir, "/", n))
		if err != nil {
			rt.Fatal(err)
		}
		defer keys.Close()
		p := &plan{t: rt, keys: keys, erased: map[int64]bool{}, people: 6}
		p.driver = memory.New(memory.Options{Views: []eventstore.View{readmodel.UsersView(keys)}})
		p.run(uninterrupted(), func(r *registry) {
			for range p.people {
				if _, err := r.people.Create(rt.Context(), "Ada", "", nil); err != nil {
					rt.Fatal(err)
				}
			}
		})
		for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			s := &script{crash: rapid.IntRange(0, 6).Draw(rt, "crash"), after: rapid.Bool().Draw(rt, "after")}
			p.run(s, func(r *registry) { p.round(s, r) })
		}
		p.run(uninterrupted(), func(r *registry) {
			p.settle(r)
			if err := p.recover(uninterrupted(), r); err != nil {
				rt.Fatalf("nobody interrupts it, and it says %v", err)
			}
			p.agreed(r)
		})
		quietStart := uninterrupted()
		p.run(quietStart, func(r *registry) { // and there is nothing left to do
			if err := p.recover(quietStart, r); err != nil || len(quietStart.steps) > 0 {
				rt.Fatalf("the next start does %v, %v", quietStart.steps, err)
			}
			p.agreed(r)
		})
	})
}

// uninterrupted is a script that interrupts nothing.
func uninterrupted() *script { return new(script) }

// round erases somebody, loses a key, or starts, and may be interrupted.
func (p *plan) round(s *script, r *registry) {
	id := rapid.Int64Range(1, p.people).Draw(p.t, "id")
	switch rapid.SampledFrom([]string{"erase", "erase", "lose a key", "start"}).Draw(p.t, "what") {
	case "erase":
		_, err := r.people.Erase(p.t.Context(), id)
		switch {
		case err == nil, errors.Is(err, user.ErrErased):
			p.erased[id] = true
		case errors.Is(err, errCrash), errors.Is(err, eventstore.ErrUnknown), errors.Is(err, eventstore.ErrClosed):
			// it may have happened or not; the log says which, see settle
		default:
			p.t.Fatalf("erase: %v", err)
		}
	case "lose a key": // an older log was put back beside keys of today
		if err := p.keys.Destroy(p.t.Context(), id); err != nil {
			p.t.Fatal(err)
		}
		p.erased[id] = true
	case "start":
		if err := p.recover(s, r); err != nil && !errors.Is(err, errCrash) && !errors.Is(err, eventstore.ErrUnknown) && !errors.Is(err, eventstore.ErrClosed) {
			p.t.Fatalf("start: %v", err)
		}
	}
}

// settle asks the log what became of the erasures whose answer got lost.
func (p *plan) settle(r *registry) {
	events, err := r.store.ReadAll(p.t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range events {
		id, err := user.ErasedPerson(&events[i])
		if err != nil {
			p.t.Fatal(err)
		}
		if id > 0 {
			p.erased[id] = true
		}
	}
}

// quiet is for logs that are stopped on purpose.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
