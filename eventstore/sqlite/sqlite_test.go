package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a log with its folder.
type world struct {
	t    *testing.T
	path string
	opts Options
	log  *Log
}

func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	return openWorld(t, filepath.Join(t.TempDir(), "test.db"), opts)
}

// openWorld opens the log at a path.
func openWorld(t *testing.T, path string, opts Options) *world {
	t.Helper()
	opts.Log = slog.New(slog.DiscardHandler)
	w := &world{t: t, path: path, opts: opts}
	w.open()
	t.Cleanup(func() {
		if w.log != nil {
			_ = w.log.Close()
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	log, err := Open(w.t.Context(), w.path, w.opts)
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	w.log = log
}

func (w *world) close() {
	w.t.Helper()
	if err := w.log.Close(); err != nil {
		w.t.Fatalf("close: %v", err)
	}
	w.log = nil
}

// crash ends the log as kill -9 does: nothing is saved, checkpointed or synced.
func (w *world) crash() {
	w.t.Helper()
	w.log.checkpoint.stop()
	w.log.broken = eventstore.ErrClosed
	saved, walSaved := w.read(w.path), w.read(w.path+"-wal")
	_ = w.log.release()
	w.write(w.path, saved)
	w.write(w.path+"-wal", walSaved)
	w.log = nil
}

func (w *world) read(path string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) write(path string, b []byte) {
	w.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// commit appends n events to streams thing-1 … thing-n, one commit each.
func (w *world) commit(n int) {
	w.t.Helper()
	for range n {
		results, err := w.log.Commit(w.t.Context(), []eventstore.Write{thing()})
		if err != nil || results[0].Err != nil {
			w.t.Fatalf("commit: %v, %+v", err, results)
		}
	}
}

func thing() eventstore.Write {
	return eventstore.Write{
		Stream: eventstore.Stream{Category: "thing"},
		Events: []eventstore.NewEvent{{Type: "ThingMade", Number: eventstore.NextNumber, Data: []byte(`{"colour":"red"}`)}},
	}
}

func (w *world) count() int {
	w.t.Helper()
	n := 0
	for {
		page, err := w.log.ReadAll(w.t.Context(), eventstore.Position(n), 100)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			return n
		}
		n += len(page)
	}
}

// sql changes the file behind the log's back.
func (w *world) sql(script string) {
	w.t.Helper()
	conn, err := sqlite.OpenConn(w.path, sqlite.OpenReadWrite)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if err := sqlitex.ExecuteScript(conn, script, nil); err != nil {
		w.t.Fatal(err)
	}
}

// refused opens the log and returns the damage it is refused for.
func (w *world) refused() *eventstore.DamageError {
	w.t.Helper()
	log, err := Open(w.t.Context(), w.path, w.opts)
	if err == nil {
		_ = log.Close()
		w.t.Fatal("the damaged log was opened")
	}
	var damage *eventstore.DamageError
	if !errors.As(err, &damage) {
		w.t.Fatalf("opening says %v, not that the log is damaged", err)
	}
	return damage
}

func TestASecondWriterIsRefusedUntilTheFirstIsGone(t *testing.T) {
	w := newWorld(t, Options{})
	var locked *LockedError
	if _, err := Open(t.Context(), w.path, Options{}); !errors.As(err, &locked) {
		t.Fatalf("opening twice says %v", err)
	}
	w.close()
	w.open()
}

func TestAWriterWaitsForWhoOnlyLooks(t *testing.T) {
	w := newWorld(t, Options{})
	w.close()
	looking := flock.New(w.path + ".lock")
	if locked, err := looking.TryRLock(); err != nil || !locked {
		t.Fatalf("looking: %v, %v", locked, err)
	}
	opened := make(chan error, 1)
	go func() {
		var err error
		w.log, err = Open(t.Context(), w.path, Options{})
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("opening beside a reader that has the lock says %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := errors.Join(looking.Unlock(), <-opened); err != nil {
		t.Fatal(err)
	}
	w.commit(1)
}

func TestWaitingForAnotherWriterEndsWithItsContext(t *testing.T) {
	w := newWorld(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, w.path, Options{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("opening when told to stop says %v", err)
	}
}

func TestAReaderMayLookWhileAnotherProcessWrites(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(3)
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	w.commit(2)
	events, err := reader.ReadAll(t.Context(), 0, 100)
	if err != nil || len(events) != 5 {
		t.Fatalf("the reader sees %d events, %v", len(events), err)
	}
	if h, err := reader.Head(t.Context()); err != nil || h.Position != 5 {
		t.Fatalf("the reader sees head %d, %v", h.Position, err)
	}
	if _, err := reader.Commit(t.Context(), []eventstore.Write{thing()}); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("a reader's commit says %v", err)
	}
}

// TestALogOpenedToReadDoesNotSayThatThereIsNothing: it does not know where streams end
// and which keys were used, and "none" would be taken for an answer.
func TestALogOpenedToReadDoesNotSayThatThereIsNothing(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(3)
	used := w.keyed("keyed", 7, 1)
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if events, err := reader.ReadStream(t.Context(), stream(2), 0, 10); !errors.Is(err, ErrNoHeads) {
		t.Errorf("a stream is %v, %v", events, err)
	}
	if o, found, err := reader.Outcome(t.Context(), [16]byte{7}); !errors.Is(err, ErrNoHeads) {
		t.Errorf("a key is %+v, %v, %v", o, found, err)
	}
	if events, err := reader.FindStream(t.Context(), used.Stream, noProgress); err != nil || len(events) != 1 {
		t.Errorf("what it says to use finds %v, %v", events, err)
	}
}

func TestFilesThatAreNotOurLogAreRefused(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"from a newer version", "PRAGMA user_version = 99"},
		{"of another program", "PRAGMA application_id = 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.commit(1)
			w.close()
			w.sql(c.script)
			var version *VersionError
			if _, err := Open(t.Context(), w.path, Options{}); !errors.As(err, &version) {
				t.Fatalf("opening says %v", err)
			}
		})
	}
	t.Run("not SQLite at all", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.close()
		w.write(w.path, []byte(strings.Repeat("no database ", 1000)))
		w.refused()
	})
}

