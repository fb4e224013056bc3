package keyring

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ensemble/user"
)

// backUp returns a backup of the keys in a folder, as a file.
func backUp(t *testing.T, dir string) (path string, c Count) {
	t.Helper()
	var b bytes.Buffer
	c, err := Backup(t.Context(), dir, &b)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, c
}

// TestABackupOpensWhatTheKeysOpened: taken while keys are made and destroyed.
func TestABackupOpensWhatTheKeysOpened(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	sealed := map[int64][]byte{}
	for range 500 {
		id := newKey(t, k)
		sealed[id] = seal(t, k, id, "Ada")
	}
	if err := k.Destroy(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		for id := int64(6); ctx.Err() == nil && id < 400; id++ {
			if _, err := k.New(context.Background()); err != nil {
				t.Error(err)
			}
			if err := k.Destroy(context.Background(), id); err != nil {
				t.Error(err)
			}
		}
	})
	path, c := backUp(t, dir)
	stop()
	busy.Wait()
	if c.Keys+c.Destroyed < 500 || c.Destroyed == 0 {
		t.Fatalf("%+v", c)
	}
	restored := filepath.Join(t.TempDir(), "new", "keys")
	if again, err := Restore(t.Context(), path, restored); err != nil || again != c {
		t.Fatalf("restored %+v of %+v, %v", again, c, err)
	}
	old := open(t, restored)
	for id, text := range sealed {
		got, err := old.Open(id, text)
		if id == 5 && !errors.Is(err, user.ErrKeyDestroyed) {
			t.Errorf("a key that was destroyed before: %v", err)
		}
		if id >= 400 && (err != nil || string(got) != "Ada") {
			t.Errorf("key %d: %q, %v", id, got, err)
		}
		if err != nil && !errors.Is(err, user.ErrKeyDestroyed) {
			t.Errorf("key %d: %v", id, err)
		}
	}
	if id := newKey(t, old); sealed[id] != nil {
		t.Errorf("key %d was given again", id)
	}
}

func TestNothingIsOverwrittenByARestore(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	text := seal(t, k, newKey(t, k), "Ada")
	path, _ := backUp(t, dir)
	if _, err := Restore(t.Context(), path, dir); err == nil || !strings.Contains(err.Error(), "open in another process") {
		t.Fatalf("while it is open: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"", "master.key"} { // also when only one of the two is left
		if gone != "" {
			remove(t, dir, gone)
		}
		if _, err := Restore(t.Context(), path, dir); err == nil || !strings.Contains(err.Error(), "nothing is overwritten") {
			t.Fatalf("with keys there: %v", err)
		}
	}
	remove(t, dir, "keys")
	if _, err := Restore(t.Context(), path, dir); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, dir).Open(1, text); err != nil || string(got) != "Ada" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestABackupThatIsNotWholeIsRefused, wherever it was cut or changed, and leaves no
// keys behind.
func TestABackupThatIsNotWholeIsRefused(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	if err := k.Destroy(t.Context(), newKey(t, k)); err != nil {
		t.Fatal(err)
	}
	path, _ := backUp(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "keys")
	refuse := func(what string, at int, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Restore(t.Context(), path, target)
		if why, ok := errors.AsType[*Error](err); !ok || why.Hint == "" {
			t.Errorf("%s at %d: %v", what, at, err)
		}
		files, err := os.ReadDir(target)
		if err != nil || len(files) != 1 || files[0].Name() != "lock" {
			t.Fatalf("%s at %d left %v, %v", what, at, files, err)
		}
	}
	for at := 0; at < len(whole); at += 37 {
		refuse("cut", at, whole[:at])
		b := bytes.Clone(whole)
		b[at] ^= 1
		refuse("changed", at, b)
	}
	refuse("another slot", 0, append(bytes.Clone(whole[:len(whole)-32]), whole[len(whole)-96:]...))
}

func TestDamagedOrMissingKeysAreNotBackedUp(t *testing.T) {
	dir := t.TempDir()
	if _, err := Backup(t.Context(), dir, &bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("no keys: %v", err)
	}
	k := open(t, dir)
	newKey(t, k)
	b, err := os.ReadFile(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	b[3*slotLen+20] ^= 1
	write(t, dir, "keys", b)
	_, err = Backup(t.Context(), dir, &bytes.Buffer{})
	if why, ok := errors.AsType[*Error](err); !ok || !strings.Contains(why.Reason, "key 3") {
		t.Fatalf("damaged: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	dir := f.TempDir()
	k, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	defer k.Close()
	if err := k.extend(); err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := Backup(f.Context(), dir, &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(backupMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "backup")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, secret, err := unpack(t.Context(), path, &out); err == nil && (len(secret) != masterLen || out.Len()%slotLen != 0) {
			t.Fatalf("%d bytes of slots, a master key of %d", out.Len(), len(secret))
		}
	})
}
