package user

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// plainKeys seal nothing: they put the key's id before the text, so that tests see
// what is stored.
type plainKeys struct {
	mu        sync.Mutex
	last      int64
	destroyed map[int64]bool
}

func newPlainKeys() *plainKeys { return &plainKeys{destroyed: map[int64]bool{}} }

func (k *plainKeys) New(context.Context) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	return k.last, nil
}

func (k *plainKeys) Seal(id int64, plain []byte) ([]byte, error) {
	if err := k.usable(id); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%d|%s", id, plain), nil
}

func (k *plainKeys) Open(id int64, sealed []byte) ([]byte, error) {
	if err := k.usable(id); err != nil {
		return nil, err
	}
	prefix := fmt.Sprintf("%d|", id)
	if len(sealed) < len(prefix) || string(sealed[:len(prefix)]) != prefix {
		return nil, fmt.Errorf("not sealed with key %d", id)
	}
	return sealed[len(prefix):], nil
}

func (k *plainKeys) Destroy(_ context.Context, ids ...int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		k.destroyed[id] = true
	}
	return nil
}

func (k *plainKeys) Destroyed(context.Context) ([]int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.destroyed)), nil
}

func (k *plainKeys) usable(id int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.destroyed[id] {
		return ErrKeyDestroyed
	}
	return nil
}
