package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ensemble/api/apitest"
	"ensemble/user"
	"ensemble/wire"
)

// pages follows the links of a feed from a first page to its last, and returns the
// positions of its events.
func pages(t apitest.TB, s *apitest.System, target string, limit int) (positions []int64) {
	t.Helper()
	for target != "" {
		w := s.Do("GET", target, "")
		expect(t, w, http.StatusOK)
		n := 0
		for line := range strings.Lines(w.Body.String()) {
			var e wire.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			positions = append(positions, e.Position)
			n++
		}
		if n > limit {
			t.Fatalf("%s has %d events", target, n)
		}
		link := w.Header().Get("Link")
		next, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
		if next != "" && (!strings.HasSuffix(link, `; rel="next"`) || next == target) {
			t.Fatalf("%s is followed by %s", target, link)
		}
		target = next
	}
	return positions
}

// Whatever is asked of whatever happened, the pages together have each event that
// was asked for once, in order.
func TestPagesOfEventsAnswerAsBruteForceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := apitest.Start(t, apitest.Options{})
		kinds := []string{""} // by position
		names := map[int64]int{}
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			if id := rapid.Int64Range(1, 20).Draw(t, "person"); names[id] > 0 {
				names[id]++
				body := fmt.Sprintf(`{"firstName":"Ada %d","lastName":""}`, names[id])
				expect(t, s.Do("PUT", "/user/v1/users/"+strconv.FormatInt(id, 10), body), http.StatusOK)
				kinds = append(kinds, "UserRenamed")
				continue
			}
			people(t, s, 1)
			names[int64(len(names)+1)] = 1
			kinds = append(kinds, "UserCreated")
		}
		after := rapid.IntRange(0, len(kinds)-1).Draw(t, "after")
		limit := rapid.IntRange(1, 50).Draw(t, "limit")
		types := rapid.SampledFrom([][]string{nil, {"UserCreated"}, {"UserRenamed"}, {"UserErased"}, {"UserRenamed", "UserCreated"}}).Draw(t, "types")
		target := fmt.Sprintf("/user/v1/events?after=%d&limit=%d", after, limit)
		if types != nil {
			target += "&types=" + strings.Join(types, ",")
		}
		var want []int64
		for p := after + 1; p < len(kinds); p++ {
			if types == nil || slices.Contains(types, kinds[p]) {
				want = append(want, int64(p))
			}
		}
		if got := pages(t, s, target, limit); !slices.Equal(got, want) {
			t.Fatalf("%s has %v, not %v", target, got, want)
		}
	})
}

// Once a person's key is destroyed no page tells the name again, and no event is
// missing for that.
func TestWhoHasNoKeyHasNoNameInTheFeed(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	expect(t, s.Do("POST", "/user/v1/users", `{"firstName":"Canary","lastName":"Yellow"}`), http.StatusCreated)
	expect(t, s.Do("PUT", "/user/v1/users/1", `{"firstName":"Canary","lastName":"Blue"}`), http.StatusOK)
	people(t, s, 1)
	s.Settle(t)
	stored, err := s.UserLog.ReadAll(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	created, err := user.Decode(s.Keys, stored[0])
	if err != nil {
		t.Fatal(err)
	}
	before := s.Do("GET", "/user/v1/events", "").Body.String()
	if strings.Count(before, "Canary") != 2 || strings.Contains(before, "sealed") || strings.Contains(before, `"key"`) {
		t.Errorf("the feed says %s", before)
	}
	if err := s.Keys.Destroy(t.Context(), created.(user.Created).Key); err != nil { //nolint:forcetypeassert // it is one
		t.Fatal(err)
	}
	after := s.Do("GET", "/user/v1/events", "").Body.String()
	if strings.Contains(after, "Canary") || strings.Count(after, `"firstName":null,"lastName":null`) != 2 || strings.Count(after, "\n") != 3 {
		t.Errorf("the feed says %s", after)
	}
}
