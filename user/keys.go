package user

import (
	"context"
	"errors"
	"fmt"

	"ensemble/eventstore"
)

// ErrKeyDestroyed means that what was sealed with a key can't be read any more,
// because the key was destroyed with the person.
var ErrKeyDestroyed = errors.New("the key was destroyed")

// ErrKeysAway means that the keys can't be asked now. Nothing was sealed or opened; try
// again in a moment, as with a log that is away.
var ErrKeysAway = fmt.Errorf("the keys: %w", eventstore.ErrAway)

// Keys keeps one key for each person. Whatever is sealed with a key can be opened
// with it until the key is destroyed, and never again after that.
type Keys interface {
	// New returns the ID of a key that nobody has, ready for use.
	New(ctx context.Context) (int64, error)
	// Seal encrypts a text. Errors: ErrKeyDestroyed.
	Seal(id int64, plain []byte) ([]byte, error)
	// Open decrypts what Seal has made. Errors: ErrKeyDestroyed.
	Open(id int64, sealed []byte) ([]byte, error)
	// Destroy makes keys unusable for ever; when it returns that is so. A key may
	// be destroyed again.
	Destroy(ctx context.Context, ids ...int64) error
	// Destroyed returns the IDs of all keys that were destroyed, ascending.
	Destroyed(ctx context.Context) ([]int64, error)
}
