package keyring

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ensemble/user"
)

func TestAReaderOpensNamesWhileAnotherProcessHasTheKeys(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	id := newKey(t, k)
	sealed := seal(t, k, id, "Ada")
	reader, err := OpenToRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if got, err := reader.Open(id, sealed); err != nil || string(got) != "Ada" {
		t.Fatalf("%q, %v", got, err)
	}
	var later int64
	for range 2 * firstBlock { // into a block that was made after the reader was opened
		later = newKey(t, k)
	}
	if got, err := reader.Open(later, seal(t, k, later, "Eve")); err != nil || string(got) != "Eve" {
		t.Fatalf("a key made later: %q, %v", got, err)
	}
	if err := k.Destroy(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Open(id, sealed); !errors.Is(err, user.ErrKeyDestroyed) {
		t.Fatalf("a key that was destroyed meanwhile: %v", err)
	}
}

func TestAReaderChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenToRead(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("an empty folder: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Fatalf("it left %v, %v", left, err)
	}
	k := open(t, dir)
	id := newKey(t, k)
	reader, err := OpenToRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.New(t.Context()); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("new: %v", err)
	}
	if err := reader.Destroy(t.Context(), id); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("destroy: %v", err)
	}
	seal(t, k, id, "still there")
}

func TestAReaderRefusesKeysThatAreNotTheirOwn(t *testing.T) {
	dir := t.TempDir()
	newKey(t, open(t, dir))
	for name, c := range map[string]struct{ file, content, says string }{
		"another master key":        {"master.key", strings.Repeat("0f", 32), "another master key"},
		"a garbled master":          {"master.key", "garbage", "64 hexadecimal digits"},
		"something that isn't keys": {"keys", "garbage", "not a file of keys"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, c.file)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, c.file, []byte(c.content))
			defer write(t, dir, c.file, whole)
			why, ok := errors.AsType[*Error](errOf(OpenToRead(dir)))
			if !ok || why.Hint == "" || !strings.Contains(why.Error(), c.says) {
				t.Fatalf("it says %v", why)
			}
		})
	}
}

func errOf(k *Keyring, err error) error {
	if err == nil {
		_ = k.Close()
	}
	return err
}

func TestReadersSeeAKeyWholeOrDestroyed(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	const n = 50
	var ids []int64
	var sealed [][]byte
	for range n {
		id := newKey(t, k)
		ids, sealed = append(ids, id), append(sealed, seal(t, k, id, "Ada"))
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			reader, err := OpenToRead(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer reader.Close()
			for gone := 0; gone < n; {
				gone = 0
				for i, id := range ids {
					text, err := reader.Open(id, sealed[i])
					switch {
					case errors.Is(err, user.ErrKeyDestroyed):
						gone++
					case err == nil && string(text) != "Ada":
						t.Errorf("key %d opens %q", id, text)
					}
				}
			}
		})
	}
	for _, id := range ids {
		if err := k.Destroy(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	readers.Wait()
}
