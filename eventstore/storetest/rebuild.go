package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ensemble/eventstore"
)

func testWrongRows(t *testing.T, d Driver) {
	view := fickle{wrong: new(atomic.Bool)}
	l := d.open(t, Options{Views: []eventstore.View{view}})
	l.put("1 a 5", "2 b 6")
	view.wrong.Store(true)
	l.put("3 c 7", "1 d 8")
	view.wrong.Store(false)
	if got := l.show(eventstore.Select{}); got != "1 wrong 8, 2 b 6, 3 wrong 7" {
		t.Fatalf("before, the rows are %s", got)
	}
	l.agrees(l.mustRebuild(d), 2)
	l.agrees(l.mustRebuild(d), 0)
}

// testGivenUp gives a rebuild up after any number of steps: for good, as a log that
// is being closed does, or once, so that the driver may still clean up.
func testGivenUp(t *testing.T, d Driver) {
	for _, once := range []bool{false, true} {
		l := d.withBoxes(t)
		l.put("1 a 5", "2 b 6", "3 c 7")
		for after := 0; ; after++ {
			err := l.giveUp(d, after, once)
			l.put(fmt.Sprint(after%3+1, " again ", after))
			if got := l.show(eventstore.Select{}); got != l.replayed() {
				t.Fatalf("given up after step %d: the rows are %s, the events say %s", after, got, l.replayed())
			}
			if err == nil {
				break // there are no more steps to give up before it has taken over
			}
			if !errors.Is(err, errEnough) {
				t.Fatalf("got %v", err)
			}
		}
		l.agrees(l.mustRebuild(d), 0)
	}
}

// errEnough ends a rebuild that is given up.
var errEnough = errors.New("enough")

// giveUp rebuilds and refuses the step after so many, or all from there on.
func (l *log) giveUp(d Driver, after int, once bool) error {
	taken := 0
	_, err := d.Rebuild(l.driver, l.t.Context(), eventstore.Rebuild{Between: func(ctx context.Context, fn func() error) error {
		taken++
		if taken == after+1 || taken > after && !once {
			return errEnough
		}
		return l.store.Between(ctx, fn)
	}})
	return err
}

// testTurns has tasks and commands come without a pause: both go on.
func testTurns(t *testing.T, d Driver) {
	l := d.open(t, Options{})
	var tasks, commands atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for tasks.Load() < 20 || commands.Load() < 20 {
				if err := l.store.Between(t.Context(), func() error { tasks.Add(1); return nil }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 3 {
		wg.Go(func() {
			for tasks.Load() < 20 || commands.Load() < 20 {
				if _, err := l.store.Append(t.Context(), write(on(fmt.Sprint(i)), eventstore.Any, "x")); err != nil {
					t.Error(err)
					return
				}
				commands.Add(1)
			}
		})
	}
	wg.Wait()
	if n := int64(len(l.all())); n != commands.Load() {
		t.Fatalf("%d commands were answered, the log has %d events", commands.Load(), n)
	}
}

// testRebuildModel puts random boxes before, between the steps of and after random
// rebuilds of one log.
func testRebuildModel(t *testing.T, d Driver) {
	rounds := 100
	if d.Durable {
		rounds = 6 // each event is an fsync
	}
	l := d.withBoxes(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	put := func(n int) {
		for range n {
			id := 1 + rnd.IntN(8)
			if rnd.IntN(3) == 0 {
				l.put(fmt.Sprint(id))
			} else {
				l.put(fmt.Sprint(id, " c ", 1+rnd.IntN(3)))
			}
		}
		if got := l.show(eventstore.Select{}); got != l.replayed() {
			t.Fatalf("the rows are %s, the events say %s", got, l.replayed())
		}
	}
	for range rounds {
		put(rnd.IntN(9))
		found, err := l.rebuild(d, func(int) { put(rnd.IntN(3)) })
		if err != nil || found.Tables[0].Differ != 0 {
			t.Fatalf("found %+v, %v", found, err)
		}
		all := l.show(eventstore.Select{})
		for size := range int64(4) {
			if some := l.show(eventstore.Select{Column: "size", Equals: size}); some != filter(all, fmt.Sprint(" ", size)) {
				t.Fatalf("of %s the index on size %d finds %s", all, size, some)
			}
		}
	}
}

// twins is a view with two rows that each event changes to its position.
type twins struct{}

// Tables implements eventstore.View.
func (twins) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "twins", Columns: []eventstore.Column{
		{Name: "id", Type: eventstore.IntColumn}, {Name: "at", Type: eventstore.IntColumn},
	}}}
}

