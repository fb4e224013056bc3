package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"ensemble/client"
	"ensemble/internal/servertest"
	"ensemble/recommendation/neo4j"
)

// inNeo4j adds a service of recommendations to a system that keeps its graph in the database.
func inNeo4j(t *testing.T, a *apart) *service {
	t.Helper()
	s := &service{t: t, name: "recommendation", addr: freePort(t)}
	s.args = append(append(s.args, a.recommendation.args...), "--graph", servertest.Neo4j(t))
	t.Cleanup(func() {
		if s.stop != nil {
			s.end()
		}
	})
	return s
}

// emptyNeo4j empties the database under whoever uses it.
func emptyNeo4j(t *testing.T) {
	t.Helper()
	b, err := neo4j.Open(t.Context(), neo4j.Config{URL: servertest.Neo4j(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close(context.WithoutCancel(t.Context())) }()
	if err := b.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// agree waits until services answer alike about everybody, with somebody recommended.
func agree(t *testing.T, people int64, one *service, others ...*service) {
	t.Helper()
	all := func(s *service) (text string) {
		for id := int64(1); id <= people; id++ {
			for _, path := range []string{"recommendFriends?explain=true", fmt.Sprintf("findMutualFriends?friendId=%d", id%people+2)} {
				status, _, body := get(t, fmt.Sprintf("%s/v1/users/%d/commands/%s", s.addr, id, path))
				text += fmt.Sprintln(id, path, status, body)
			}
		}
		return text
	}
	for _, other := range others {
		eventually(t, "both say the same", func() bool {
			want := all(one)
			return strings.Contains(want, `"weight"`) && all(other) == want
		})
	}
}

// befriended makes two people friends.
func befriended(t *testing.T, c *client.Client, x, y int64) {
	t.Helper()
	if _, a, err := c.AddFriend(t.Context(), x, y, ""); err != nil || !a.Created {
		t.Fatalf("%+v, %v", a, err)
	}
}

// TestAGraphInNeo4jAnswersAsTheOneInMemory: byte for byte, with two replicas on it, after a
// restart, after an erasure, after somebody has emptied it under both.
func TestAGraphInNeo4jAnswersAsTheOneInMemory(t *testing.T) {
	emptyNeo4j(t)
	a := newApart(t, filepath.Join(t.TempDir(), "data")).start()
	c := a.client()
	const people = 8
	addAll(t, c, people)
	first, second := inNeo4j(t, a), inNeo4j(t, a)
	first.start()
	second.start()
	agree(t, people, a.recommendation, first, second)
	if code := first.end(); code != 0 {
		t.Fatalf("it ended with %d: %s", code, first.stderr)
	}
	befriended(t, c, 1, 4)
	if _, err := c.Erase(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	agree(t, people, a.recommendation, second) // which has taken over
	first.start()
	befriended(t, c, 1, 7)
	agree(t, people, a.recommendation, first, second)
	for range 2 {
		emptyNeo4j(t)
		befriended(t, c, 2, 8)
		agree(t, people, a.recommendation, first, second)
		if _, err := c.RemoveFriend(t.Context(), 8, 2, ""); err != nil {
			t.Fatal(err)
		}
	}
	agree(t, people, a.recommendation, first, second)
	out := new(lockedBuffer)
	if code := run(t.Context(), []string{"rebuild", "recommendation", "--admin", "http://" + first.admin}, out, out); code == 0 || !strings.Contains(out.String(), "empties it") {
		t.Errorf("rebuild ended with %d: %s", code, out)
	}
}

// TestALogThatIsReplacedMakesTheGraphInNeo4jAnew: nothing of the lost people stays in it.
func TestALogThatIsReplacedMakesTheGraphInNeo4jAnew(t *testing.T) {
	emptyNeo4j(t)
	putBack(t, "--graph", servertest.Neo4j(t))
}

// TestADatabaseForNeo4jThatIsNotThereIsNamedWithoutItsPassword.
func TestADatabaseForNeo4jThatIsNotThereIsNamedWithoutItsPassword(t *testing.T) {
	nowhere := inNeo4j(t, newApart(t, filepath.Join(t.TempDir(), "data")))
	nowhere.args[len(nowhere.args)-1] = "bolt://anna:hunter2@127.0.0.1:1"
	nowhere.begin()
	code := <-nowhere.ended
	nowhere.ended <- code
	if text := nowhere.stderr.String(); code == 0 || !strings.Contains(text, "does not answer") || strings.Contains(text, "hunter2") {
		t.Errorf("it ended with %d: %s", code, text)
	}
}
