package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
)

// TestStoppingUnderLoadAnswersEveryRequestThatWasBegun: a client may find the door
// closed, but never loses a request that it has sent.
func TestStoppingUnderLoadAnswersEveryRequestThatWasBegun(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	c := r.client()
	var created, refused atomic.Int64
	var group sync.WaitGroup
	begun := make(chan struct{})
	var once sync.Once
	for range 32 {
		group.Go(func() {
			for {
				_, _, err := c.CreateUser(context.Background(), "Ada", "Lovelace", "")
				switch problem, ok := errors.AsType[*client.ProblemError](err); {
				case err == nil:
					if created.Add(1) == 200 {
						once.Do(func() { close(begun) })
					}
				case ok && problem.Problem.Status == 503:
					refused.Add(1)
				case errors.Is(err, syscall.ECONNREFUSED):
					return
				default:
					t.Errorf("a request was begun and not answered: %v", err)
					return
				}
			}
		})
	}
	<-begun
	if code := r.end(); code != 0 {
		t.Errorf("it ended with %d: %s", code, r.stderr)
	}
	group.Wait()
	log, err := sqlite.Open(t.Context(), filepath.Join(data, "user.db"), sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	head, err := log.Head(t.Context())
	if err != nil || head.Position != eventstore.Position(created.Load()) {
		t.Fatalf("%d were told that they are created, the log has %d, %v", created.Load(), head.Position, err)
	}
	t.Logf("%d created, %d refused", created.Load(), refused.Load())
}
