package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/readmodel"
	"ensemble/wire"
)

// next returns where a list goes on, "" if it does not.
func next(t apitest.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	link := w.Header().Get("Link")
	if link == "" {
		return ""
	}
	m := regexp.MustCompile(`^<(/[^>]*)>; rel="next"$`).FindStringSubmatch(link)
	if m == nil {
		t.Fatalf("no link: %s", link)
	}
	return m[1]
}

// cursorOf returns the cursor of a link.
func cursorOf(t apitest.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	_, cursor, found := strings.Cut(next(t, w), "cursor=")
	if !found {
		t.Fatalf("no cursor in %q", w.Header().Get("Link"))
	}
	return cursor
}

// lists are all lists, as the network has them: what they are asked by, and what
// makes an item of an answer comparable with one of the model.
type listing struct {
	target string
	model  func(*network) []string
	read   func(apitest.TB, *httptest.ResponseRecorder) []string
}

func allLists() []listing {
	return []listing{
		{"/user/v1/users?", func(n *network) (ids []string) {
			for id := range int64(len(n.names)) {
				ids = append(ids, fmt.Sprint(id+1))
			}
			return ids
		}, userIDs},
		{"/friend/v1/users/1/friends?", func(n *network) []string { return n.friends(1) }, rows},
		{"/friend/v1/users/1/friends?direction=outgoing&", func(n *network) (list []string) {
			for _, f := range n.rows {
				if f.UserID == 1 {
					list = append(list, fmt.Sprint(f.ID, ":", f.FriendID))
				}
			}
			return list
		}, rows},
		{"/recommendation/v1/users/1/commands/findMutualFriends?friendId=2&", func(n *network) (ids []string) {
			for _, id := range n.mutual(1, 2) {
				ids = append(ids, fmt.Sprint(id))
			}
			return ids
		}, userIDs},
		{"/recommendation/v1/users/1/commands/recommendFriends?", func(n *network) []string { return n.recommend(1) }, ranks},
		{"/recommendation/v1/users/1/commands/recommendFriends?minWeight=2&", func(n *network) []string {
			return slices.DeleteFunc(n.recommend(1), func(s string) bool { return strings.HasSuffix(s, ":1") })
		}, ranks},
	}
}

func userIDs(t apitest.TB, w *httptest.ResponseRecorder) (ids []string) {
	for _, u := range decode[[]wire.User](t, w) {
		ids = append(ids, fmt.Sprint(u.ID))
	}
	return ids
}

func rows(t apitest.TB, w *httptest.ResponseRecorder) (list []string) {
	for _, f := range decode[[]wire.Friend](t, w) {
		list = append(list, fmt.Sprint(f.ID, ":", f.FriendID))
	}
	return list
}

func ranks(t apitest.TB, w *httptest.ResponseRecorder) (list []string) {
	for _, r := range decode[[]wire.Recommendation](t, w) {
		list = append(list, fmt.Sprint(r.User.ID, ":", r.Weight))
	}
	return list
}

// Whatever changes between two pages: what was there all the time comes exactly
// once, what was never there does not come. Who moves in a ranking is somebody
// else for this purpose.
func TestPagesOfAChangingListNeitherRepeatNorSkip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &conversation{System: apitest.Start(t, apitest.Options{}), network: &network{names: map[int64]string{}}}
		for range 6 {
			c.create(t)
		}
		for range rapid.IntRange(5, 15).Draw(t, "friendships") {
			c.change(t)
		}
		list := rapid.SampledFrom(allLists()).Draw(t, "list")
		always, ever := list.model(c.network), list.model(c.network)
		var got []string
		for target := fmt.Sprintf("%slimit=%d", list.target, rapid.IntRange(1, 3).Draw(t, "limit")); target != ""; {
			c.Settle(t)
			w := c.Do(http.MethodGet, target, "")
			expect(t, w, http.StatusOK)
			got = append(got, list.read(t, w)...)
			target = next(t, w)
			for range rapid.IntRange(0, 2).Draw(t, "changes") {
				c.change(t)
				now := list.model(c.network)
				always = slices.DeleteFunc(always, func(item string) bool { return !slices.Contains(now, item) })
				ever = append(ever, now...)
			}
		}
		seen := map[string]bool{}
		for _, item := range got {
			if seen[item] || !slices.Contains(ever, item) {
				t.Fatalf("%s came twice, or never was there: %v", item, got)
			}
			seen[item] = true
		}
		for _, item := range always {
			if !seen[item] {
				t.Fatalf("%s was skipped: %v", item, got)
			}
		}
	})
}

// change does something to the network that may or may not be possible.
func (c *conversation) change(t *rapid.T) {
	by, to := rapid.Int64Range(1, 6).Draw(t, "by"), rapid.Int64Range(1, 6).Draw(t, "to")
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		c.create(t)
	case 1, 2, 3:
		c.command(t, "removeFriend", by, to, c.network.remove(by, to))
	default:
		c.command(t, "addFriend", by, to, c.network.add(by, to))
	}
}

