package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"ensemble/client"
	"ensemble/wire"
)

// TestAPartMayBeAskedForAgain: what a part says of the next is all that is needed to
// go on, in another process too.
func TestAPartMayBeAskedForAgain(t *testing.T) {
	c := hub(t, 20)
	for _, size := range []int{1, 3, 7, 19, 20, 21, 1000} {
		var ids []int64
		for next, first := "", true; first || next != ""; first = false {
			page, err := c.UsersPage(t.Context(), next, size)
			if err != nil || len(page.Users) > size {
				t.Fatalf("%d people in a part of %d, %v", len(page.Users), size, err)
			}
			again, err := c.UsersPage(t.Context(), next, size)
			if err != nil || fmt.Sprint(again) != fmt.Sprint(page) {
				t.Fatalf("%v, then %v, %v", page, again, err)
			}
			for _, u := range page.Users {
				ids = append(ids, u.ID)
			}
			next = page.Next
		}
		if len(ids) != 20 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 20 {
			t.Errorf("by %d: %v", size, ids)
		}
	}
}

func TestAPartThatIsRefusedSaysWhy(t *testing.T) {
	_, c := connect(t)
	_, err := c.UsersPage(t.Context(), "/user/v1/users?cursor=forged", 0)
	problem, ok := errors.AsType[*client.ProblemError](err)
	if !ok || problem.Slug() != wire.InvalidCursor {
		t.Errorf("%v", err)
	}
	if page, err := c.UsersPage(t.Context(), "", 10); err != nil || len(page.Users) != 0 || page.Next != "" {
		t.Errorf("of nobody: %+v, %v", page, err)
	}
}

// TestEveryFriendshipWasBegunByOne: the lists of those whom everybody began make up
// all friendships, each once.
func TestEveryFriendshipWasBegunByOne(t *testing.T) {
	c := hub(t, 12)
	rows := map[int64]bool{}
	for id := int64(1); id <= 12; id++ {
		begun, err := c.FriendsBegun(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range begun {
			if f.UserID != id || rows[f.ID] {
				t.Errorf("%+v is one that %d began, or came before", f, id)
			}
			rows[f.ID] = true
		}
	}
	if len(rows) != 6+9 {
		t.Errorf("%d friendships", len(rows))
	}
	if begun, err := c.FriendsBegun(t.Context(), 99); err != nil || len(begun) != 0 {
		t.Errorf("of nobody: %v, %v", begun, err)
	}
}

func TestTheLinkToTheNextPart(t *testing.T) {
	for _, c := range []struct {
		links []string
		next  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{`</a?cursor=x>; rel="next"`}, "/a?cursor=x"},
		{[]string{`</a?cursor=x>; rel=next`}, "/a?cursor=x"},
		{[]string{`</p>; rel="prev", </a>; rel="next"`}, "/a"},
		{[]string{`</a>; title="x"; rel="next", </b>; rel="last"`}, "/a"},
		{[]string{`</p>; rel="prev"`, `</a>; rel="next"`}, "/a"},
		{[]string{`</users?ids=1,2&cursor=x>; rel="next"`}, "/users?ids=1,2&cursor=x"},
		{[]string{`<a>; rel="next"`}, ""},
		{[]string{`<https://elsewhere/a>; rel="next"`}, ""},
		{[]string{`<//elsewhere/a>; rel="next"`}, ""},
		{[]string{`</a>; rel="last"`}, ""},
		{[]string{`</a`, `>`, `<>`, `;;`, `<>; rel="next"`}, ""},
	} {
		cl := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, link := range c.links {
				w.Header().Add("Link", link)
			}
			fmt.Fprint(w, `[{"id":1}]`)
		}))
		if page, err := cl.UsersPage(t.Context(), "", 1); err != nil || page.Next != c.next || len(page.Users) != 1 {
			t.Errorf("%q goes on at %q, want %q, %v", c.links, page.Next, c.next, err)
		}
	}
}

// TestALimitIsAskedForOnTheFirstPartOnly: the cursor knows it from then on.
func TestALimitIsAskedForOnTheFirstPartOnly(t *testing.T) {
	var asked []string
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		fmt.Fprint(w, `[]`)
	}))
	for _, call := range []struct {
		next  string
		limit int
	}{{"", 0}, {"", 7}, {"/user/v1/users?limit=7&cursor=x", 7}} {
		if _, err := c.UsersPage(t.Context(), call.next, call.limit); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"/user/v1/users", "/user/v1/users?limit=7", "/user/v1/users?limit=7&cursor=x"}
	if !slices.Equal(asked, want) {
		t.Errorf("%q, want %q", asked, want)
	}
}
