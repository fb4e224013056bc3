package keyring

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ensemble/user"
)

// TestKeysInOrderAreTheSameKeys: whatever the order they are asked for in, they open what
// the keyring has sealed, and the keyring opens what they have.
func TestKeysInOrderAreTheSameKeys(t *testing.T) {
	k, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	const n = 10_000
	ids := make([]int64, n)
	sealed := make([][]byte, n+1)
	for i := range ids {
		if ids[i], err = k.New(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sealed[ids[i]], err = k.Seal(ids[i], []byte(strconv.FormatInt(ids[i], 10))); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Destroy(t.Context(), ids[7], ids[4095], ids[4096]); err != nil {
		t.Fatal(err)
	}
	gone := []int64{ids[7], ids[4095], ids[4096]}
	rnd := rand.New(rand.NewPCG(1, 2))
	ascending, random := slices.Clone(ids), slices.Clone(ids)
	rnd.Shuffle(len(random), func(i, j int) { random[i], random[j] = random[j], random[i] })
	descending, sparse := slices.Clone(ids), []int64{}
	slices.Reverse(descending)
	for i := 0; i < n; i += 1 + rnd.IntN(3000) {
		sparse = append(sparse, ids[i], ids[i])
	}
	for name, order := range map[string][]int64{
		"ascending": ascending, "from the middle": ascending[5000:], "random": random, "descending": descending, "sparse": sparse,
	} {
		keys := k.InOrder()
		for _, id := range order {
			plain, err := keys.Open(id, sealed[id])
			if slices.Contains(gone, id) {
				if !errors.Is(err, user.ErrKeyDestroyed) {
					t.Fatalf("%s: a destroyed key opens %q, %v", name, plain, err)
				}
				continue
			}
			if err != nil || string(plain) != strconv.FormatInt(id, 10) {
				t.Fatalf("%s: key %d opens %q, %v", name, id, plain, err)
			}
			mine, err := keys.Seal(id, []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := k.Open(id, mine); err != nil || string(plain) != "x" {
				t.Fatalf("%s: the keyring opens %q, %v", name, plain, err)
			}
		}
	}
}

// TestKeysInOrderRefuseWhatIsNoKey, and find those that were made meanwhile.
func TestKeysInOrderRefuseWhatIsNoKey(t *testing.T) {
	k, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	keys := k.InOrder()
	one, err := k.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keys.Seal(one, []byte("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{0, -1, firstBlock + 1, 1 << 40, 1<<63 - 1} {
		if _, err := keys.Seal(id, nil); err == nil || !strings.Contains(err.Error(), "there is no such key") {
			t.Errorf("key %d: %v", id, err)
		}
		if _, err := keys.Open(id, sealed); err == nil {
			t.Errorf("key %d opens something", id)
		}
	}
	for range 2 * firstBlock {
		id, err := k.New(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Seal(id, nil); err != nil {
			t.Fatalf("key %d, made after others were read: %v", id, err)
		}
	}
	if _, err := keys.Open(one, sealed[:5]); err == nil {
		t.Error("a text that is cut was opened")
	}
	other, err := keys.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(other, sealed); err == nil {
		t.Error("another key opens the text")
	}
}

// BenchmarkOpenMany holds reading ahead against asking for one key after the other: each
// operation opens the name of another person.
func BenchmarkOpenMany(b *testing.B) {
	k, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	const n = 100_000
	sealed := make([][]byte, n+1)
	for range n {
		id, err := k.New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if sealed[id], err = k.Seal(id, []byte("3:AdaLovelace")); err != nil {
			b.Fatal(err)
		}
	}
	for name, keys := range map[string]user.Keys{"one by one": k, "in order": k.InOrder()} {
		b.Run(name, func(b *testing.B) {
			for i := int64(0); b.Loop(); i++ {
				if id := i%n + 1; sealed[id] != nil {
					if _, err := keys.Open(id, sealed[id]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