func TestPagesOfAnySizeAreTheWholeList(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	for _, list := range allLists() {
		whole := s.Do("GET", list.target+"limit=1000", "")
		want := list.read(t, whole)
		if next(t, whole) != "" || len(want) < 3 {
			t.Errorf("%s has %v, and goes on at %q", list.target, want, next(t, whole))
		}
		for limit := 1; limit <= len(want)+1; limit++ {
			var got []string
			pages := 0
			for target := fmt.Sprintf("%slimit=%d", list.target, limit); target != ""; pages++ {
				w := s.Do("GET", target, "")
				got, target = append(got, list.read(t, w)...), next(t, w)
			}
			if !slices.Equal(got, want) || pages != (len(want)+limit-1)/limit {
				t.Errorf("%s by %d: %v on %d pages, not %v", list.target, limit, got, pages, want)
			}
		}
	}
}

// circle starts a system in which 1 and 2 are both friends with 3, 4 and 5, and
// these with everybody up to n.
func circle(t *testing.T, o apitest.Options, n int) *apitest.System {
	t.Helper()
	s := apitest.Start(t, o)
	people(t, s, n)
	for hub := 3; hub <= 5; hub++ {
		for id := 1; id <= n; id++ {
			if id <= 2 || id > 5 {
				expect(t, s.Do("POST", fmt.Sprintf("/friend/v1/users/%d/commands/addFriend?friendId=%d", min(id, hub), max(id, hub)), ""), http.StatusCreated)
			}
		}
	}
	s.Settle(t)
	return s
}

func TestACursorIsForOneListOnly(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	lists := []string{
		"/user/v1/users?", "/friend/v1/users/1/friends?", "/friend/v1/users/1/friends?direction=outgoing&", "/friend/v1/users/2/friends?",
		"/recommendation/v1/users/1/commands/findMutualFriends?friendId=2&", "/recommendation/v1/users/1/commands/findMutualFriends?friendId=6&",
		"/recommendation/v1/users/2/commands/findMutualFriends?friendId=1&", "/recommendation/v1/users/1/commands/recommendFriends?",
		"/recommendation/v1/users/1/commands/recommendFriends?minWeight=2&", "/recommendation/v1/users/2/commands/recommendFriends?",
	}
	for _, from := range lists {
		cursor := cursorOf(t, s.Do("GET", from+"limit=1", ""))
		for _, to := range lists {
			w := s.Do("GET", to+"cursor="+cursor, "")
			if from == to {
				expect(t, w, http.StatusOK)
			} else {
				problem(t, w, http.StatusBadRequest, wire.InvalidCursor)
			}
		}
	}
	t.Run("what holds without an option is what holds with it", func(t *testing.T) {
		for with, without := range map[string]string{
			"/friend/v1/users/1/friends?direction=both&":                           "/friend/v1/users/1/friends?",
			"/recommendation/v1/users/1/commands/recommendFriends?minWeight=1&":    "/recommendation/v1/users/1/commands/recommendFriends?",
			"/recommendation/v1/users/1/commands/recommendFriends?explain=true&":   "/recommendation/v1/users/1/commands/recommendFriends?",
			"/recommendation/v1/users/1/commands/recommendFriends/?unknown=1&":     "/recommendation/v1/users/%31/commands/recommendFriends?",
			"/recommendation/v1/users/1/commands/findMutualFriends?friendId=%32&_": "/recommendation/v1/users/1/commands/findMutualFriends?friendId=2&",
		} {
			expect(t, s.Do("GET", without+"cursor="+cursorOf(t, s.Do("GET", with+"&limit=1", "")), ""), http.StatusOK)
		}
	})
}

func TestCursorsThatAreNone(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	good := cursorOf(t, s.Do("GET", "/user/v1/users?limit=1", ""))
	for _, list := range allLists() {
		for _, bad := range []string{
			"", "1", "x", "null", "%00", good[1:], good[:len(good)-1], good + "A", good + "=", "%20" + good, good + "%0A", strings.ToLower(good),
			strings.Repeat("A", 14), strings.Repeat("_", 38), strings.Repeat("A", 10_000), good + "&cursor=" + good, "..", "%zz", "🙂",
		} {
			problem(t, s.Do("GET", list.target+"cursor="+bad, ""), http.StatusBadRequest, wire.InvalidCursor)
		}
	}
	for i := range len(good) {
		forged := []byte(good)
		if forged[i]++; forged[i] == 'Z'+1 || forged[i] == 'z'+1 || forged[i] == '9'+1 {
			forged[i] = 'A'
		}
		problem(t, s.Do("GET", "/user/v1/users?cursor="+string(forged), ""), http.StatusBadRequest, wire.InvalidCursor)
	}
}