func TestAFolderThatIsReadOnlyIsNamed(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Log("the superuser may write anywhere; a missing folder stands in")
	}
	_, err := Open(t.Context(), filepath.Join(t.TempDir(), "missing", "x.db"), Options{})
	if err == nil || !strings.Contains(err.Error(), "writable") {
		t.Fatalf("opening says %v", err)
	}
}

func TestAFlippedBitIsFoundWhenTheLogIsOpened(t *testing.T) {
	for _, column := range []string{
		"stream = 'thing-9'", "version = 2", "previous = 1", "number = 9", "type = 'ThingSold'", "time = time + 1",
		"crc = crc + 1", "data = '{}'", "meta = '{\"a\":\"b\"}'", "key = zeroblob(16), fingerprint = zeroblob(8)",
	} {
		t.Run(column, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.commit(5)
			w.close()
			w.sql("UPDATE events SET " + column + " WHERE position = 3")
			if d := w.refused(); d.Position != 3 {
				t.Fatalf("the damage is at 3, found at %d: %v", d.Position, d)
			}
		})
	}
}

func TestDamageFurtherBackIsFoundWhenItIsReadAndByVerify(t *testing.T) {
	w := newWorld(t, Options{})
	batch := make([]eventstore.Write, 700)
	for i := range batch {
		batch[i] = thing()
	}
	for range 4 {
		if _, err := w.log.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	w.close()
	w.sql("UPDATE events SET data = '{}' WHERE position = 3")
	w.open()
	events, err := w.log.ReadAll(t.Context(), 0, 100)
	if err != nil || len(events) != 2 {
		t.Fatalf("what is before the damage can be read: got %d events, %v", len(events), err)
	}
	var damage *eventstore.DamageError
	if _, err := w.log.ReadAll(t.Context(), 2, 100); !errors.As(err, &damage) || damage.Position != 3 {
		t.Fatalf("reading the damage says %v", err)
	}
	if _, err := w.log.Verify(t.Context(), noProgress); !errors.As(err, &damage) || damage.Position != 3 {
		t.Fatalf("verify says %v", err)
	}
}

func TestVerifyFindsWhatChecksumsCanNot(t *testing.T) {
	for _, c := range []struct {
		name, script string
		at           eventstore.Position
	}{
		{"a missing event", "DELETE FROM events WHERE position = 3", 3},
		{"a missing commit", "DELETE FROM commits WHERE first = 3", 2},
		{"a changed link", "UPDATE commits SET hash = zeroblob(32) WHERE first = 4", 4},
		{"two events less and a commit that fits", "DELETE FROM events WHERE position > 3; DELETE FROM commits WHERE first > 3", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.commit(5)
			w.close()
			w.sql(c.script)
			if d := w.refused(); d.Position != c.at {
				t.Fatalf("the damage is at %d, found at %d: %v", c.at, d.Position, d)
			}
		})
	}
}

func TestVerifyCountsWhatIsWell(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(7)
	var last eventstore.Position
	got, err := w.log.Verify(t.Context(), func(done, _ eventstore.Position) { last = done })
	if err != nil {
		t.Fatal(err)
	}
	if want := (Verified{Events: 7, Commits: 7, Streams: 7}); got != want {
		t.Fatalf("verified %+v, want %+v (progress %d)", got, want, last)
	}
}

func TestALogCutShortIsRefused(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(500)
	w.close()
	b := w.read(w.path)
	for _, part := range []int{2, 3, 10} {
		w.write(w.path, b[:len(b)/part])
		w.refused()
	}
	w.write(w.path, b)
	w.open()
}

