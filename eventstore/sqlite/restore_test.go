package sqlite

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ensemble/eventstore"
)

// refusedBackup restores what can't be restored from and returns why. The folder
// must not be made.
func refusedBackup(t *testing.T, content []byte) error {
	t.Helper()
	base := t.TempDir()
	file := filepath.Join(base, "backup.tar")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "data")
	_, err := Restore(t.Context(), file, dir, quiet)
	if err == nil {
		t.Fatal("it was restored")
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a refused restore made the folder")
	}
	why, ok := errors.AsType[*BackupError](err)
	if !ok || why.Hint == "" {
		t.Fatalf("it says %v, without a way out", err)
	}
	return err
}

func TestABackupCutShortIsRefusedWhereverItEnds(t *testing.T) {
	w := mixed(t, Options{})
	whole := w.read(w.backup())
	for n := 0; n < len(whole); n += 1 + len(whole)/60 {
		refusedBackup(t, whole[:n])
	}
	for _, n := range []int{len(whole) - 1, len(whole) - 512, len(whole) - 1024, len(whole) - 2048} {
		refusedBackup(t, whole[:n])
	}
	refusedBackup(t, append(slices.Clip(whole), 0))
}

func TestAFlippedBitInABackupIsFoundWhereverItIs(t *testing.T) {
	w := mixed(t, Options{})
	whole := w.read(w.backup())
	for n := 0; n < len(whole); n += 1 + len(whole)/100 {
		whole[n] ^= 1 << (n % 8)
		refusedBackup(t, whole)
		whole[n] ^= 1 << (n % 8)
	}
	for n := len(whole) - 2048; n < len(whole); n += 41 { // the seal itself
		whole[n] ^= 1 << (n % 8)
		refusedBackup(t, whole)
		whole[n] ^= 1 << (n % 8)
	}
}

// archive returns a sealed archive of some entries.
func archive(t *testing.T, manifest any, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	a := newArchive(&b)
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeEntry(a.tar, manifestName, text); err != nil {
		t.Fatal(err)
	}
	for _, name := range entries {
		if err := writeEntry(a.tar, name, []byte("no log at all")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.seal(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsNoBackupIsRefused(t *testing.T) {
	w := mixed(t, Options{})
	w.close()
	var foreign bytes.Buffer
	other := tar.NewWriter(&foreign)
	if err := errors.Join(writeEntry(other, "README", []byte("hello")), other.Close()); err != nil {
		t.Fatal(err)
	}
	lineage := []BackedFork{{UUID: "00", First: 1}}
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"nothing":           {nil, "is no backup of ensemble"},
		"text":              {[]byte(strings.Repeat("no backup ", 1000)), "is no backup of ensemble"},
		"a log itself":      {w.read(w.path), "is no backup of ensemble"},
		"another tar":       {foreign.Bytes(), "is no backup of ensemble"},
		"a newer format":    {archive(t, Manifest{Format: 2}), "has format 2, this program knows up to 1. Restore it with the version that made it"},
		"a path as a name":  {archive(t, Manifest{Format: 1, Logs: []BackedLog{{Name: "../x", Lineage: lineage}}}), "is no backup of ensemble"},
		"one log twice":     {archive(t, Manifest{Format: 1, Logs: []BackedLog{{Name: "a", Lineage: lineage}, {Name: "a", Lineage: lineage}}}), "is no backup"},
		"a log of no name":  {archive(t, Manifest{Format: 1, Logs: []BackedLog{{Name: "a"}}}), "is no backup of ensemble"},
		"a format below 1":  {archive(t, Manifest{}), "is no backup of ensemble"},
		"a manifest of sth": {archive(t, "hello"), "is no backup of ensemble"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := refusedBackup(t, c.content); !strings.Contains(err.Error(), c.says) {
				t.Fatalf("it says %v", err)
			}
		})
	}
}

func TestASealedBackupOfSomethingElseLeavesNothing(t *testing.T) {
	m := Manifest{Format: 1, Logs: []BackedLog{{Name: "test", Position: 3, Lineage: []BackedFork{{UUID: "00", First: 1}}}}}
	for name, content := range map[string][]byte{
		"the log is missing": archive(t, m),
		"the log is garbage": archive(t, m, "test.db"),
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			file, dir := filepath.Join(base, "backup.tar"), filepath.Join(base, "data")
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Restore(t.Context(), file, dir, quiet); err == nil {
				t.Fatal("it was restored")
			}
			onlyLock(t, dir)
		})
	}
}

// onlyLock checks that nothing is in a folder but the lock of the log.
func onlyLock(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "test.db.lock" {
		t.Fatalf("it left %v, %v", left, err)
	}
}

