package neo4j_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/recommendation/neo4j"
	"ensemble/user"
)

// TestADatabaseThatIsAwayIsWaitedFor by who writes, and is said to be away to who asks.
func TestADatabaseThatIsAwayIsWaitedFor(t *testing.T) {
	empty(t, open(t))
	way, url := through(t)
	b := dial(t, neo4j.Config{URL: url})
	apply(t, b.ApplyUsers, people(2)...)
	way.broken.Store(true)
	way.cut()
	var asked error
	for _, asked = range b.Recommend(t.Context(), 1, recommendation.Query{}) {
	}
	if !errors.Is(asked, recommendation.ErrAway) {
		t.Fatalf("who asks gets %v", asked)
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := b.ApplyUsers(t.Context(), people(3)[2:]); err != nil {
			t.Error(err)
		}
	})
	for b.Trouble() == nil {
		time.Sleep(time.Millisecond)
	}
	way.broken.Store(false)
	writing.Wait()
	if err := b.Trouble(); err != nil {
		t.Errorf("the trouble is over, but %v", err)
	}
	if users, _, err := b.Marks(t.Context()); err != nil || users.Position != 3 {
		t.Errorf("the graph is at %+v, %v", users, err)
	}
}

// TestADatabaseThatSaysNothingIsNotWaitedForLongerThanAsked: neither by who asks nor by who
// writes.
func TestADatabaseThatSaysNothingIsNotWaitedForLongerThanAsked(t *testing.T) {
	empty(t, open(t))
	way, url := through(t)
	b := dial(t, neo4j.Config{URL: url})
	apply(t, b.ApplyUsers, people(2)...)
	way.silent.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var asked error
	for _, asked = range b.Recommend(ctx, 1, recommendation.Query{}) {
	}
	if !errors.Is(asked, context.DeadlineExceeded) {
		t.Errorf("who asks gets %v", asked)
	}
	if err := b.ApplyUsers(ctx, people(3)[2:]); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who writes gets %v", err)
	}
	way.silent.Store(false)
	way.cut()
}

// TestConnectionsThatAreCutAnywhereLoseNothing: after each few bytes the way to the database
// breaks, in the middle of a batch, between a commit and its answer, while signing in. Every
// batch gets in, once, and the graph is the one that memory has.
func TestConnectionsThatAreCutAnywhereLoseNothing(t *testing.T) {
	clean := open(t)
	way, url := through(t)
	b := dial(t, neo4j.Config{URL: url})
	rnd := rand.New(rand.NewPCG(1, 2))
	want := memory.New()
	const crowd = 12
	apply(t, want.ApplyUsers, people(crowd)...)
	apply(t, b.ApplyUsers, people(crowd)...)
	const writes = `MATCH (c:EnsembleCheckpoint {log: 'friend'}) RETURN c.writes`
	before, batches := number(t, cypher(t, writes)), 0
	for n := int64(1); n <= 30; n++ {
		x, y := rnd.Int64N(crowd)+1, rnd.Int64N(crowd)+1
		if x == y {
			continue
		}
		var happened friend.Event = friend.Added{By: x, To: y}
		if rnd.IntN(3) == 0 {
			happened = friend.Removed{By: x, To: y}
		}
		batches++
		apply(t, want.ApplyFriends, friendship(n, happened))
		way.budget.Store(rnd.Int64N(3000)) // a batch and its answers are about 1500
		applied := make(chan error, 1)
		go func() { applied <- b.ApplyFriends(t.Context(), []recommendation.Friendship{friendship(n, happened)}) }()
		for pending := true; pending; {
			select {
			case err := <-applied:
				if err != nil {
					t.Fatal(err)
				}
				pending = false
			default:
				if way.budget.Load() < 0 {
					way.budget.Store(rnd.Int64N(6000))
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	way.budget.Store(-1)
	if after := number(t, cypher(t, writes)); after != before+batches {
		t.Errorf("%d batches were written in %d transactions", batches, after-before)
	}
	for id := int64(1); id <= crowd; id++ {
		if got, want := names(t, clean, id), names(t, want, id); got != want {
			t.Errorf("recommend %d: got %s, want %s", id, got, want)
		}
	}
}

// TestAQuestionSurvivesALostConnection: connections in the pool may be long dead.
func TestAQuestionSurvivesALostConnection(t *testing.T) {
	empty(t, open(t))
	way, url := through(t)
	b := dial(t, neo4j.Config{URL: url})
	apply(t, b.ApplyUsers, append(people(3), person(4, 3, user.Renamed{FirstName: "Eve", CreatedAt: at(3)}))...)
	apply(t, b.ApplyFriends, friendship(1, friend.Added{By: 1, To: 2}), friendship(2, friend.Added{By: 2, To: 3}))
	for range 10 {
		way.cut()
		if got := names(t, b, 1); got != "3Eve×1" {
			t.Fatalf("got %s", got)
		}
	}
}
