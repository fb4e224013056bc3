package neo4j_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"ensemble/friend"
	"ensemble/internal/servertest"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/recommendation/neo4j"
)

// owner says who wrote the log of users last, and up to where.
const owner = `MATCH (c:EnsembleCheckpoint {log: 'user'}) RETURN c.owner, c.position`

// TestOneReplicaWritesAndTheOtherOnesKnow: what one has written, another need not write;
// it only learns that it is in.
func TestOneReplicaWritesAndTheOtherOnesKnow(t *testing.T) {
	first := open(t)
	second := dial(t, neo4j.Config{URL: servertest.Neo4j(t), Lease: time.Hour})
	all := people(4)
	apply(t, first.ApplyUsers, all[:2]...)
	before := cypher(t, owner)
	apply(t, second.ApplyUsers, all[:2]...)
	if after := cypher(t, owner); after != before {
		t.Fatalf("the second replica wrote, too: %s, then %s", before, after)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { // and for what is not in yet it waits
		if err := second.ApplyUsers(t.Context(), all[2:]); err != nil {
			t.Error(err)
		}
	})
	apply(t, first.ApplyUsers, all[2:]...)
	waiting.Wait()
}

// TestAReplicaTakesOverFromOneThatIsGone once the lease is over, and at once if that one has
// said good-bye.
func TestAReplicaTakesOverFromOneThatIsGone(t *testing.T) {
	open(t)
	all := people(6)
	gone := dial(t, neo4j.Config{URL: servertest.Neo4j(t)}) // never closed before the end: it was killed
	apply(t, gone.ApplyUsers, all[:2]...)
	next := dial(t, neo4j.Config{URL: servertest.Neo4j(t), Lease: 50 * time.Millisecond})
	apply(t, next.ApplyUsers, all[2:4]...)
	if err := next.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := dial(t, neo4j.Config{URL: servertest.Neo4j(t), Lease: time.Hour})
	apply(t, last.ApplyUsers, all[4:]...)
	if users, _, err := last.Marks(t.Context()); err != nil || users.Position != 6 {
		t.Fatalf("the graph is at %+v, %v", users, err)
	}
}

// TestAReplicaThatWasReplacedChangesNothing: it wrote the last batch that it knows of, so it
// would write on; but somebody else has written since.
func TestAReplicaThatWasReplacedChangesNothing(t *testing.T) {
	open(t)
	all := people(6)
	zombie := dial(t, neo4j.Config{URL: servertest.Neo4j(t), Lease: time.Hour})
	apply(t, zombie.ApplyUsers, all[0])
	next := dial(t, neo4j.Config{URL: servertest.Neo4j(t), Lease: time.Millisecond})
	apply(t, next.ApplyUsers, all[1])
	before := cypher(t, owner)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := zombie.ApplyUsers(ctx, all[2:]); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if after := cypher(t, owner); after != before {
		t.Fatalf("it was %s, and is %s", before, after)
	}
	if got := cypher(t, `MATCH (u:User) RETURN count(u)`); got != "2" {
		t.Fatalf("there are %s people", got)
	}
}