func TestAManifestThatSaysOtherwiseThanTheLogIsRefused(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	for name, change := range map[string]func(*BackedLog){
		"another position": func(l *BackedLog) { l.Position-- },
		"another name":     func(l *BackedLog) { l.Lineage[0].UUID = strings.Repeat("ab", 16) },
	} {
		t.Run(name, func(t *testing.T) {
			r := tar.NewReader(bytes.NewReader(w.read(file)))
			m, err := readManifest(file, r)
			if err != nil {
				t.Fatal(err)
			}
			change(&m.Logs[0])
			var b bytes.Buffer
			a := newArchive(&b)
			db := filepath.Join(t.TempDir(), "x")
			head := eventstore.Head{Position: w.log.head.position, Lineage: w.log.lineage}
			err = errors.Join(w.log.copyTo(t.Context(), db, head, noProgress), a.manifest(m), a.file("test.db", db), a.seal())
			if err != nil {
				t.Fatal(err)
			}
			forged, dir := filepath.Join(t.TempDir(), "forged"), filepath.Join(t.TempDir(), "data")
			w.write(forged, b.Bytes())
			_, err = Restore(t.Context(), forged, dir, quiet)
			if _, ok := errors.AsType[*eventstore.DamageError](err); !ok {
				t.Fatalf("it says %v", err)
			}
			onlyLock(t, dir)
		})
	}
}

func TestRestoreOverwritesNothing(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	for _, name := range []string{"test.db", "test.db-wal", "test.heads"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w.write(filepath.Join(dir, name), []byte("precious"))
			_, err := Restore(t.Context(), file, dir, quiet)
			if why, ok := errors.AsType[*OccupiedError](err); !ok || !strings.Contains(why.Error(), "nothing is overwritten") {
				t.Fatalf("it says %v", err)
			}
			if string(w.read(filepath.Join(dir, name))) != "precious" {
				t.Fatal("it was overwritten")
			}
		})
	}
	t.Run("a log that is open", func(t *testing.T) {
		before := w.all()
		_, err := Restore(t.Context(), file, filepath.Dir(w.path), quiet)
		if _, ok := errors.AsType[*LockedError](err); !ok {
			t.Fatalf("it says %v", err)
		}
		w.commit(1)
		if after := w.all(); len(after) != len(before)+1 {
			t.Fatalf("%d events became %d", len(before), len(after))
		}
	})
}

func TestAnInterruptedRestoreIsNotOpenedAndCanBeRunAgain(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	dir := t.TempDir()
	r := restore{dir: dir, manifest: Manifest{Logs: []BackedLog{{Name: "test"}}}}
	if err := errors.Join(r.take(t.Context()), r.release()); err != nil { // as far as the mark
		t.Fatal(err)
	}
	w.write(filepath.Join(dir, "test.db"), w.read(w.path)[:4000])
	for _, readOnly := range []bool{true, false} {
		_, err := Open(t.Context(), filepath.Join(dir, "test.db"), Options{ReadOnly: readOnly})
		if why, ok := errors.AsType[*UnfinishedError](err); !ok || !strings.Contains(why.Error(), "again") {
			t.Fatalf("it says %v", err)
		}
	}
	if _, err := Restore(t.Context(), file, dir, quiet); err != nil {
		t.Fatalf("again: %v", err)
	}
	if n := openWorld(t, filepath.Join(dir, "test.db"), Options{}).count(); n != len(w.all()) {
		t.Fatalf("%d events", n)
	}
}

// FuzzRestore: whatever the file holds, nothing but what was sealed is restored.
func FuzzRestore(f *testing.F) {
	f.Add([]byte("garbage"), false)
	f.Add(bytes.Repeat([]byte{0}, 4096), true)
	f.Fuzz(func(t *testing.T, content []byte, sealed bool) {
		if sealed { // so that more than the seal is tried
			var b bytes.Buffer
			a := newArchive(&b)
			if _, err := a.sum.Write(content); err != nil {
				t.Fatal(err)
			}
			tail, err := sealOf(a.sum)
			if err != nil {
				t.Fatal(err)
			}
			content = append(slices.Clip(content), tail...)
		}
		base := t.TempDir()
		file := filepath.Join(base, "b")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := Restore(t.Context(), file, filepath.Join(base, "data"), quiet); err == nil && len(m.Logs) > 0 {
			t.Fatalf("made-up content was restored: %+v", m)
		}
	})
}

func TestTheFormatOfABackup(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	r := tar.NewReader(bytes.NewReader(w.read(file)))
	var names []string
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "manifest.json test.db SHA256" {
		t.Fatalf("the entries are %s", got)
	}
	m, err := readManifest(file, tar.NewReader(bytes.NewReader(w.read(file))))
	if err != nil || m.Format != 1 || m.By != "a test" || time.Since(m.Made) > time.Hour || m.Logs[0].Position != 7 {
		t.Fatalf("%+v, %v", m, err)
	}
}
