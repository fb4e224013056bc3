package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"pgregory.net/rapid"

	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/wire"
)

// outcome is what the first request with a key was answered.
type outcome struct {
	payload string
	about   []int64 // people whom the answer speaks of
	answer  *httptest.ResponseRecorder
}

// keybook is what somebody knows who writes down each key that was used.
type keybook struct {
	s      *apitest.System
	kept   map[string]outcome // by method, path, query and key
	born   int64
	erased map[int64]bool
	added  map[[2]int64]bool
}

// Whatever happens to people between a request and its repetition, the repetition
// is answered as the request was, or 410 once a person it speaks of is erased, and
// it never adds an event.
func TestARepetitionAnswersAsTheFirstDidWhateverHappenedSince(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := &keybook{
			s:    apitest.Start(t, apitest.Options{}),
			kept: map[string]outcome{}, erased: map[int64]bool{}, added: map[[2]int64]bool{},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create":   k.create,
			"befriend": k.befriend,
			"rename":   k.rename,
			"erase":    k.erase,
		})
	})
}

func (k *keybook) create(t *rapid.T) {
	name := rapid.SampledFrom([]string{"Ada", "Grace", " "}).Draw(t, "name")
	key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
	body := fmt.Sprintf(`{"firstName":%q,"lastName":""}`, name)
	status, about := http.StatusCreated, []int64{k.born + 1}
	if name == " " {
		status, about = http.StatusUnprocessableEntity, nil
	}
	if k.post(t, "/user/v1/users", body, key, status, about) && status == http.StatusCreated {
		k.born++
	}
}

func (k *keybook) befriend(t *rapid.T) {
	by, to := rapid.Int64Range(1, 4).Draw(t, "by"), rapid.Int64Range(1, 4).Draw(t, "to")
	if by == to || k.erased[by] || k.erased[to] {
		t.Skip("not decided by keys")
	}
	key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
	status := http.StatusCreated
	switch {
	case k.added[[2]int64{by, to}]:
		status = http.StatusConflict
	case k.added[[2]int64{to, by}]:
		status = http.StatusOK
	case max(by, to) > k.born:
		status = http.StatusNotFound
	}
	target := fmt.Sprintf("/friend/v1/users/%d/commands/addFriend?friendId=%d", by, to)
	if k.post(t, target, "", key, status, []int64{by, to}) && status == http.StatusCreated {
		k.added[[2]int64{by, to}] = true
	}
}

// decided counts the events that requests have led to. The friendships of somebody
// erased are ended meanwhile, by nobody's request.
func (k *keybook) decided(t *rapid.T) int64 {
	n := events(t, k.s.UserLog)
	all, err := k.s.FriendLog.ReadAll(t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Type == "FriendAdded" {
			n++
		}
	}
	return n
}

// post sends a request with a key, and returns whether it was the first with it.
// status is the answer to a first one.
func (k *keybook) post(t *rapid.T, target, payload, key string, status int, about []int64) bool {
	before := k.decided(t)
	w := k.s.Do("POST", target, payload, "Idempotency-Key", key)
	first, known := k.kept[target+" "+key]
	if !known {
		if w.Code != status || w.Header().Get("Idempotency-Replayed") != "" {
			t.Fatalf("the first %s %s is answered %d, not %d: %s", target, payload, w.Code, status, w.Body)
		}
		k.kept[target+" "+key] = outcome{payload: payload, about: about, answer: w}
		return true
	}
	if now := k.decided(t); now != before {
		t.Fatalf("a repetition of %s added %d events", target, now-before)
	}
	k.repeated(t, first, payload, w)
	return false
}

func (k *keybook) repeated(t *rapid.T, first outcome, payload string, w *httptest.ResponseRecorder) {
	if payload != first.payload {
		problem(t, w, http.StatusUnprocessableEntity, wire.KeyReused)
		return
	}
	for _, id := range first.about {
		if k.erased[id] {
			problem(t, w, http.StatusGone, wire.UserErased)
			return
		}
	}
	if w.Code != first.answer.Code || w.Header().Get("Idempotency-Replayed") != "true" {
		t.Fatalf("it was answered %d, then %d, replayed %q: %s", first.answer.Code, w.Code, w.Header().Get("Idempotency-Replayed"), w.Body)
	}
	for _, name := range []string{"Location", "ETag", "Event-Position", "Content-Type"} {
		if was, is := first.answer.Header().Get(name), w.Header().Get(name); was != is {
			t.Fatalf("%s was %q, then %q", name, was, is)
		}
	}
	if w.Code < 300 && w.Body.String() != first.answer.Body.String() {
		t.Fatalf("the body was\n%s\nthen\n%s", first.answer.Body, w.Body)
	}
}

func (k *keybook) rename(t *rapid.T) {
	id := rapid.Int64Range(1, 4).Draw(t, "id")
	w := k.s.Do("PUT", fmt.Sprintf("/user/v1/users/%d", id), `{"firstName":"Renamed","lastName":""}`, "Idempotency-Key", "a")
	k.plain(t, id, w, http.StatusOK)
}

func (k *keybook) erase(t *rapid.T) {
	id := rapid.Int64Range(1, 4).Draw(t, "id")
	k.plain(t, id, k.s.Do("DELETE", fmt.Sprintf("/user/v1/users/%d", id), "", "Idempotency-Key", "a"), http.StatusNoContent)
	if id <= k.born {
		k.erased[id] = true
	}
}

// plain holds the answer to a request that no key can repeat.
func (k *keybook) plain(t *rapid.T, id int64, w *httptest.ResponseRecorder, status int) {
	switch {
	case id > k.born:
		problem(t, w, http.StatusNotFound, wire.UserNotFound)
	case k.erased[id]:
		problem(t, w, http.StatusGone, wire.UserErased)
	default:
		expect(t, w, status)
	}
	if w.Header().Get("Idempotency-Replayed") != "" {
		t.Fatal("a key was taken where nothing is posted")
	}
}
