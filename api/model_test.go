package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// network is the whole social network as anyone would write it down: brute force,
// no events.
type network struct {
	names map[int64]string // of those who are there
	born  int64            // how many there ever were
	rows  []wire.Friend    // those that are there, as their initiators see them
	last  int64            // row
}

// row returns the friendship of two people.
func (n *network) row(a, b int64) (wire.Friend, bool) {
	for _, f := range n.rows {
		if f.UserID == a && f.FriendID == b || f.UserID == b && f.FriendID == a {
			return f, true
		}
	}
	return wire.Friend{}, false
}

// add returns the status with which adding has to be answered.
func (n *network) add(by, to int64) int {
	f, friends := n.row(by, to)
	switch {
	case by == to:
		return http.StatusBadRequest
	case friends && f.UserID == by:
		return http.StatusConflict
	case friends:
		return http.StatusOK
	case n.names[by] == "" || n.names[to] == "":
		return http.StatusNotFound
	}
	n.last++
	n.rows = append(n.rows, wire.Friend{ID: n.last, UserID: by, FriendID: to})
	return http.StatusCreated
}

func (n *network) remove(by, to int64) int {
	f, friends := n.row(by, to)
	switch {
	case by == to:
		return http.StatusBadRequest
	case !friends:
		return http.StatusNotFound
	}
	n.rows = slices.DeleteFunc(n.rows, func(row wire.Friend) bool { return row.ID == f.ID })
	return http.StatusNoContent
}

// erase returns the status with which erasing has to be answered.
func (n *network) erase(id int64) int {
	switch {
	case id > n.born:
		return http.StatusNotFound
	case n.names[id] == "":
		return http.StatusGone
	}
	delete(n.names, id)
	n.rows = slices.DeleteFunc(n.rows, func(f wire.Friend) bool { return f.UserID == id || f.FriendID == id })
	return http.StatusNoContent
}

// friends returns somebody's friendships as "row:friend".
func (n *network) friends(id int64) (list []string) {
	for _, f := range n.rows {
		if f.UserID == id {
			list = append(list, fmt.Sprint(f.ID, ":", f.FriendID))
		} else if f.FriendID == id {
			list = append(list, fmt.Sprint(f.ID, ":", f.UserID))
		}
	}
	return list
}

func (n *network) mutual(a, b int64) (ids []int64) {
	for id := range n.names {
		_, one := n.row(a, id)
		_, other := n.row(b, id)
		if one && other && a != b {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// recommend returns "id:weight", best first.
func (n *network) recommend(id int64) (list []string) {
	type ranked struct{ id, weight int64 }
	var all []ranked
	for other := range n.names {
		if _, friends := n.row(id, other); friends || other == id {
			continue
		}
		if weight := len(n.mutual(id, other)); weight > 0 {
			all = append(all, ranked{other, int64(weight)})
		}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		if a.weight != b.weight {
			return int(b.weight - a.weight)
		}
		return int(a.id - b.id)
	})
	for _, r := range all {
		list = append(list, fmt.Sprint(r.id, ":", r.weight))
	}
	return list
}

// Whatever clients do, in whatever order and however often they retry, the
// answers are those of the network written down by hand.
func TestTheSystemIsTheNetworkWrittenDownByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &conversation{System: apitest.Start(t, apitest.Options{}), network: &network{names: map[int64]string{}}}
		person := rapid.Int64Range(1, 9)
		pair := func(t *rapid.T) (int64, int64) { return person.Draw(t, "who"), person.Draw(t, "whom") }
		t.Repeat(map[string]func(*rapid.T){
			"create": c.create,
			"add": func(t *rapid.T) {
				by, to := pair(t)
				c.command(t, "addFriend", by, to, c.network.add(by, to))
			},
			"remove": func(t *rapid.T) {
				by, to := pair(t)
				c.command(t, "removeFriend", by, to, c.network.remove(by, to))
			},
			"erase": func(t *rapid.T) {
				if id := person.Draw(t, "who"); rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					expect(t, c.Do("DELETE", fmt.Sprintf("/user/v1/users/%d", id), ""), c.network.erase(id))
					c.Settle(t)
				}
			},
			"": func(t *rapid.T) {
				who, whom := pair(t)
				c.compare(t, who, whom)
			},
		})
	})
}

