package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

// quiet is a progress that nobody looks at.
func quiet(string, int64, int64) {}

// backup backs up one log and returns the file.
func (w *world) backup() string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "backup.tar")
	if _, err := Backup(w.t.Context(), file, "a test", []*Log{w.log}, quiet); err != nil {
		w.t.Fatalf("back up: %v", err)
	}
	return file
}

// restored restores a file into a fresh folder and opens the log there.
func restored(t *testing.T, file string, opts Options) *world {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Restore(t.Context(), file, dir, quiet); err != nil {
		t.Fatalf("restore: %v", err)
	}
	return openWorld(t, filepath.Join(dir, "test.db"), opts)
}

// all returns every event of the log.
func (w *world) all() (events []eventstore.Event) {
	w.t.Helper()
	for {
		page, err := w.log.ReadAll(w.t.Context(), eventstore.Position(len(events)), 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			return events
		}
		events = append(events, page...)
	}
}

// mixed makes a log with several commits, streams of two events, a key with events
// and one without.
func mixed(t *testing.T, opts Options) *world {
	t.Helper()
	w := newWorld(t, opts)
	w.commit(5)
	w.sell(2)
	keyed := thing()
	keyed.Key = &eventstore.Key{Hash: [16]byte{1}, Fingerprint: [8]byte{2}}
	keyed.Events[0].Meta = eventstore.Metadata{"traceparent": "00-1"}
	answered := eventstore.Write{
		Stream: stream(2), Expected: eventstore.Any,
		Key: &eventstore.Key{Hash: [16]byte{3}, Outcome: []byte("no")},
	}
	empty := eventstore.Write{Key: &eventstore.Key{Hash: [16]byte{4}}}
	if _, err := w.log.Commit(t.Context(), []eventstore.Write{keyed, answered, empty}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestARestoredLogIsWhatWasBackedUp(t *testing.T) {
	w := mixed(t, Options{})
	before := w.all()
	file := w.backup()
	w.commit(3) // too late for the backup
	r := restored(t, file, Options{})
	if diff := cmp.Diff(before, r.all()); diff != "" {
		t.Fatal(diff)
	}
	if _, err := r.log.Verify(t.Context(), noProgress); err != nil {
		t.Fatal(err)
	}
	for _, key := range [][16]byte{{1}, {3}, {4}} {
		want, _, err := w.log.Outcome(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, found, err := r.log.Outcome(t.Context(), key)
		if diff := cmp.Diff(want, got); !found || err != nil || diff != "" {
			t.Errorf("key %d: found %v, %v, %s", key[0], found, err, diff)
		}
	}
	r.commit(1)
	if last := r.all()[len(before)]; last.Number != 7 || last.Position != 8 {
		t.Fatalf("the restored log goes on with %+v", last)
	}
}

func TestRestoringAddsToTheLineage(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	old, err := w.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, b := restored(t, file, Options{}), restored(t, file, Options{})
	lineages := []eventstore.Lineage{a.log.lineage, b.log.lineage}
	for _, l := range lineages {
		if len(l) != 2 || l[0] != old.Lineage[0] || l[1].First != old.Position+1 {
			t.Fatalf("from %v it became %v", old.Lineage, l)
		}
		if l.At(old.Position) != old.Lineage[0].UUID || l.At(old.Position+1) == old.Lineage[0].UUID {
			t.Fatal("what comes after the backup has the old name")
		}
	}
	if lineages[0][1].UUID == lineages[1][1].UUID {
		t.Fatal("two restored logs have one name")
	}
	// A backup of a restored log that has not gone on: nothing was ever written under
	// the name that the new one takes the place of.
	if l := restored(t, a.backup(), Options{}).log.lineage; len(l) != 2 || l[1] == lineages[0][1] {
		t.Fatalf("from %v it became %v", lineages[0], l)
	}
	a.commit(1)
	if l := restored(t, a.backup(), Options{}).log.lineage; len(l) != 3 || l[2].First != old.Position+2 {
		t.Fatalf("from %v it became %v", lineages[0], l)
	}
}

func TestAnEmptyLogIsBackedUpAndRestoredUnderANewName(t *testing.T) {
	w := newWorld(t, Options{})
	r := restored(t, w.backup(), Options{})
	if l := r.log.lineage; len(l) != 1 || l[0].First != 1 || l[0] == w.log.lineage[0] {
		t.Fatalf("from %v it became %v", w.log.lineage, l)
	}
	r.commit(1)
}

func TestHeadsOfTheLogBeforeItWasRestoredAreRefused(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	r := restored(t, file, Options{})
	w.close()
	r.close()
	r.write(r.log2index(), w.read(w.log2index()))
	if d := r.refused(); !strings.Contains(d.Reason, "belongs to another log") {
		t.Fatalf("it says %v", d)
	}
}

func TestABackupHoldsNoRowOfAView(t *testing.T) {
	w := newWorld(t, Options{Views: []eventstore.View{&colours{"canary-in-a-view"}}})
	w.commit(3)
	file := w.backup()
	w.close()
	if !bytes.Contains(w.read(w.path), []byte("canary-in-a-view")) {
		t.Fatal("the view does not hold the canary; nothing is tested")
	}
	if bytes.Contains(w.read(file), []byte("canary-in-a-view")) {
		t.Fatal("the backup holds what only a view holds")
	}
	r := restored(t, file, w.opts)
	rows, err := r.log.Select(t.Context(), eventstore.Select{Table: "colours", Limit: 10})
	if err != nil || len(rows) != 3 {
		t.Fatalf("the view was made again with %v, %v", rows, err)
	}
}

func TestABackupWhileTheLogIsWrittenIsAPrefixWithAllThatWasAcknowledged(t *testing.T) {
	w := newWorld(t, Options{})
	store, err := eventstore.Open(t.Context(), w.log, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := w.log
	w.log = nil // the store closes it
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if _, err := store.Append(t.Context(), thing()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var files []string
	var acknowledged []eventstore.Position
	dir := t.TempDir()
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for store.Position() < eventstore.Position(i+1)*400 {
			if _, err := store.Append(t.Context(), thing()); err != nil {
				t.Fatal(err)
			}
		}
		files = append(files, filepath.Join(dir, fmt.Sprint(i)))
		acknowledged = append(acknowledged, store.Position())
		if _, err := Backup(t.Context(), files[i], "a test", []*Log{reader}, quiet); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	clients.Wait()
	if err := errors.Join(reader.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	w.open()
	whole := w.all()
	if log.head.position != eventstore.Position(len(whole)) {
		t.Fatalf("%d events of %d", len(whole), log.head.position)
	}
	for i, file := range files {
		got := restored(t, file, Options{}).all()
		if len(got) < int(acknowledged[i]) {
			t.Fatalf("backup %d ends at %d, %d were acknowledged before it began", i, len(got), acknowledged[i])
		}
		if diff := cmp.Diff(whole[:len(got)], got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestABackupDoesNotOverwriteAndLeavesNothingWhenItFails(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	before := w.read(file)
	for _, path := range []string{file, filepath.Dir(file)} {
		_, err := Backup(t.Context(), path, "a test", []*Log{w.log}, quiet)
		if why, ok := errors.AsType[*BackupError](err); !ok || !strings.Contains(why.Error(), "choose another file") {
			t.Fatalf("it says %v", err)
		}
	}
	if !bytes.Equal(before, w.read(file)) {
		t.Fatal("it was overwritten")
	}
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	_, err := Backup(ctx, filepath.Join(dir, "b"), "a test", []*Log{w.log}, func(string, int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("it says %v", err)
	}
	w.sql("UPDATE events SET data = '{}' WHERE position = 2")
	_, err = Backup(t.Context(), filepath.Join(dir, "b"), "a test", []*Log{w.log}, quiet)
	if damage, ok := errors.AsType[*eventstore.DamageError](err); !ok || damage.Position != 2 {
		t.Fatalf("a damaged log: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Fatalf("it left %v, %v", left, err)
	}
}

func TestWhatAKilledBackupHasLeftIsReplaced(t *testing.T) {
	w := mixed(t, Options{})
	file := filepath.Join(t.TempDir(), "backup.tar")
	w.write(file+".partial", bytes.Repeat([]byte("left"), 10_000))
	w.write(file+".partial.test.db", []byte("left"))
	if _, err := Restore(t.Context(), file+".partial", t.TempDir(), quiet); err == nil {
		t.Fatal("half a backup was restored")
	}
	if _, err := Backup(t.Context(), file, "a test", []*Log{w.log}, quiet); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Fatalf("beside the backup there is %v, %v", left, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	restored(t, file, Options{})
}