// Rows implements eventstore.View.
func (twins) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	at := eventstore.Int(int64(e.Position))
	return []eventstore.Row{
		{Table: "twins", Values: []eventstore.Value{eventstore.Int(1), at}},
		{Table: "twins", Values: []eventstore.Value{eventstore.Int(2), at}},
	}, nil
}

// testRebuildRace rebuilds while commands and queries run. A query that saw a part
// of another generation would find two twins that differ, or an older pair than
// one that was answered before.
func testRebuildRace(t *testing.T, d Driver) {
	l := d.open(t, Options{Views: []eventstore.View{twins{}}})
	l.must(write(on("first"), 0, make([]string, 900)...))
	l.must(write(on("second"), 0, make([]string, 900)...))
	var acknowledged, commands, queries atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	again := func(fn func() error) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := fn(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 3 {
		again(func() error {
			r, err := l.store.Append(t.Context(), write(on(fmt.Sprint(i)), eventstore.Any, "x", "y"))
			raise(&acknowledged, int64(r.Position))
			commands.Add(1)
			return err
		})
	}
	again(func() error {
		least := acknowledged.Load()
		rows, err := l.store.Select(t.Context(), eventstore.Select{Table: "twins", Limit: 10})
		if err == nil && (len(rows) != 2 || rows[0][1] != rows[1][1] || rows[0][1].Int() < least) {
			err = fmt.Errorf("saw %v when position %d had been answered", rows, least)
		}
		queries.Add(1)
		return err
	})
	for range 3 {
		before, asked := commands.Load(), queries.Load()
		found, err := l.rebuild(d, func(int) { yield() })
		if err != nil || found.Tables[0].Differ != 0 || found.Tables[0].Rows != 2 {
			t.Errorf("found %+v, %v", found, err)
		}
		for (commands.Load() == before || queries.Load() == asked) && !t.Failed() {
			yield()
		}
	}
	close(stop)
	wg.Wait()
}

// raise sets n to v if that is more.
func raise(n *atomic.Int64, v int64) {
	for old := n.Load(); v > old && !n.CompareAndSwap(old, v); old = n.Load() {
	}
}

// filter keeps of the boxes in a list those whose line ends in a size.
func filter(list, size string) string {
	var kept []string
	for box := range strings.SplitSeq(list, ", ") {
		if strings.HasSuffix(box, size) {
			kept = append(kept, box)
		}
	}
	return strings.Join(kept, ", ")
}

func testBetween(t *testing.T, d Driver) {
	l := d.open(t, Options{})
	entered, leave := make(chan struct{}), make(chan struct{})
	task := make(chan error, 1)
	go func() {
		task <- l.store.Between(t.Context(), func() error { close(entered); <-leave; return nil })
	}()
	<-entered
	append1 := make(chan error, 1)
	go func() {
		_, err := l.store.Append(t.Context(), write(on("x"), 0, "a"))
		append1 <- err
	}()
	for l.store.Waiting() == 0 {
		yield()
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.store.Between(canceled, func() error { t.Error("it ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a task whose context has ended got %v", err)
	}
	if h := l.head(); h.Position != 0 {
		t.Errorf("an event was committed meanwhile")
	}
	close(leave)
	if err := errors.Join(<-task, <-append1); err != nil {
		t.Fatal(err)
	}
	errOwn := errors.New("its own")
	if err := l.store.Between(t.Context(), func() error { return errOwn }); !errors.Is(err, errOwn) {
		t.Errorf("a task that fails got %v", err)
	}
	l.must(write(on("x"), 1, "b")) // which is no reason to stop
	if err := l.store.Between(t.Context(), func() error { return eventstore.ErrUnknown }); !errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("a task of unknown outcome got %v", err)
	}
	<-l.store.Done() // but that is
	if err := l.store.Between(t.Context(), func() error { t.Error("it ran"); return nil }); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("a task after the end got %v", err)
	}
	l.store = mustOpen(t, l.reopenAfterFailure())
}