// TestAGraphThatWasEmptiedIsNotFilledFromTheMiddle: whoever follows the logs would write the
// next events, and those before would be missing for ever.
func TestAGraphThatWasEmptiedIsNotFilledFromTheMiddle(t *testing.T) {
	all := people(6)
	for name, begin := range map[string]func(t *testing.T) *neo4j.Backend{
		"by who wrote": func(t *testing.T) *neo4j.Backend {
			b := open(t)
			apply(t, b.ApplyUsers, all[:3]...)
			return b
		},
		"by who saw what others wrote": func(t *testing.T) *neo4j.Backend {
			apply(t, open(t).ApplyUsers, all[:3]...)
			b := dial(t, neo4j.Config{URL: servertest.Neo4j(t), Lease: time.Millisecond})
			apply(t, b.ApplyUsers, all[:3]...)
			return b
		},
		"by who has just begun": func(t *testing.T) *neo4j.Backend {
			apply(t, open(t).ApplyUsers, all[:3]...)
			b := dial(t, neo4j.Config{URL: servertest.Neo4j(t), Lease: time.Millisecond})
			if _, _, err := b.Marks(t.Context()); err != nil {
				t.Fatal(err)
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			if strings.HasSuffix(name, "wrote") { // with everything that is in the database
				cypher(t, `MATCH (n) DETACH DELETE n`)
			} else {
				empty(t, dial(t, neo4j.Config{URL: servertest.Neo4j(t)}))
			}
			if err := b.ApplyUsers(t.Context(), all[3:]); !errors.Is(err, recommendation.ErrEmptied) {
				t.Fatalf("got %v", err)
			}
			if users, _, err := b.Marks(t.Context()); err != nil || users.Position != 0 {
				t.Fatalf("the graph is at %+v, %v", users, err)
			}
			apply(t, b.ApplyUsers, all...) // started again, from there
			if got := cypher(t, `MATCH (u:User) RETURN count(u)`); got != "6" {
				t.Fatalf("there are %s people", got)
			}
		})
	}
}

// TestAnyNumberOfReplicasMakeOneGraph: each follows both logs at its own pace, in batches of
// its own, with impatient leases; now and then one is killed in the middle and another takes
// its place, from the checkpoint. The graph is the one that memory has, and each batch that
// was said to be in is in.
func TestAnyNumberOfReplicasMakeOneGraph(t *testing.T) {
	clean := open(t)
	const crowd, events = 10, 120
	rnd := rand.New(rand.NewPCG(3, 4))
	all := people(crowd)
	var log []recommendation.Friendship
	for n := int64(1); len(log) < events; n++ {
		x, y := rnd.Int64N(crowd)+1, rnd.Int64N(crowd)+1
		if x == y {
			y = x%crowd + 1
		}
		if rnd.IntN(2) == 0 {
			log = append(log, friendship(n, friend.Added{By: x, To: y}))
		} else {
			log = append(log, friendship(n, friend.Removed{By: x, To: y}))
		}
	}
	want := memory.New()
	apply(t, want.ApplyUsers, all...)
	apply(t, want.ApplyFriends, log...)
	var replicas sync.WaitGroup
	for replica := range uint64(3) {
		replicas.Go(func() {
			rnd := rand.New(rand.NewPCG(replica, 5))
			for !life(t, rnd, all, log) {
			}
		})
	}
	replicas.Wait()
	for id := int64(1); id <= crowd; id++ {
		if got, want := names(t, clean, id), names(t, want, id); got != want {
			t.Errorf("recommend %d: got %s, want %s", id, got, want)
		}
	}
}

// life is a replica from its start to its end, and says whether it has seen all.
func life(t *testing.T, rnd *rand.Rand, people []recommendation.Person, log []recommendation.Friendship) bool {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	b, err := neo4j.Open(ctx, neo4j.Config{URL: servertest.Neo4j(t), Lease: time.Duration(rnd.IntN(30)+1) * time.Millisecond})
	if err != nil {
		t.Error(err)
		return true
	}
	defer b.Close(context.WithoutCancel(ctx))
	users, friends, err := b.Marks(ctx)
	if err != nil {
		t.Error(err)
		return true
	}
	if err := b.ApplyUsers(ctx, people[users.Position:]); err != nil {
		t.Error(err)
		return true
	}
	at := int(friends.Position)
	for rounds := rnd.IntN(12) + 1; at < len(log); rounds-- {
		n := min(rnd.IntN(8)+1, len(log)-at)
		if rounds == 0 { // killed, somewhere in this batch
			time.AfterFunc(time.Duration(rnd.IntN(20))*time.Millisecond, kill)
		}
		if err := b.ApplyFriends(ctx, log[at:at+n]); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
				return true
			}
			return false
		}
		at += n
		if _, now, err := b.Marks(context.WithoutCancel(ctx)); err != nil || int(now.Position) < at {
			t.Error(fmt.Errorf("it said that %d is in, and the graph is at %d, %w", at, now.Position, err))
			return true
		}
	}
	return true
}
