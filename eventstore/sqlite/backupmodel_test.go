package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

// TestAnyChainOfBackupsAndRestoresKeepsTheHistory draws histories of appending,
// backing up and restoring, each restored log going on in its own way, and holds every
// log against a plain list of what it should hold and under which names.
func TestAnyChainOfBackupsAndRestoresKeepsTheHistory(t *testing.T) {
	type line struct { // a log and what it should be
		world   *world
		events  []eventstore.Event
		lineage eventstore.Lineage
	}
	for seed := range uint64(10) { // each costs some fifty syncs
		rnd := rand.New(rand.NewPCG(seed, 1))
		base := t.TempDir()
		first := openWorld(t, filepath.Join(base, "test.db"), Options{})
		lines := []*line{{world: first, lineage: first.log.lineage}}
		for step := range 8 {
			l := lines[rnd.IntN(len(lines))]
			if rnd.IntN(2) == 0 {
				l.world.commit(1 + rnd.IntN(4))
				l.events = l.world.all()
				continue
			}
			file, dir := filepath.Join(base, fmt.Sprint(step)), filepath.Join(base, fmt.Sprint(step, ".d"))
			if _, err := Backup(t.Context(), file, "a test", []*Log{l.world.log}, quiet); err != nil {
				t.Fatal(err)
			}
			if _, err := Restore(t.Context(), file, dir, quiet); err != nil {
				t.Fatal(err)
			}
			w := openWorld(t, filepath.Join(dir, "test.db"), Options{})
			lines = append(lines, &line{world: w, events: l.events, lineage: w.log.lineage})
			head := eventstore.Position(len(l.events))
			for p := eventstore.Position(1); p <= head; p++ {
				if w.log.lineage.At(p) != l.lineage.At(p) {
					t.Fatalf("position %d has another name after the restore", p)
				}
			}
			for _, other := range lines[:len(lines)-1] {
				if other.lineage.At(head+1) == w.log.lineage.At(head+1) {
					t.Fatal("what comes next has the name of another log")
				}
			}
		}
		for _, l := range lines {
			if diff := cmp.Diff(l.events, l.world.all()); diff != "" {
				t.Fatal(diff)
			}
			if _, err := l.world.log.Verify(t.Context(), noProgress); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAnyChangeOfAViewIsFound changes one row of a view after the other behind the
// log's back, and has it found and named.
func TestAnyChangeOfAViewIsFound(t *testing.T) {
	w := newWorld(t, Options{Views: []eventstore.View{&colours{"red"}}})
	w.many(60)
	for i := 3; i < 60; i += 5 {
		w.sell(i)
	}
	for id := 1; id <= 60; id += 2 {
		there := id < 3 || id%5 != 3
		change := "INSERT INTO colours VALUES (%d, 'red', 0)"
		back := "DELETE FROM colours WHERE id = %d"
		if there {
			column := []string{"colour = colour || ' '", "made_at = made_at - 1"}[id/2%2]
			change = "UPDATE colours SET " + column + " WHERE id = %d"
			back = "UPDATE colours SET colour = 'red', made_at = (SELECT time FROM events WHERE position = %[1]d) WHERE id = %[1]d"
		}
		w.sql(fmt.Sprintf(change, id))
		_, err := w.log.VerifyViews(t.Context(), quiet)
		if damage, ok := errors.AsType[*eventstore.DamageError](err); !ok || !strings.Contains(damage.Reason, fmt.Sprintf("row %d of table colours", id)) {
			t.Fatalf("row %d was changed, it says %v", id, err)
		}
		w.sql(fmt.Sprintf(back, id))
		if _, err := w.log.VerifyViews(t.Context(), quiet); err != nil {
			t.Fatalf("put back: %v", err)
		}
	}
}

// TestARestoreThatStopsAtAnyStepIsRefusedUntilItWasRunAgain walks through a restore
// step by step, and looks at the folder as a crash after that step would leave it.
func TestARestoreThatStopsAtAnyStepIsRefusedUntilItWasRunAgain(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	want := w.all()
	steps := 0
	for stop := 0; ; stop++ {
		base := t.TempDir()
		dir, seen := filepath.Join(base, "data"), 0
		ctx, cancel := context.WithCancel(t.Context())
		var at string
		_, err := Restore(ctx, file, dir, func(what string, _, _ int64) {
			if seen == stop { // the folder as it is at this moment
				at = what
				if _, err := os.Stat(dir); err == nil {
					copyFolder(t, dir, filepath.Join(base, "crashed"))
				}
			}
			seen++
		})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if stop >= seen {
			break
		}
		steps++
		crashed := filepath.Join(base, "crashed")
		if _, err := os.Stat(crashed); err == nil {
			if _, err := Open(t.Context(), filepath.Join(crashed, "test.db"), Options{}); !isUnfinished(err) {
				t.Fatalf("after %q a log is opened: %v", at, err)
			}
		}
		if _, err := Restore(t.Context(), file, crashed, quiet); err != nil {
			t.Fatalf("after %q, again: %v", at, err)
		}
		if diff := cmp.Diff(want, openWorld(t, filepath.Join(crashed, "test.db"), Options{}).all()); diff != "" {
			t.Fatalf("after %q: %s", at, diff)
		}
	}
	if steps < 3 {
		t.Fatalf("only %d steps were met", steps)
	}
}

// isUnfinished says whether a log was refused because of an unfinished restore.
func isUnfinished(err error) bool {
	_, ok := errors.AsType[*UnfinishedError](err)
	return ok
}

// copyFolder copies a folder as it is.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestARestoreIsCalledOffAndLeavesNothing(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	dir := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Restore(ctx, file, dir, func(what string, _, _ int64) {
		if strings.HasPrefix(what, "restoring") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("it says %v", err)
	}
	onlyLock(t, dir)
	if _, err := Restore(t.Context(), file, dir, quiet); err != nil {
		t.Fatalf("afterwards: %v", err)
	}
}

func TestAnInterruptedRestoreTouchesNoOtherLog(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"other.db": "precious", "test.db": "half", "test.heads": "half",
	} {
		w.write(filepath.Join(dir, name), []byte(content))
	}
	mark, err := json.Marshal(Manifest{Logs: []BackedLog{{Name: "test"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(dir, unfinishedName), mark)
	if _, err := Restore(t.Context(), file, dir, quiet); err != nil {
		t.Fatal(err)
	}
	if string(w.read(filepath.Join(dir, "other.db"))) != "precious" {
		t.Fatal("a log that the restore did not make was touched")
	}
	w.write(filepath.Join(dir, unfinishedName), []byte("garbage"))
	if _, err := Restore(t.Context(), file, dir, quiet); err == nil || !strings.Contains(err.Error(), "delete "+dir) {
		t.Fatalf("a mark that can't be read: %v", err)
	}
}

func TestTwoBackupsToOneFileDoNotMix(t *testing.T) {
	w := mixed(t, Options{})
	file := filepath.Join(t.TempDir(), "b")
	first := flock.New(file + ".partial")
	if locked, err := first.TryLock(); err != nil || !locked {
		t.Fatal(locked, err)
	}
	_, err := Backup(t.Context(), file, "a test", []*Log{w.log}, quiet)
	if why, ok := errors.AsType[*BackupError](err); !ok || !strings.Contains(why.Error(), "being written by another backup") {
		t.Fatalf("it says %v", err)
	}
	if _, err := os.Stat(file + ".partial"); err != nil {
		t.Fatal("the second one took away the file of the first")
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), file, "a test", []*Log{w.log}, quiet); err != nil {
		t.Fatal(err)
	}
}

func TestABackupTakesAllOutcomesHoweverManyPagesTheyFill(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(1)
	const n = copyPage + 700
	for first := 0; first < n; first += 900 {
		var batch []eventstore.Write
		for i := first; i < min(first+900, n); i++ {
			batch = append(batch, eventstore.Write{Key: &eventstore.Key{
				Hash: [16]byte{1, byte(i), byte(i >> 8)}, Outcome: fmt.Append(nil, "outcome ", i),
			}})
		}
		if _, err := w.log.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	r := restored(t, w.backup(), Options{})
	for i := range n {
		o, found, err := r.log.Outcome(t.Context(), [16]byte{1, byte(i), byte(i >> 8)})
		if err != nil || !found || string(o.Data) != fmt.Sprint("outcome ", i) {
			t.Fatalf("outcome %d: %q, %v, %v", i, o.Data, found, err)
		}
	}
}

func TestSeveralLogsAreOneBackup(t *testing.T) {
	dir := t.TempDir()
	var logs []*Log
	for i, name := range []string{"friend", "user"} {
		w := openWorld(t, filepath.Join(dir, name+".db"), Options{})
		w.commit(i + 3)
		logs = append(logs, w.log)
	}
	file, to := filepath.Join(dir, "b"), filepath.Join(dir, "to")
	m, err := Backup(t.Context(), file, "a test", logs, quiet)
	if err != nil || len(m.Logs) != 2 || m.Logs[0].Name != "friend" || m.Logs[1].Position != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	if again, err := Restore(t.Context(), file, to, quiet); err != nil || cmp.Diff(m, again) != "" {
		t.Fatalf("%+v, %v", again, err)
	}
	for i, name := range []string{"friend", "user"} {
		if n := openWorld(t, filepath.Join(to, name+".db"), Options{}).count(); n != i+3 {
			t.Fatalf("%s has %d events", name, n)
		}
	}
	// One of the two is there already: neither is touched.
	one := t.TempDir()
	if err := os.WriteFile(filepath.Join(one, "user.db"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), file, one, quiet); err == nil {
		t.Fatal("it was overwritten")
	}
	if _, err := os.Stat(filepath.Join(one, "friend.db")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("half of the backup was restored")
	}
}

// BenchmarkBackup measures a backup, with its checks, in events a second, and a
// restore of it.
func BenchmarkBackup(b *testing.B) {
	path := filepath.Join(b.TempDir(), "test.db")
	log, err := Open(b.Context(), path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	const events = 100_000
	for range events / 1000 {
		batch := make([]eventstore.Write, 1000)
		for i := range batch {
			batch[i] = thing()
		}
		if _, err := log.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		dir := b.TempDir()
		if _, err := Backup(b.Context(), filepath.Join(dir, "b"), "a test", []*Log{log}, quiet); err != nil {
			b.Fatal(err)
		}
		if _, err := Restore(b.Context(), filepath.Join(dir, "b"), filepath.Join(dir, "to"), quiet); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
