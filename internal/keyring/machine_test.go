package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"ensemble/user"
)

// ring is a keyring to which anything happens, beside what it should be: who sealed
// what, and which keys are destroyed.
type ring struct {
	t         *rapid.T
	base, dir string
	n         int
	keys      *Keyring
	texts     map[int64][][2]string // by key: a text and what it was sealed into
	destroyed map[int64]bool
	highest   int64
}

func (r *ring) open() {
	keys, err := Open(r.dir)
	if err != nil {
		r.t.Fatalf("open: %v", err)
	}
	r.keys = keys
}

func (r *ring) close() {
	if err := r.keys.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// fresh returns a path that was not used before.
func (r *ring) fresh() string {
	r.n++
	return filepath.Join(r.base, fmt.Sprint(r.n))
}

// some returns one of the keys there are, or 0.
func (r *ring) some() int64 {
	if r.highest == 0 {
		return 0
	}
	ids := make([]int64, 0, len(r.texts))
	for id := range r.texts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return rapid.SampledFrom(ids).Draw(r.t, "key")
}

// make asks for new keys and seals a text with each.
func (r *ring) make(*rapid.T) {
	for range rapid.IntRange(1, 90).Draw(r.t, "keys") { // sometimes more than a block
		id, err := r.keys.New(r.t.Context())
		if err != nil || id <= r.highest {
			r.t.Fatalf("key %d comes after %d, %v", id, r.highest, err)
		}
		r.highest = id
		r.texts[id] = nil
		r.sealOne(id)
	}
}

func (r *ring) sealOne(id int64) {
	text := fmt.Sprint("text ", len(r.texts[id]), " of ", id)
	sealed, err := r.keys.Seal(id, []byte(text))
	if r.destroyed[id] {
		if !errors.Is(err, user.ErrKeyDestroyed) {
			r.t.Fatalf("destroyed key %d seals: %v", id, err)
		}
		return
	}
	if err != nil || bytes.Contains(sealed, []byte(text)) {
		r.t.Fatalf("key %d seals %q as %q, %v", id, text, sealed, err)
	}
	r.texts[id] = append(r.texts[id], [2]string{text, string(sealed)})
}

func (r *ring) seal(*rapid.T) {
	if id := r.some(); id > 0 {
		r.sealOne(id)
	}
}

func (r *ring) destroy(*rapid.T) {
	var ids []int64
	for range rapid.IntRange(0, 3).Draw(r.t, "how many") {
		if id := r.some(); id > 0 {
			ids = append(ids, id)
			r.destroyed[id] = true
		}
	}
	if err := r.keys.Destroy(r.t.Context(), ids...); err != nil {
		r.t.Fatal(err)
	}
}

// destroyNone asks for a key that is not there beside some that are: none is destroyed.
func (r *ring) destroyNone(*rapid.T) {
	id := r.some()
	if id == 0 {
		return
	}
	if err := r.keys.Destroy(r.t.Context(), id, r.highest+1_000_000); err == nil {
		r.t.Fatal("a key that is not there was destroyed")
	}
}

func (r *ring) reopen(*rapid.T) { r.close(); r.open() }

// crash goes on with a copy of the files, taken while the keyring was open; half a
// slot may have been on its way.
func (r *ring) crash(*rapid.T) {
	to := r.fresh()
	if err := os.CopyFS(to, os.DirFS(r.dir)); err != nil {
		r.t.Fatal(err)
	}
	torn := rapid.IntRange(0, slotLen-1).Draw(r.t, "torn")
	file, err := os.OpenFile(filepath.Join(to, "keys"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = file.WriteString(strings.Repeat("x", torn))
	if err = errors.Join(err, file.Close()); err != nil {
		r.t.Fatal(err)
	}
	r.close()
	r.dir = to
	r.open()
}

// restore goes on in a folder made from a backup.
func (r *ring) restore(*rapid.T) {
	file, err := os.Create(r.fresh())
	if err != nil {
		r.t.Fatal(err)
	}
	count, err := Backup(r.t.Context(), r.dir, file)
	if err = errors.Join(err, file.Close()); err != nil {
		r.t.Fatalf("back up: %v", err)
	}
	to := r.fresh()
	again, err := Restore(r.t.Context(), file.Name(), to)
	if err != nil || again != count || count.Destroyed < int64(len(r.destroyed)) {
		r.t.Fatalf("backed up %+v, restored %+v, %v; %d are destroyed", count, again, err, len(r.destroyed))
	}
	r.close()
	r.dir = to
	r.open()
}

// check holds the keyring, and another one opened beside it for reading, against what
// it should be.
func (r *ring) check(*rapid.T) {
	reader, err := OpenToRead(r.dir)
	if err != nil {
		r.t.Fatalf("open to read: %v", err)
	}
	defer reader.Close()
	for _, keys := range []*Keyring{r.keys, reader} {
		for id, texts := range r.texts {
			for _, text := range texts {
				got, err := keys.Open(id, []byte(text[1]))
				if r.destroyed[id] != errors.Is(err, user.ErrKeyDestroyed) || !r.destroyed[id] && string(got) != text[0] {
					r.t.Fatalf("key %d, destroyed %v, opens %q as %q, %v", id, r.destroyed[id], text[0], got, err)
				}
			}
		}
		list, err := keys.Destroyed(r.t.Context())
		if err != nil || !slices.IsSorted(list) || len(list) != len(r.destroyed) {
			r.t.Fatalf("destroyed are %v, %v, and should be %v", list, err, r.destroyed)
		}
		for _, id := range list {
			if !r.destroyed[id] {
				r.t.Fatalf("key %d is listed as destroyed", id)
			}
		}
	}
}

// TestWhateverHappensToAKeyringItOpensWhatItSealed, and what was destroyed stays so,
// over restarts, crashes and restored backups.
func TestWhateverHappensToAKeyringItOpensWhatItSealed(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		r := &ring{
			t: rt, base: dir, dir: filepath.Join(dir, "0"), texts: map[int64][][2]string{}, destroyed: map[int64]bool{},
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			rt.Fatal(err)
		}
		r.open()
		defer func() { _ = r.keys.Close() }()
		actions := []func(*rapid.T){r.make, r.make, r.seal, r.destroy, r.destroyNone, r.reopen, r.crash, r.restore}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			rapid.SampledFrom(actions).Draw(rt, "action")(rt)
			r.check(rt)
		}
	})
}

