package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"ensemble/client"
)

// A follower sees each event once, over a stop and a start of the system, and does
// not hold the stop up.
func TestAFeedGoesOnAfterARestart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	create := func(n int) {
		for range n {
			if _, _, err := r.client().CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	create(3)
	seen := make(chan int64)
	cut := make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	go func() {
		defer close(seen)
		for e, err := range r.client().Events(ctx, "user", client.Feed{OnCut: func(err error) { cut <- err; leave() }}) {
			if err != nil {
				return
			}
			seen <- e.Position
		}
	}()
	for want := range int64(3) {
		if got := <-seen; got != want+1 {
			t.Fatalf("event %d comes where %d should", got, want+1)
		}
	}
	begun := time.Now()
	if code := r.end(); code != 0 {
		t.Fatalf("stopping ended with %d: %s", code, r.stderr)
	}
	if took := time.Since(begun); took > 20*time.Second { // the server would wait 30
		t.Errorf("the stream held the stop up for %v", took)
	}
	if err := <-cut; err == nil {
		t.Error("the stream ended without an end")
	}
	<-seen

	r = start(t, data)
	create(1)
	for e, err := range r.client().Events(t.Context(), "user", client.Feed{After: 3}) {
		if err != nil || e.Position != 4 {
			t.Errorf("after the restart comes %+v, %v", e, err)
		}
		break
	}
}
