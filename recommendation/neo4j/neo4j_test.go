package neo4j_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"ensemble/friend"
	"ensemble/internal/servertest"
	"ensemble/recommendation"
	"ensemble/recommendation/backendtest"
	"ensemble/recommendation/neo4j"
	"ensemble/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	b := open(t)
	backendtest.Run(t, 25, func(t *testing.T) recommendation.Backend {
		empty(t, b)
		return b
	})
}

// TestTheGraphIsTheOneThatTheOriginalKeeps, for those who look into the database.
func TestTheGraphIsTheOneThatTheOriginalKeeps(t *testing.T) {
	b := open(t)
	apply(t, b.ApplyUsers, people(3)...)
	apply(t, b.ApplyUsers, person(4, 2, user.Renamed{FirstName: "Bob", LastName: "Y", Key: 2, CreatedAt: at(2)}),
		person(5, 3, user.Erased{Key: 3, CreatedAt: at(3)}))
	apply(t, b.ApplyFriends, friendship(1, friend.Added{By: 2, To: 1}), friendship(2, friend.Added{By: 1, To: 9}),
		friendship(3, friend.Added{By: 3, To: 1}))
	for query, want := range map[string]string{
		`MATCH (u:User) RETURN u.userId, u.firstName, u.lastName, u.createdAt, u.lastModified ORDER BY u.userId`: fmt.Sprintf("1 P1 X %d %d; 2 Bob Y %d %d",
			at(1).UnixMilli(), at(1).UnixMilli(), at(2).UnixMilli(), at(4).UnixMilli()),
		`MATCH (a:User)-[f:FRIEND]->(b:User) RETURN a.userId, b.userId, f.createdAt, f.lastUpdated`: fmt.Sprintf("2 1 %d %d", at(1).UnixMilli(), at(1).UnixMilli()),
		`MATCH (p) WHERE NOT p:User AND NOT p:EnsembleCheckpoint
		 WITH p ORDER BY p.userId UNWIND keys(p) AS k WITH p, k ORDER BY p.userId, k RETURN p.userId, collect(k)`: "3 [erased userId]; 9 [userId]",
		`MATCH (c:EnsembleCheckpoint) RETURN c.log, c.position, c.time ORDER BY c.log`: fmt.Sprintf("friend 3 %d; user 5 %d",
			at(3).UnixMicro(), at(5).UnixMicro()),
	} {
		if got := cypher(t, query); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
	}
}

// TestNothingOfANameIsLeftOnceSomebodyIsErased, also when the log is followed again.
func TestNothingOfANameIsLeftOnceSomebodyIsErased(t *testing.T) {
	b := open(t)
	life := []recommendation.Person{
		person(1, 1, user.Created{FirstName: "Zerubbabel", LastName: "Quill", Key: 1}),
		person(2, 1, user.Renamed{FirstName: "Zerubbabel", LastName: "Inkwell", Key: 1, CreatedAt: at(1)}),
		person(3, 1, user.Erased{Key: 1, CreatedAt: at(1)}),
	}
	for _, e := range life {
		apply(t, b.ApplyUsers, e)
	}
	for i := range life {
		life[i].Position = 0 // nobody says that they were seen
		apply(t, b.ApplyUsers, life[i])
	}
	got := cypher(t, `MATCH (n) UNWIND keys(n) AS k WITH n, k RETURN labels(n), k, toString(n[k])`)
	if strings.Contains(got, "Zerubbabel") || strings.Contains(got, "Quill") || strings.Contains(got, "Inkwell") || strings.Contains(got, "User]") {
		t.Fatal(got)
	}
}

// TestItGoesOnWhereItWas: another process on the same database knows how far the graph is,
// and what it sees again is not written again.
func TestItGoesOnWhereItWas(t *testing.T) {
	before := open(t)
	all := people(5)
	apply(t, before.ApplyUsers, all[:3]...)
	apply(t, before.ApplyFriends, friendship(1, friend.Added{By: 1, To: 2}), friendship(2, friend.Added{By: 2, To: 3}))
	if err := before.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := dial(t, neo4j.Config{URL: servertest.Neo4j(t)})
	users, friends, err := after.Marks(t.Context())
	if err != nil || users != (recommendation.Mark{Position: 3, Time: at(3)}) || friends != (recommendation.Mark{Position: 2, Time: at(2)}) {
		t.Fatalf("the graph is at %+v and %+v, %v", users, friends, err)
	}
	writes := cypher(t, `MATCH (c:EnsembleCheckpoint) RETURN sum(c.writes)`)
	apply(t, after.ApplyUsers, all[:2]...)
	apply(t, after.ApplyFriends, friendship(1, friend.Added{By: 1, To: 2}))
	if again := cypher(t, `MATCH (c:EnsembleCheckpoint) RETURN sum(c.writes)`); again != writes {
		t.Fatalf("%s writes, and after events that are in already %s", writes, again)
	}
	apply(t, after.ApplyUsers, all[1:]...) // the first part is known, the rest is not
	apply(t, after.ApplyFriends, friendship(3, friend.Added{By: 5, To: 2}))
	if got := names(t, after, 1); got != "3P3×1 5P5×1" {
		t.Fatalf("got %s", got)
	}
}

func TestAGraphThatSomebodyElseHasMadeIsLeftAlone(t *testing.T) {
	b := open(t)
	cypher(t, `CREATE (:User {userId: 77, firstName: 'Spring'})`)
	defer cypher(t, `MATCH (u:User {userId: 77}) DELETE u`)
	other, err := neo4j.Open(t.Context(), neo4j.Config{URL: servertest.Neo4j(t)})
	if err == nil || !strings.Contains(err.Error(), "empty the database") {
		t.Fatalf("got %v, %v", other, err)
	}
	if got := cypher(t, `MATCH (u:User) RETURN u.firstName`); got != "Spring" {
		t.Fatalf("left is %q", got)
	}
	empty(t, b)
	if got := cypher(t, `MATCH (u:User) RETURN u.firstName`); got != "Spring" {
		t.Fatalf("emptying ours left %q", got)
	}
}

func TestNoErrorShowsThePassword(t *testing.T) {
	servertest.Neo4j(t) // not that it is asked: the others need it, too
	for _, url := range []string{
		"bolt://anna:hunter2@127.0.0.1:1", "bolt://anna:hunter2@[::1", "ftp://anna:hunter2@127.0.0.1:1", "bolt://anna:hunter2@127.0.0.1:1?x=y",
	} {
		b, err := neo4j.Open(t.Context(), neo4j.Config{URL: url})
		if err == nil {
			t.Errorf("%s is open: %v", url, b)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "anna") {
			t.Errorf("%v", err)
		}
	}
}

func TestWhoAsksForNothingMoreEndsTheAnswer(t *testing.T) {
	b := open(t)
	apply(t, b.ApplyUsers, people(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range b.Recommend(ctx, 1, recommendation.Query{}) {
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	for _, err := range b.Mutual(ctx, 1, 2, 0) {
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	if err := b.ApplyUsers(ctx, people(4)[3:]); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}