func TestACursorOutlivesTheProcess(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	cursor := cursorOf(t, s.Do("GET", "/user/v1/users?limit=2", ""))
	again, err := api.NewUser(t.Context(), api.UserConfig{
		Config: api.Config{Log: apitest.Quiet()}, Store: s.UserLog, Users: readmodel.NewUsers(s.UserLog),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := apitest.Do(again, "GET", "/v1/users?limit=1&cursor="+cursor, "")
	if got := userIDs(t, w); !slices.Equal(got, []string{"3"}) {
		t.Errorf("the list goes on with %v", got)
	}
	// Cursors never expire: this one was given by the first version that had any.
	if first := "K0dSZb0xiRECAA"; cursor != first {
		t.Errorf("the form of cursors has changed from %s to %s; the old one has to be read for ever", first, cursor)
	}
}

func TestLimits(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	for _, list := range allLists() {
		for _, bad := range []string{"0", "1001", "-1", "", "01", "1.0", "1e2", "all", "%201", "1%20", "+1", "9223372036854775808", "1&limit=1", "1&limit=2"} {
			problem(t, s.Do("GET", list.target+"limit="+bad, ""), http.StatusBadRequest, wire.InvalidParameter)
		}
		for _, good := range []string{"1", "1000", "%31"} {
			expect(t, s.Do("GET", list.target+"limit="+good, ""), http.StatusOK)
		}
	}
}

func TestOptionsOfRecommendations(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	const target = "/recommendation/v1/users/1/commands/recommendFriends?"
	for _, bad := range []string{
		"minWeight=0", "minWeight=-1", "minWeight=", "minWeight=1.5", "minWeight=1&minWeight=1", "minWeight=9223372036854775808",
		"explain", "explain=", "explain=1", "explain=TRUE", "explain=true&explain=true",
	} {
		problem(t, s.Do("GET", target+bad, ""), http.StatusBadRequest, wire.InvalidParameter)
	}
	for _, r := range decode[[]wire.Recommendation](t, s.Do("GET", target+"explain=true&minWeight=3", "")) {
		if r.Weight != 3 || !slices.Equal(r.MutualFriends, []int64{3, 4, 5}) {
			t.Errorf("%d has weight %d by %v", r.User.ID, r.Weight, r.MutualFriends)
		}
	}
	for query, want := range map[string]int{"minWeight=1": 5, "minWeight=3": 5, "minWeight=4": 0, "minWeight=9223372036854775807": 0} {
		if got := ranks(t, s.Do("GET", target+query, "")); len(got) != want {
			t.Errorf("%s gives %v", query, got)
		}
	}
	if w := s.Do("GET", target+"explain=false", ""); strings.Contains(w.Body.String(), "mutualFriends") {
		t.Errorf("explained without being asked: %s", w.Body)
	}
}

func TestUsersByIDs(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 5)
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("7,", n), ",") }
	for query, want := range map[string]string{
		"ids=3": "3", "ids=5,1,3": "1 3 5", "ids=2,2,2": "2", "ids=9,8,9223372036854775807": "", "ids=%31%2C2": "1 2",
		"ids=" + many(499) + ",4": "4", "ids=1,2,3&limit=2": "1 2", "ids=1,9&limit=1": "1",
	} {
		w := s.Do("GET", "/user/v1/users?"+query, "")
		expect(t, w, http.StatusOK)
		if got := strings.Join(userIDs(t, w), " "); got != want {
			t.Errorf("%s gives %s, not %s", query, got, want)
		}
		if linked := next(t, w) != ""; linked != (query == "ids=1,2,3&limit=2") {
			t.Errorf("%s goes on at %q", query, next(t, w))
		}
	}
	for query, slug := range map[string]wire.Slug{
		"ids=": wire.InvalidID, "ids=0": wire.InvalidID, "ids=1,0": wire.InvalidID, "ids=1,": wire.InvalidID, "ids=,1": wire.InvalidID,
		"ids=1,%202": wire.InvalidID, "ids=1+,2": wire.InvalidID, "ids=-1": wire.InvalidID, "ids=a": wire.InvalidID, "ids=1;2": wire.InvalidID,
		"ids=9223372036854775808": wire.InvalidID, "ids=" + many(501): wire.InvalidParameter, "ids=1&ids=2": wire.InvalidParameter,
		"ids=1&cursor=x": wire.InvalidParameter, "ids=1&limit=0": wire.InvalidParameter,
	} {
		problem(t, s.Do("GET", "/user/v1/users?"+query, ""), http.StatusBadRequest, slug)
	}
}

func TestLinksLeadBackThroughTheGateway(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	for h, want := range map[http.Handler]string{s.Gateway: "/user/v1/users", s.User: "/v1/users"} {
		got, _, _ := strings.Cut(next(t, apitest.Do(h, "GET", want+"?limit=1", "")), "?")
		if got != want {
			t.Errorf("the link leads to %s, not %s", got, want)
		}
	}
	w := s.Do("GET", `/user/v1/users?limit=1&x=>;rel="evil"`, "", "X-Forwarded-Prefix", "/evil")
	if link := w.Header().Get("Link"); strings.Contains(link, "evil") {
		t.Errorf("a client has written into the link: %s", link)
	}
}
