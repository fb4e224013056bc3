package memory_test

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/eventstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func driver() storetest.Driver {
	return storetest.Driver{Rebuild: rebuild, New: func(_ *testing.T, o storetest.Options) storetest.Reopen {
		return func() eventstore.Driver {
			return memory.New(memory.Options{Views: o.Views, KeepKeys: o.KeepKeys, KeepKeysFor: o.KeepKeysFor})
		}
	}}
}

func TestContract(t *testing.T) { storetest.Run(t, driver()) }

func TestClock(t *testing.T) { storetest.RunClock(t, driver()) }

func Example() {
	ctx := context.Background()
	store, err := eventstore.Open(ctx, memory.New(memory.Options{}), eventstore.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	stream := eventstore.Stream{Category: "account", ID: "7"}
	_, err = store.Append(ctx, eventstore.Write{
		Stream: stream, Expected: eventstore.NoStream,
		Events: []eventstore.NewEvent{{Type: "AccountOpened", Data: []byte(`{"owner":"Ada"}`)}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Append(ctx, eventstore.Write{
		Stream: stream, Expected: eventstore.NoStream,
		Events: []eventstore.NewEvent{{Type: "AccountOpened", Data: []byte(`{"owner":"Eve"}`)}},
	})
	fmt.Println(err)
	for e, err := range store.Stream(ctx, stream, 0) {
		fmt.Println(e.Position, e.Type, string(e.Data), err)
	}
	// Output:
	// stream account-7 is at version 1, not 0
	// 1 AccountOpened {"owner":"Ada"} <nil>
}

// rebuild is the driver's own method, for the suite.
func rebuild(d eventstore.Driver, ctx context.Context, how eventstore.Rebuild) (eventstore.Rebuilt, error) { //nolint:revive // a method expression has its receiver first
	return d.(*memory.Log).Rebuild(ctx, how)
}
