package sqlite

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"ensemble/eventstore"
	"ensemble/eventstore/storetest"
)

// driver returns this driver for the suite, with hashes of so many bits.
func driver(bits int) storetest.Driver {
	return storetest.Driver{Durable: true, Rebuild: rebuildDriver, New: func(t *testing.T, o storetest.Options) storetest.Reopen {
		path := filepath.Join(t.TempDir(), "log.db")
		return func() eventstore.Driver {
			log, err := Open(t.Context(), path, Options{
				Views: o.Views, KeepKeys: o.KeepKeys, KeepKeysFor: o.KeepKeysFor,
				Log: slog.New(slog.DiscardHandler), hashBits: bits,
			})
			if err != nil {
				t.Fatalf("open %s: %v", path, err)
			}
			return log
		}
	}}
}

// TestContract also runs with 8-bit hashes, with which nearly every stream
// collides with another.
func TestContract(t *testing.T) {
	for _, bits := range []int{64, 8} {
		t.Run(fmt.Sprint(bits, "-bit hashes"), func(t *testing.T) { storetest.Run(t, driver(bits)) })
	}
}

// rebuildDriver is the driver's own method, for the suite.
func rebuildDriver(d eventstore.Driver, ctx context.Context, how eventstore.Rebuild) (eventstore.Rebuilt, error) { //nolint:revive // a method expression has its receiver first
	return d.(*Log).Rebuild(ctx, how)
}