// TestKeysAreMadeSealedAndDestroyedAtOnce: many work on their own keys, and each key is
// open until its owner has destroyed it, and never after.
func TestKeysAreMadeSealedAndDestroyedAtOnce(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	var group sync.WaitGroup
	var mu sync.Mutex
	gone := map[int64]bool{}
	for w := range 8 {
		group.Go(func() {
			for round := range 60 {
				id, err := k.New(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				text := fmt.Sprint(w, " ", round)
				sealed, err := k.Seal(id, []byte(text))
				if err != nil {
					t.Errorf("seal: %v", err)
					return
				}
				if got, err := k.Open(id, sealed); err != nil || string(got) != text {
					t.Errorf("key %d opens %q, %v", id, got, err)
				}
				if round%3 > 0 {
					continue
				}
				if err := k.Destroy(context.Background(), id); err != nil {
					t.Errorf("destroy: %v", err)
				}
				if got, err := k.Open(id, sealed); !errors.Is(err, user.ErrKeyDestroyed) {
					t.Errorf("key %d is destroyed and opens %q, %v", id, got, err)
				}
				mu.Lock()
				gone[id] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	list, err := k.Destroyed(t.Context())
	if err != nil || len(list) != len(gone) {
		t.Fatalf("%d are destroyed, %d are listed, %v", len(gone), len(list), err)
	}
}

// TestADamagedSlotHurtsNobodyElse: every byte of one slot, and the keys around it open
// what they sealed. The damaged one is never taken for destroyed, which would erase its
// person.
func TestADamagedSlotHurtsNobodyElse(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	var sealed [][]byte
	for range 3 {
		id := newKey(t, k)
		sealed = append(sealed, seal(t, k, id, fmt.Sprint("person ", id)))
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "keys")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range slotLen {
		for _, damage := range []byte{0x01, 0xff, whole[2*slotLen+at]} { // the last one makes the byte 0
			b := bytes.Clone(whole)
			b[2*slotLen+at] ^= damage
			if bytes.Equal(b, whole) {
				continue
			}
			write(t, dir, "keys", b)
			reader, err := OpenToRead(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []int64{1, 3} {
				if got, err := reader.Open(id, sealed[id-1]); err != nil || string(got) != fmt.Sprint("person ", id) {
					t.Fatalf("byte %d: key %d opens %q, %v", at, id, got, err)
				}
			}
			if _, err := reader.Open(2, sealed[1]); err == nil || errors.Is(err, user.ErrKeyDestroyed) {
				t.Fatalf("byte %d: the damaged key says %v", at, err)
			}
			if list, err := reader.Destroyed(t.Context()); err != nil || len(list) > 0 {
				t.Fatalf("byte %d: destroyed are %v, %v", at, list, err)
			}
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSlotsThatWereSwappedAreRefused: a key is bound to its place, so that nobody's name
// is opened with the key of somebody else.
func TestSlotsThatWereSwappedAreRefused(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	a, b := newKey(t, k), newKey(t, k)
	texts := map[int64][]byte{a: seal(t, k, a, "Ada"), b: seal(t, k, b, "Eve")}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := bytes.Clone(file[a*slotLen:(a+1)*slotLen]), bytes.Clone(file[b*slotLen:(b+1)*slotLen])
	copy(file[a*slotLen:], second)
	copy(file[b*slotLen:], first)
	write(t, dir, "keys", file)
	k = open(t, dir)
	for id, text := range texts {
		for _, other := range []int64{a, b} {
			if got, err := k.Open(other, text); err == nil {
				t.Errorf("what key %d sealed is opened as %q with key %d", id, got, other)
			}
		}
	}
}
