package recommendation_test

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"ensemble/recommendation"
	"ensemble/user"
	"ensemble/wire"
)

func ExampleNewProfile() {
	p := recommendation.NewProfile(user.User{ID: 1, FirstName: "Ada", CreatedAt: time.UnixMilli(1_669_477_531_123)})
	fmt.Println(p.Text())
	// Output: {"id":1,"firstName":"Ada","lastName":"","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":null}
}

// TestAProfileIsTheUserAsTheAPIWritesThem, whether its text was made ahead or not.
func TestAProfileIsTheUserAsTheAPIWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := user.User{
			ID: rapid.Int64().Draw(t, "id"), Key: rapid.Int64().Draw(t, "key"),
			FirstName: rapid.String().Draw(t, "first"), LastName: rapid.String().Draw(t, "last"),
			CreatedAt: time.UnixMicro(rapid.Int64Range(0, 1<<50).Draw(t, "created")),
		}
		want := string(wire.AppendUser(nil, u))
		ahead, late := recommendation.NewProfile(u), recommendation.Profile{User: u}
		if ahead.Text() != want || ahead.User != u || late.Text() != want {
			t.Fatalf("%+v is shown as %s and %s, not as %s", ahead.User, ahead.Text(), late.Text(), want)
		}
	})
}

// TestManyProfilesAreWhatEachWouldBe by itself, though they share a text.
func TestManyProfilesAreWhatEachWouldBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var users []user.User
		for id := range int64(rapid.IntRange(0, 5).Draw(t, "people")) {
			users = append(users, user.User{
				ID: id + 1, FirstName: rapid.String().Draw(t, "first"), LastName: rapid.String().Draw(t, "last"),
				CreatedAt: time.UnixMicro(id), Erased: rapid.Bool().Draw(t, "erased"),
			})
		}
		got := recommendation.NewProfiles([]recommendation.Profile{{JSON: "before"}}, users)
		if len(got) != len(users)+1 || got[0].JSON != "before" {
			t.Fatalf("%d profiles of %d people: %+v", len(got), len(users), got)
		}
		for i, u := range users {
			if want := recommendation.NewProfile(u); got[i+1] != want {
				t.Fatalf("%+v, and by itself %+v", got[i+1], want)
			}
		}
	})
}

// TestNamesAreKeptOnce, as parts of the JSON, unless JSON has to escape them.
func TestNamesAreKeptOnce(t *testing.T) {
	inside := func(part, whole string) bool {
		start, at := uintptr(unsafe.Pointer(unsafe.StringData(whole))), uintptr(unsafe.Pointer(unsafe.StringData(part)))
		return start <= at && at+uintptr(len(part)) <= start+uintptr(len(whole))
	}
	for name, once := range map[string]bool{
		"Ada": true, "Žofie": true, "O'Brien": true, "id": true, "<b>": true, `the "Cat"`: false, `back\slash`: false,
	} {
		p := recommendation.NewProfile(user.User{ID: 1, FirstName: name, LastName: "L" + name})
		if inside(p.FirstName, p.JSON) != once || inside(p.LastName, p.JSON) != once || p.FirstName != name || p.LastName != "L"+name {
			t.Errorf("%s is kept as %q and %q in %s", name, p.FirstName, p.LastName, p.JSON)
		}
	}
}
