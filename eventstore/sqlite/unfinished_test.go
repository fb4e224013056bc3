package sqlite

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ensemble/eventstore"
)

func TestEveryRefusalNamesAWayOut(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{&UnfinishedError{Dir: "d"}, "a restore into d was not finished; run 'ensemble events restore' into it again, or choose another folder"},
		{&OccupiedError{Path: "d/user.db"}, "d/user.db is there already, and nothing is overwritten; restore into another folder, or move this one away"},
		{&BackupError{"f", "is damaged", "Fetch it again"}, "f is damaged. Fetch it again"},
	} {
		if c.err.Error() != c.says {
			t.Errorf("it says %q", c.err)
		}
	}
}

func TestRestoreIntoAFolderThatCanNotBeMade(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	inTheWay := filepath.Join(t.TempDir(), "file")
	w.write(inTheWay, []byte("precious"))
	_, err := Restore(t.Context(), file, filepath.Join(inTheWay, "data"), quiet)
	if err == nil || !strings.Contains(err.Error(), "choose another with --data") {
		t.Fatalf("it says %v", err)
	}
	if _, err := Restore(t.Context(), filepath.Join(t.TempDir(), "none"), t.TempDir(), quiet); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a backup that is not there: %v", err)
	}
	if string(w.read(inTheWay)) != "precious" {
		t.Fatal("it was overwritten")
	}
}

func TestTwoRestoresIntoOneFolder(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	dir := filepath.Join(t.TempDir(), "data")
	var group sync.WaitGroup
	results := make([]error, 6)
	for i := range results {
		group.Go(func() { _, results[i] = Restore(t.Context(), file, dir, quiet) })
	}
	group.Wait()
	done := 0
	for _, err := range results {
		_, locked := errors.AsType[*LockedError](err)
		_, occupied := errors.AsType[*OccupiedError](err)
		switch {
		case err == nil:
			done++
		case !locked && !occupied:
			t.Errorf("it says %v", err)
		}
	}
	if done != 1 {
		t.Fatalf("%d of them were done", done)
	}
	if n := openWorld(t, filepath.Join(dir, "test.db"), Options{}).count(); n != 7 {
		t.Fatalf("%d events", n)
	}
}

func TestAnUnfinishedRestoreKeepsEveryWayOfOpeningOut(t *testing.T) {
	w := mixed(t, Options{})
	w.close()
	mark := filepath.Join(filepath.Dir(w.path), unfinishedName)
	w.write(mark, []byte("{}"))
	for name, opts := range map[string]Options{"writing": {}, "reading": {ReadOnly: true}} {
		log, err := Open(t.Context(), w.path, opts)
		if !isUnfinished(err) {
			t.Fatalf("for %s: %v, %v", name, log, err)
		}
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	w.open()
	if n := w.count(); n != 7 {
		t.Fatalf("%d events", n)
	}
}

// TestASealIsOfEveryByte: what a seal is made of, from outside.
func TestASealIsOfEveryByte(t *testing.T) {
	var b bytes.Buffer
	a := newArchive(&b)
	if err := errors.Join(a.manifest(Manifest{Format: 1}), a.seal()); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	sealed := func(content []byte) error {
		return checkSeal("x", bytes.NewReader(content), func(_, _ int64) {})
	}
	if err := sealed(whole); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		whole[i]++
		if sealed(whole) == nil {
			t.Fatalf("byte %d was changed, and the seal fits", i)
		}
		whole[i]--
	}
	for i := range whole {
		if sealed(whole[:i]) == nil {
			t.Fatalf("%d bytes of %d, and the seal fits", i, len(whole))
		}
	}
	r := tar.NewReader(bytes.NewReader(whole))
	for _, want := range []string{manifestName, sealName} {
		h, err := r.Next()
		if err != nil || h.Name != want || h.Mode != 0o600 || h.ModTime.Unix() != 0 {
			t.Fatalf("%+v, %v", h, err)
		}
	}
}

// brokenView can't read its own log.
type brokenView struct{ colours }

// Rows implements eventstore.View.
func (*brokenView) Rows(eventstore.Event) ([]eventstore.Row, error) {
	return nil, errors.New("what is this")
}

func TestAViewThatCanNotReadItsLogIsNotVerified(t *testing.T) {
	w := newWorld(t, Options{Views: []eventstore.View{&colours{"red"}}})
	w.commit(3)
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true, Views: []eventstore.View{&brokenView{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.VerifyViews(t.Context(), quiet); err == nil || !strings.Contains(err.Error(), "view of event 1: what is this") {
		t.Fatalf("it says %v", err)
	}
}
