package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"ensemble/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a keyring that is closed with the test.
func open(t *testing.T, dir string) *Keyring {
	t.Helper()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// refused opens a keyring and returns why it can't be opened.
func refused(t *testing.T, dir string) *Error {
	t.Helper()
	k, err := Open(dir)
	if err == nil {
		_ = k.Close()
		t.Fatal("it was opened")
	}
	why, ok := errors.AsType[*Error](err)
	if !ok || why.Hint == "" {
		t.Fatalf("it says %v, without a way out", err)
	}
	return why
}

func newKey(t *testing.T, k *Keyring) int64 {
	t.Helper()
	id, err := k.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func seal(t *testing.T, k *Keyring, id int64, text string) []byte {
	t.Helper()
	sealed, err := k.Seal(id, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatIsSealedIsOpenedWithTheSameKeyAlone(t *testing.T) {
	k := open(t, t.TempDir())
	a, b := newKey(t, k), newKey(t, k)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		sealed, err := k.Seal(a, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(a, sealed); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%q came back as %q, %v", text, got, err)
		}
		if _, err := k.Open(b, sealed); err == nil {
			t.Fatal("another key opens it")
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1
		if _, err := k.Open(a, sealed); err == nil {
			t.Fatal("a changed text was opened")
		}
	})
}

func TestTheSameTextIsNeverSealedTheSame(t *testing.T) {
	k := open(t, t.TempDir())
	id := newKey(t, k)
	if bytes.Equal(seal(t, k, id, "Ada"), seal(t, k, id, "Ada")) {
		t.Fatal("two seals are equal")
	}
	if bytes.Contains(seal(t, k, id, "Ada Lovelace"), []byte("Ada")) {
		t.Fatal("the text can be read")
	}
}

func TestKeysAreThereAfterARestartAndNoIDIsGivenTwice(t *testing.T) {
	dir := t.TempDir()
	given := map[int64]bool{}
	var sealed [][]byte
	var ids []int64
	for range 5 {
		k := open(t, dir)
		for range 70 { // more than the first block
			id := newKey(t, k)
			if given[id] {
				t.Fatalf("key %d was given twice", id)
			}
			given[id] = true
			ids, sealed = append(ids, id), append(sealed, seal(t, k, id, fmt.Sprint("text ", id)))
		}
		for i, id := range ids {
			if got, err := k.Open(id, sealed[i]); err != nil || string(got) != fmt.Sprint("text ", id) {
				t.Fatalf("key %d: %q, %v", id, got, err)
			}
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADestroyedKeyOpensNothingEverAgain(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	id, other := newKey(t, k), newKey(t, k)
	text, otherText := seal(t, k, id, "Ada"), seal(t, k, other, "Eve")
	for range 2 { // twice is no error
		if err := k.Destroy(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := k.Open(id, text); !errors.Is(err, user.ErrKeyDestroyed) {
			t.Fatalf("open: %v", err)
		}
		if _, err := k.Seal(id, nil); !errors.Is(err, user.ErrKeyDestroyed) {
			t.Fatalf("seal: %v", err)
		}
		if got, err := k.Open(other, otherText); err != nil || string(got) != "Eve" {
			t.Fatalf("another key: %q, %v", got, err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		k = open(t, dir)
	}
	file, err := os.ReadFile(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if slot := file[id*slotLen : (id+1)*slotLen]; !bytes.Equal(slot, make([]byte, slotLen)) {
		t.Fatal("the slot still holds something")
	}
}

func TestManyKeysAreDestroyedAtOnceAndListed(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	var last int64
	for range 10_000 { // more than a piece of the file
		last = newKey(t, k)
	}
	if err := k.Destroy(t.Context(), 7, last, 1, 4097, 7); err != nil {
		t.Fatal(err)
	}
	if err := k.Destroy(t.Context(), 2, 1_000_000); err == nil {
		t.Fatal("a key that is not there was destroyed")
	}
	if err := k.Destroy(t.Context()); err != nil {
		t.Fatalf("none: %v", err)
	}
	for range 2 {
		got, err := k.Destroyed(t.Context())
		if want := []int64{1, 7, 4097, last}; err != nil || !slices.Equal(got, want) {
			t.Fatalf("destroyed are %v, not %v, %v", got, want, err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		k = open(t, dir)
	}
}

// TestADestroyedKeyDoesNotComeBackIntoTheMemory: somebody reads it at that moment.
func TestADestroyedKeyDoesNotComeBackIntoTheMemory(t *testing.T) {
	k := open(t, t.TempDir())
	for range 200 {
		id := newKey(t, k)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 10 {
					if _, err := k.Seal(id, nil); err != nil && !errors.Is(err, user.ErrKeyDestroyed) {
						t.Error(err)
					}
				}
			})
		}
		if err := k.Destroy(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		group.Wait()
		if _, err := k.Seal(id, nil); !errors.Is(err, user.ErrKeyDestroyed) {
			t.Fatalf("key %d seals: %v", id, err)
		}
	}
}

func TestKeysThatAreNotThere(t *testing.T) {
	k := open(t, t.TempDir())
	newKey(t, k)
	for _, id := range []int64{-1, 0, 1_000_000} {
		if _, err := k.Seal(id, nil); err == nil {
			t.Errorf("key %d seals", id)
		}
		if err := k.Destroy(t.Context(), id); err == nil {
			t.Errorf("key %d was destroyed", id)
		}
	}
	if _, err := k.Open(1, []byte("short")); err == nil {
		t.Error("a text without a nonce was opened")
	}
}

func TestAFolderIsForOneProcess(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	if why := refused(t, dir); !strings.Contains(why.Error(), "another process") {
		t.Fatalf("it says %v", why)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestFilesThatAreLostOrForeignAreRefused(t *testing.T) {
	read := func(t *testing.T, dir, name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		says   string
	}{
		"the master key is missing": {func(t *testing.T, dir string) { remove(t, dir, "master.key") }, "there are keys wrapped by it"},
		"the keys are missing":      {func(t *testing.T, dir string) { remove(t, dir, "keys") }, "no such file"},
		"the master key is another": {func(t *testing.T, dir string) { write(t, dir, "master.key", []byte(strings.Repeat("0f", 32))) }, "another master key"},
		"the master key is garbage": {func(t *testing.T, dir string) { write(t, dir, "master.key", []byte("garbage")) }, "64 hexadecimal digits"},
		"the keys are garbage":      {func(t *testing.T, dir string) { write(t, dir, "keys", []byte("garbage")) }, "not a file of keys"},
		"the head slot is damaged": {func(t *testing.T, dir string) {
			b := read(t, dir, "keys")
			b[20] ^= 1
			write(t, dir, "keys", b)
		}, "another master key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			k := open(t, dir)
			newKey(t, k)
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			if why := refused(t, dir); !strings.Contains(why.Error(), c.says) && runtime.GOOS != "windows" {
				t.Fatalf("it says %v", why)
			}
		})
	}
}

func TestADamagedSlotIsFoundWhenItIsUsed(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	id := newKey(t, k)
	sealed := seal(t, k, id, "Ada")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "keys")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := id * slotLen; at < (id+1)*slotLen; at += 7 {
		b := bytes.Clone(whole)
		b[at] ^= 8
		write(t, dir, "keys", b)
		k := open(t, dir)
		_, err := k.Open(id, sealed)
		if why, ok := errors.AsType[*Error](err); !ok || why.Hint == "" {
			t.Fatalf("byte %d: %v", at, err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASlotTornByACrashWasNeverUsed(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	last := newKey(t, k)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "keys", append(b, "half a slot"...))
	k = open(t, dir)
	for range 3 {
		id := newKey(t, k)
		if id <= last {
			t.Fatalf("key %d was given again", id)
		}
		if got, err := k.Open(id, seal(t, k, id, "x")); err != nil || string(got) != "x" {
			t.Fatalf("key %d: %q, %v", id, got, err)
		}
	}
}

func TestManyAtOnceGetKeysOfTheirOwn(t *testing.T) {
	k := open(t, t.TempDir())
	var mu sync.Mutex
	given := map[int64]bool{}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 300 {
				id, err := k.New(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if sealed, err := k.Seal(id, []byte("x")); err != nil || len(sealed) == 0 {
					t.Errorf("key %d: %v", id, err)
				}
				mu.Lock()
				if given[id] {
					t.Errorf("key %d was given twice", id)
				}
				given[id] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	dir := filepath.Join(t.TempDir(), "keys")
	newKey(t, open(t, dir))
	for name, want := range map[string]os.FileMode{"": 0o700, "master.key": 0o600, "keys": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, %v", name, info.Mode(), err)
		}
	}
}

func TestAContextThatHasEndedGetsNoKey(t *testing.T) {
	k := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.New(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("new: %v", err)
	}
	if err := k.Destroy(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("destroy: %v", err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzCheckFile(f *testing.F) {
	master, err := newAEAD(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	head, err := headSlot(master)
	if err != nil {
		f.Fatal(err)
	}
	slot, err := newSlot(master, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(head[:], slot[:]...))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		keys, err := checkFile(file, path, master)
		if err != nil || keys < 1 {
			return
		}
		var one [slotLen]byte
		copy(one[:], data[slotLen:])
		if secret, err := openSlot(master, 1, &one); err == nil && len(secret) != 32 {
			t.Fatalf("a key of %d bytes", len(secret))
		}
	})
}

func Example() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	keys, err := Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	id, _ := keys.New(context.Background())
	sealed, _ := keys.Seal(id, []byte("Ada Lovelace"))
	name, _ := keys.Open(id, sealed)
	fmt.Println(string(name))
	_ = keys.Destroy(context.Background(), id)
	_, err = keys.Open(id, sealed)
	fmt.Println(err)
	// Output:
	// Ada Lovelace
	// key 1: the key was destroyed
}