// conversation is a system together with what it has to be.
type conversation struct {
	*apitest.System
	network *network
	keys    int
}

func (c *conversation) create(t *rapid.T) {
	c.network.born++
	id := c.network.born
	name := fmt.Sprint("P", id)
	w := c.retried(t, "/user/v1/users", `{"firstName":"`+name+`","lastName":""}`)
	expect(t, w, http.StatusCreated)
	if u := decode[wire.User](t, w); u.ID != id || u.FirstName != name {
		t.Fatalf("created %+v, not %d", u, id)
	}
	c.network.names[id] = name
}

func (c *conversation) command(t *rapid.T, command string, by, to int64, want int) {
	w := c.retried(t, fmt.Sprintf("/friend/v1/users/%d/commands/%s?friendId=%d", by, command, to), "")
	if w.Code != want {
		t.Fatalf("%s of %d and %d: %d, not %d", command, by, to, w.Code, want)
	}
}

// retried sends a command up to three times with one key and returns the last
// answer.
func (c *conversation) retried(t *rapid.T, target, body string) *httptest.ResponseRecorder {
	c.keys++
	key := strconv.Itoa(c.keys)
	first := c.Do(http.MethodPost, target, body, "Idempotency-Key", key)
	for range rapid.IntRange(0, 2).Draw(t, "retries") {
		again := c.Do(http.MethodPost, target, body, "Idempotency-Key", key)
		if again.Code != first.Code || first.Code < 300 && again.Body.String() != first.Body.String() {
			t.Fatalf("a retry of %s is answered %d %s, not %d %s", target, again.Code, again.Body, first.Code, first.Body)
		}
	}
	return first
}

// compare asks everything there is to ask about two people.
func (c *conversation) compare(t *rapid.T, who, whom int64) {
	c.Settle(t)
	w := c.Do("GET", fmt.Sprintf("/user/v1/users/%d", who), "")
	if name := c.network.names[who]; (w.Code == 200) != (name != "") || w.Code == 200 && decode[wire.User](t, w).FirstName != name {
		t.Fatalf("user %d is %d %s, not %q", who, w.Code, w.Body, name)
	}
	var friends, recommended []string
	for _, f := range decode[[]wire.Friend](t, c.Do("GET", fmt.Sprintf("/friend/v1/users/%d/friends", who), "")) {
		friends = append(friends, fmt.Sprint(f.ID, ":", f.FriendID))
	}
	recommend := fmt.Sprintf("/recommendation/v1/users/%d/commands/recommendFriends", who)
	for _, r := range decode[[]wire.Recommendation](t, c.Do("GET", recommend, "")) {
		recommended = append(recommended, fmt.Sprint(r.User.ID, ":", r.Weight))
	}
	var mutual []int64
	shared := fmt.Sprintf("/recommendation/v1/users/%d/commands/findMutualFriends?friendId=%d", who, whom)
	for _, u := range decode[[]wire.User](t, c.Do("GET", shared, "")) {
		mutual = append(mutual, u.ID)
	}
	if want := c.network.friends(who); !slices.Equal(friends, want) {
		t.Fatalf("friends of %d are %v, not %v", who, friends, want)
	}
	if want := c.network.recommend(who); !slices.Equal(recommended, want) {
		t.Fatalf("recommended to %d are %v, not %v", who, recommended, want)
	}
	if want := c.network.mutual(who, whom); !slices.Equal(mutual, want) {
		t.Fatalf("%d and %d share %v, not %v", who, whom, mutual, want)
	}
}
