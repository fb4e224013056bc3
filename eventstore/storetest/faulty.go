package storetest

import (
	"context"
	"sync/atomic"

	"ensemble/eventstore"
)

// faulty is a driver whose commits can be held up and made to fail.
type faulty struct {
	eventstore.Driver
	gate    chan struct{}         // if set, a commit waits for a value
	entered chan int              // if set, a commit tells how many writes it has
	fail    atomic.Pointer[error] // if set, commits fail with it
	after   bool                  // the commit happens nevertheless
}

// Commit implements eventstore.Driver.
func (f *faulty) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	if f.entered != nil {
		f.entered <- len(batch)
	}
	if f.gate != nil {
		<-f.gate
	}
	err := f.fail.Load()
	if err != nil && !f.after {
		return nil, *err
	}
	results, committed := f.Driver.Commit(ctx, batch)
	if err != nil {
		return nil, *err
	}
	return results, committed
}

func (f *faulty) failWith(err error) {
	if err == nil {
		f.fail.Store(nil)
		return
	}
	f.fail.Store(&err)
}