func TestTheWriteAheadLogMayEndInATornWriteButNotHaveAHole(t *testing.T) {
	const n = 6
	build := func(t *testing.T) (*world, []byte) {
		w := newWorld(t, Options{})
		w.log.checkpoint.stop() // all commits stay in the write-ahead log
		w.log.checkpoint = &checkpointer{log: w.log, quit: make(chan struct{})}
		w.commit(n)
		w.crash()
		return w, w.read(w.path + "-wal")
	}
	t.Run("whole", func(t *testing.T) {
		w, _ := build(t)
		w.open()
		if got := w.count(); got != n {
			t.Fatalf("%d of %d events are left", got, n)
		}
	})
	t.Run("the last transaction torn", func(t *testing.T) {
		w, wal := build(t)
		w.write(w.path+"-wal", wal[:len(wal)-100])
		w.open()
		if got := w.count(); got != n-1 {
			t.Fatalf("%d events are left, want all but the torn one", got)
		}
	})
	t.Run("a bit flipped before the last transaction", func(t *testing.T) {
		w, wal := build(t)
		frame := 4096 + frameHeaderLen
		for _, at := range []int{walHeaderLen + frameHeaderLen + 100, walHeaderLen + frame*2 + 50, walHeaderLen + 17} {
			damaged := append([]byte(nil), wal...)
			damaged[at] ^= 4
			w.write(w.path+"-wal", damaged)
			w.refused()
		}
	})
}

func TestTheIndexIsTheSameSavedOrReadFromTheLog(t *testing.T) {
	for _, bits := range []int{64, 8} { // 8 bits: nearly every stream collides
		t.Run(fmt.Sprint(bits, " bits"), func(t *testing.T) {
			w := newWorld(t, Options{hashBits: bits})
			w.commit(600)
			for i := 1; i <= 600; i += 7 {
				w.sell(i)
			}
			check := func(how string) {
				t.Helper()
				for i := 1; i <= 600; i++ {
					want := 1
					if i%7 == 1 {
						want = 2
					}
					events, err := w.log.ReadStream(t.Context(), stream(i), 0, 10)
					if err != nil || len(events) != want {
						t.Fatalf("%s: stream %d has %d events, want %d, %v", how, i, len(events), want, err)
					}
				}
				if n := w.log.index.numbers["thing"]; n != 600 {
					t.Fatalf("%s: the highest number is %d", how, n)
				}
			}
			check("at work")
			w.close()
			w.open()
			check("saved")
			w.close()
			if err := os.Remove(w.log2index()); err != nil {
				t.Fatal(err)
			}
			w.open()
			check("read from the log")
			w.commit(1)
			w.crash()
			w.open()
			if n := w.log.index.numbers["thing"]; n != 601 {
				t.Fatalf("after a crash the highest number is %d", n)
			}
		})
	}
}

func stream(i int) eventstore.Stream { return eventstore.Stream{Category: "thing", ID: fmt.Sprint(i)} }

// sell appends a second event to a stream.
func (w *world) sell(i int) {
	w.t.Helper()
	results, err := w.log.Commit(w.t.Context(), []eventstore.Write{{
		Stream: stream(i), Expected: 1, Events: []eventstore.NewEvent{{Type: "ThingSold", Data: []byte("{}")}},
	}})
	if err != nil || results[0].Err != nil {
		w.t.Fatalf("sell %d: %v, %+v", i, err, results)
	}
}

// log2index returns where the saved index of the closed log is.
func (w *world) log2index() string { return strings.TrimSuffix(w.path, ".db") + ".heads" }

func TestASavedIndexThatIsDamagedIsMadeAgain(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(20)
	w.close()
	b := w.read(w.log2index())
	for _, damaged := range [][]byte{b[:len(b)/2], append(b[:40:40], append([]byte{b[40] ^ 1}, b[41:]...)...), nil} {
		w.write(w.log2index(), damaged)
		w.open()
		w.commit(1)
		w.close()
	}
	w.open()
	if got := w.count(); got != 23 {
		t.Fatalf("%d events, want 23", got)
	}
}

func TestASavedIndexOfAnotherLogIsRefused(t *testing.T) {
	a, b := newWorld(t, Options{}), newWorld(t, Options{})
	a.commit(3)
	b.commit(3)
	a.close()
	b.close()
	a.write(a.log2index(), b.read(b.log2index()))
	a.refused()
}

func TestALogThatEndsBeforeItsSavedIndexHasLostItsTail(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(3)
	w.close()
	old := w.read(w.path)
	w.open()
	w.commit(3)
	w.close()
	w.write(w.path, old)
	if d := w.refused(); d.Position != 4 {
		t.Fatalf("the tail is lost from 4 on, found %v", d)
	}
}

func TestAFullDiskRefusesWritesGoesOnReadingAndRecovers(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(10)
	w.log.limitPages(1)
	store, err := eventstore.Open(t.Context(), w.log, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := w.log
	w.log = nil // the store closes it
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	full := false
	for range 1000 {
		if _, err := store.Append(t.Context(), thing()); errors.Is(err, eventstore.ErrFull) {
			full = true
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !full {
		t.Fatal("the disk never became full")
	}
	before, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.ReadAll(t.Context(), 0, 10); err != nil {
		t.Fatalf("a full disk can be read: %v", err)
	}
	log.limitPages(0)
	r, err := store.Append(t.Context(), thing())
	if err != nil || r.Position != before.Position+1 || r.Number != int64(before.Position)+1 {
		t.Fatalf("after space was freed: %+v, %v; the head was %d", r, err, before.Position)
	}
}

func noProgress(_, _ eventstore.Position) {}
