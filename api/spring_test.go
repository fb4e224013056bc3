package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"ensemble/api/apitest"
)

// A client written for the Spring system knows nothing of this code base: it
// speaks JSON over the gateway's port and reads a few members.
func TestAClientOfTheSpringSystem(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	server := listen(t, s)
	call := func(method, path, body string) (int, any) {
		req, err := http.NewRequest(method, server.URL+path, bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Error(err)
			return 0, nil
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		var v any
		if len(data) > 0 && json.Unmarshal(data, &v) != nil {
			t.Errorf("%s %s: %s", method, path, data)
		}
		return resp.StatusCode, v
	}
	member := func(v any, name string) any { return v.(map[string]any)[name] }

	for _, service := range []string{"user", "friend", "recommendation"} {
		if status, health := call("GET", "/"+service+"/actuator/health", ""); status != 200 || member(health, "status") != "UP" {
			t.Fatalf("%s is %d %v", service, status, health)
		}
	}

	const people = 50
	ids := make([]int, people)
	var creating sync.WaitGroup
	for i := range people {
		creating.Go(func() {
			_, u := call("POST", "/user/v1/users", fmt.Sprintf(`{"firstName":"User%d","lastName":"Test"}`, i))
			ids[i] = int(member(u, "id").(float64))
		})
	}
	creating.Wait()
	slices.Sort(ids)
	for i, id := range ids {
		if id != i+1 {
			t.Fatalf("ids are not dense from 1: %v", ids)
		}
	}

	for _, pair := range [][2]int{{1, 2}, {2, 3}, {3, 1}, {2, 4}, {3, 4}, {2, 5}, {2, 6}, {3, 6}} {
		status, f := call("POST", fmt.Sprintf("/friend/v1/users/%d/commands/addFriend?friendId=%d", pair[0], pair[1]), "")
		if status != 201 || member(f, "userId") != float64(pair[0]) || member(f, "friendId") != float64(pair[1]) {
			t.Fatalf("adding %v: %d %v", pair, status, f)
		}
	}
	s.Settle(t)

	if _, list := call("GET", "/friend/v1/users/1/friends", ""); len(list.([]any)) != 2 {
		t.Errorf("friends of 1: %v", list)
	}
	if _, list := call("GET", "/recommendation/v1/users/1/commands/findMutualFriends?friendId=4", ""); len(list.([]any)) != 2 {
		t.Errorf("mutual friends of 1 and 4: %v", list)
	}
	_, list := call("GET", "/recommendation/v1/users/1/commands/recommendFriends", "")
	var ranking []string
	for _, r := range list.([]any) {
		ranking = append(ranking, fmt.Sprint(member(member(r, "user"), "id"), ":", member(r, "weight")))
	}
	if want := []string{"4:2", "6:2", "5:1"}; !slices.Equal(ranking, want) {
		t.Errorf("recommendations for 1: %v, not %v", ranking, want)
	}
	if status, _ := call("POST", "/friend/v1/users/1/commands/removeFriend?friendId=2", ""); status != 204 {
		t.Errorf("removing: %d", status)
	}
}
