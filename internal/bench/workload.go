package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
)

// Size says how much is measured; 0 means the default.
type Size struct {
	Events      int // commands of the largest row of the log; 200,000
	Alone       int // commands of a baseline with a commit for each; 6,000, it is slow and soon steady
	Streams     int // of the log that is opened again; 1,000,000
	People      int // of the generated network; 100,000
	Queries     int // of each kind; 10,000
	Requests    int // of each HTTP row; 50,000
	Connections int // of commands over HTTP; 256
}

// Defaults returns the size with what was left open filled in.
func (s Size) Defaults() Size {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&s.Events, 200_000},
		{&s.Alone, 6_000},
		{&s.Streams, 1_000_000},
		{&s.People, 100_000},
		{&s.Queries, 10_000},
		{&s.Requests, 50_000},
		{&s.Connections, 256},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return s
}

// Concurrently does n pieces of work, numbered from 1, from so many goroutines at
// once and returns how long all of it took. The first failure ends it.
func Concurrently(ctx context.Context, clients, n int, do func(rnd *rand.Rand, i int64) error) (time.Duration, error) {
	return workers(ctx, clients, n, func(client int) func(int64) error {
		rnd := rand.New(rand.NewPCG(1, uint64(client))) //nolint:gosec // repeatable on purpose
		return func(i int64) error { return do(rnd, i) }
	})
}

// workers is Concurrently for goroutines that have something of their own.
func workers(ctx context.Context, clients, n int, worker func(client int) func(i int64) error) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Who is faster does more: the pieces are handed out one by one.
	var next atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	for client := range clients {
		group.Go(func() {
			do := worker(client)
			for i := next.Add(1); i <= int64(n) && ctx.Err() == nil; i = next.Add(1) {
				if err := do(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return time.Since(began), context.Cause(ctx)
}

// Raw makes the i-th command of the log's workload as the log alone sees it: 10 %
// people, 90 % random friendships, each with an idempotency key.
func Raw(rnd *rand.Rand, i int64) (eventstore.Write, error) {
	var w eventstore.Write
	if i%10 == 0 {
		w = eventstore.Write{
			Stream: eventstore.Stream{Category: user.Category},
			Events: []eventstore.NewEvent{{
				Type: "UserCreated", Number: eventstore.NextNumber,
				Data: []byte(`{"key":` + strconv.FormatInt(i, 10) + `,"sealed":"c2VhbGVkIHNlYWxlZCBzZWFsZWQgc2VhbGVkIHNlYWxlZCBzZWFsZWQ="}`),
			}},
		}
	} else {
		by, to := rnd.Int64N(1e9), rnd.Int64N(1e9)
		w = eventstore.Write{
			Stream:   eventstore.Stream{Category: friend.Category, ID: fmt.Sprintf("%d:%d", min(by, to), max(by, to))},
			Expected: eventstore.NoStream,
			Events: []eventstore.NewEvent{{
				Type: "FriendAdded", Number: eventstore.NextNumber, Data: fmt.Appendf(nil, `{"by":%d,"to":%d}`, by, to),
			}},
		}
	}
	w.Key = &eventstore.Key{}
	for j := range w.Key.Hash {
		w.Key.Hash[j] = byte(rnd.Uint32())
	}
	return w, nil
}

// Domain makes the i-th command of the same workload with events as the domains
// encode them, so that views have rows of them.
func Domain(rnd *rand.Rand, i int64) (eventstore.Write, error) {
	if i%10 == 0 {
		e, err := user.Encode(Plain{}, user.Created{FirstName: "Ada", LastName: "Lovelace", Key: i})
		return eventstore.Write{Stream: eventstore.Stream{Category: user.Category}, Events: []eventstore.NewEvent{e}}, err
	}
	by, to := rnd.Int64N(1e6)+1, rnd.Int64N(1e6)+1_000_002
	e, err := friend.Encode(friend.Added{By: by, To: to})
	return eventstore.Write{Stream: friend.Stream(by, to), Expected: eventstore.Any, Events: []eventstore.NewEvent{e}}, err
}

// Plain are keys that seal nothing, so that ciphers are not what is measured: the
// key's id stands before the text.
type Plain struct{}

// New implements [user.Keys].
func (Plain) New(context.Context) (int64, error) { return 1, nil }

// Seal implements [user.Keys].
func (Plain) Seal(id int64, plain []byte) ([]byte, error) {
	return append(strconv.AppendInt(nil, id, 10), append([]byte("|"), plain...)...), nil
}

// Open implements [user.Keys].
func (Plain) Open(_ int64, sealed []byte) ([]byte, error) {
	_, plain, _ := bytes.Cut(sealed, []byte("|"))
	return plain, nil
}

// Destroy implements [user.Keys].
func (Plain) Destroy(context.Context, ...int64) error { return nil }

// Destroyed implements [user.Keys].
func (Plain) Destroyed(context.Context) ([]int64, error) { return nil, nil }

// Views is both read models on one log; without indexes rows are found by primary
// key alone.
type Views struct {
	users, friends eventstore.View
	indexes        bool
}

// NewViews returns the read models over plain keys.
func NewViews(indexes bool) Views {
	return Views{readmodel.UsersView(Plain{}), readmodel.FriendView(), indexes}
}

// Tables implements [eventstore.View].
func (v Views) Tables() []eventstore.Table {
	tables := append(v.users.Tables(), v.friends.Tables()...)
	for i := range tables {
		if !v.indexes {
			tables[i].Indexes = nil
		}
	}
	return tables
}

// Rows implements [eventstore.View].
func (v Views) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	if e.Stream.Category == user.Category {
		return v.users.Rows(e)
	}
	return v.friends.Rows(e)
}
