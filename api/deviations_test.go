package api_test

import (
	"net/http"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/readmodel"
	"ensemble/wire"
)

// Each test here is one line of docs/deviations.md: what differs from the Spring
// system on purpose.

// friends starts a system in which 1 has added 2, and 3 has added 1.
func friends(t *testing.T, o apitest.Options) *apitest.System {
	t.Helper()
	s := apitest.Start(t, o)
	people(t, s, 3)
	expect(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", ""), http.StatusCreated)
	expect(t, s.Do("POST", "/friend/v1/users/3/commands/addFriend?friendId=1", ""), http.StatusCreated)
	return s
}

func TestDeviationReverseAddIsNotASecondEdge(t *testing.T) {
	s := friends(t, apitest.Options{})
	before := events(t, s.FriendLog)
	w := s.Do("POST", "/friend/v1/users/2/commands/addFriend?friendId=1", "")
	expect(t, w, http.StatusOK)
	if f := decode[wire.Friend](t, w); f.ID != 1 || f.UserID != 2 || f.FriendID != 1 {
		t.Errorf("answered %+v", f)
	}
	if events(t, s.FriendLog) != before {
		t.Error("it left an event")
	}
}

func TestDeviationFriendsListShowsBothDirections(t *testing.T) {
	s := friends(t, apitest.Options{})
	list := decode[[]wire.Friend](t, s.Do("GET", "/friend/v1/users/1/friends", ""))
	if len(list) != 2 || list[0].FriendID != 2 || list[1].FriendID != 3 || list[1].UserID != 1 {
		t.Errorf("the list is %+v", list)
	}
}

func TestDeviationOutgoingFriendsCanBeTheDefaultAgain(t *testing.T) {
	s := friends(t, apitest.Options{Direction: readmodel.Outgoing})
	list := decode[[]wire.Friend](t, s.Do("GET", "/friend/v1/users/1/friends", ""))
	if len(list) != 1 || list[0].FriendID != 2 {
		t.Errorf("the list is %+v", list)
	}
	if both := decode[[]wire.Friend](t, s.Do("GET", "/friend/v1/users/1/friends?direction=both", "")); len(both) != 2 {
		t.Errorf("direction=both gives %+v", both)
	}
}

func TestDeviationSecondRemoveFromTheOtherSideIsNotFound(t *testing.T) {
	s := friends(t, apitest.Options{})
	expect(t, s.Do("POST", "/friend/v1/users/1/commands/removeFriend?friendId=2", ""), http.StatusNoContent)
	problem(t, s.Do("POST", "/friend/v1/users/2/commands/removeFriend?friendId=1", ""), http.StatusNotFound, wire.FriendshipNotFound)
}

func TestDeviationUnknownRowIsNotFound(t *testing.T) {
	s := friends(t, apitest.Options{})
	problem(t, s.Do("GET", "/friend/v1/friends/99", ""), http.StatusNotFound, wire.FriendshipNotFound)
}

func TestDeviationPostWithAnIDOrABlankNameIsRefused(t *testing.T) {
	s := friends(t, apitest.Options{})
	for _, body := range []string{`{"id":5,"firstName":"A","lastName":"B"}`, `{"firstName":"  ","lastName":"B"}`} {
		problem(t, s.Do("POST", "/user/v1/users", body), http.StatusUnprocessableEntity, wire.ValidationFailed)
	}
}

func TestDeviationDuplicatesTrailingDataAndCoercionAreRefused(t *testing.T) {
	s := friends(t, apitest.Options{})
	for body, status := range map[string]int{
		`{"firstName":"A","firstName":"A","lastName":"B"}`: http.StatusBadRequest,
		`{"firstName":"A","lastName":"B"},`:                http.StatusBadRequest,
		`{"firstName":1,"lastName":"B"}`:                   http.StatusUnprocessableEntity,
	} {
		expect(t, s.Do("POST", "/user/v1/users", body), status)
	}
}

func TestDeviationCreatedAtInPostIsIgnored(t *testing.T) {
	s := friends(t, apitest.Options{})
	w := s.Do("POST", "/user/v1/users", `{"firstName":"A","lastName":"B","createdAt":"1999-01-01T00:00:00.000+00:00","lastModified":7}`)
	expect(t, w, http.StatusCreated)
	if u := decode[wire.User](t, w); u.CreatedAt.Year() == 1999 {
		t.Errorf("createdAt is %v", u.CreatedAt)
	}
}

func TestDeviationIDsArePlainDecimalsAndNamesAreLimited(t *testing.T) {
	s := friends(t, apitest.Options{})
	problem(t, s.Do("GET", "/user/v1/users/+1", ""), http.StatusBadRequest, wire.InvalidID)
	long := `{"firstName":"` + strings.Repeat("a", 257) + `","lastName":"B"}`
	problem(t, s.Do("POST", "/user/v1/users", long), http.StatusUnprocessableEntity, wire.ValidationFailed)
}

func TestDeviationAnUnchangedPutPublishesNoEvent(t *testing.T) {
	s := friends(t, apitest.Options{})
	before := events(t, s.UserLog)
	w := s.Do("PUT", "/user/v1/users/1", `{"firstName":"Ada","lastName":"Lovelace"}`)
	expect(t, w, http.StatusOK)
	if events(t, s.UserLog) != before {
		t.Error("it left an event")
	}
}

func TestDeviationLastModifiedIsTheTimeOfTheLastChange(t *testing.T) {
	s := friends(t, apitest.Options{})
	created := decode[wire.User](t, s.Do("GET", "/user/v1/users/1", ""))
	same := decode[wire.User](t, s.Do("PUT", "/user/v1/users/1", `{"firstName":"Ada","lastName":"Lovelace"}`))
	if !same.LastModified.Equal(created.LastModified.Time) {
		t.Errorf("an unchanged PUT moved lastModified from %v to %v", created.LastModified, same.LastModified)
	}
}

func TestDeviationIDIsTheFirstMemberEverywhere(t *testing.T) {
	s := friends(t, apitest.Options{})
	s.Settle(t)
	for target, start := range map[string]string{
		"/user/v1/users/1": `{"id":1,"firstName":`,
		"/user/v1/users":   `[{"id":1,"firstName":`,
		"/recommendation/v1/users/2/commands/recommendFriends":             `[{"user":{"id":3,"firstName":`,
		"/recommendation/v1/users/2/commands/findMutualFriends?friendId=3": `[{"id":1,"firstName":`,
	} {
		if w := s.Do("GET", target, ""); !strings.HasPrefix(w.Body.String(), start) {
			t.Errorf("%s begins with %.40s", target, w.Body)
		}
	}
}

func TestDeviationIntendedStatusesInsteadOf500(t *testing.T) {
	s := friends(t, apitest.Options{})
	problem(t, s.Do("GET", "/user/v1/users/99", ""), http.StatusNotFound, wire.UserNotFound)
	problem(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=1", ""), http.StatusBadRequest, wire.SelfFriendship)
	problem(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", ""), http.StatusConflict, wire.FriendshipExists)
	p := problem(t, s.Do("POST", "/friend/v1/users/98/commands/addFriend?friendId=99", ""), http.StatusNotFound, wire.UserNotFound)
	if len(p.Missing) != 2 || p.Missing[0] != 98 || p.Missing[1] != 99 {
		t.Errorf("missing is %v", p.Missing)
	}
}

func TestDeviationDangerousActuatorsAreNotThere(t *testing.T) {
	s := friends(t, apitest.Options{})
	for _, actuator := range []string{"env", "heapdump", "shutdown", "gateway", "beans", "loggers"} {
		for _, prefix := range []string{"", "/user", "/friend", "/recommendation"} {
			problem(t, s.Do("GET", prefix+"/actuator/"+actuator, ""), http.StatusNotFound, wire.NotFound)
			problem(t, s.Do("POST", prefix+"/actuator/"+actuator, ""), http.StatusNotFound, wire.NotFound)
		}
		problem(t, apitest.Do(s.User, "GET", "/actuator/"+actuator, ""), http.StatusNotFound, wire.NotFound)
	}
}
