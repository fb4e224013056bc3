package transfer

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTheTwoIDsOfALine(t *testing.T) {
	for line, want := range map[string][2]string{
		"1 2":                            {"1", "2"},
		"1\t2 0.75 friends":              {"1", "2"},
		"1,2":                            {"1", "2"},
		"1;2;3":                          {"1", "2"},
		"1, 2":                           {"1", "2"},
		`"a" "b"`:                        {"a", "b"},
		`"a";b`:                          {"a", "b"},
		`"" x`:                           {`""`, "x"},
		"07 7":                           {"07", "7"},
		"名 前":                            {"名", "前"},
		`{"userId":1,"friendId":2}`:      {"1", "2"},
		`{"friendId":"b","userId":"a"}`:  {"a", "b"},
		`{"userId":1e3,"friendId":-0.5}`: {"1e3", "-0.5"},
		`{"userId":9007199254740993,"friendId":"9007199254740992"}`: {"9007199254740993", "9007199254740992"},
		`{"userId":1,"friendId":2,"id":5,"createdAt":"x"}`:          {"1", "2"},
	} {
		x, y, ok := idsOf([]byte(line))
		if got := [2]string{x, y}; !ok || got != want {
			t.Errorf("%s: %q, %v", line, got, ok)
		}
	}
	for _, line := range []string{
		"1", ",,1", "{", `{"userId":1}`, `{"userId":1,"friendId":null}`, `{"userId":"","friendId":2}`, `{"userId":[1],"friendId":2}`,
		`{"userId":true,"friendId":2}`, `{"userId":1,"friendId":2} x`,
	} {
		if x, y, ok := idsOf([]byte(line)); ok {
			t.Errorf("%s: %q, %q", line, x, y)
		}
	}
}

func TestWhatIsAHeader(t *testing.T) {
	const people = "id,firstName,lastName\na,Ada,\nb,Bob,\nfrom,Eve,\n"
	for first, header := range map[string]bool{
		"userId friendId": true,
		"source,target":   true,
		"x;y;weight":      true,
		"a b":             false, // people
		"from to":         false, // one of them is somebody
		"1 2":             false, // a number is no name of a column
		"x 2":             false,
		"a x":             false,
	} {
		plan, _, odd, err := read(t, people, first+"\nb from\n")
		if err != nil {
			t.Fatal(err)
		}
		taken := plan.Friendships() == 2 || odd != ""
		if taken == header {
			t.Errorf("%q: %d friendships, %s", first, plan.Friendships(), odd)
		}
	}
	// A comment before it changes nothing; a second header is a line like others.
	plan, _, odd, err := read(t, people, "# list\nuserId,friendId\nuserId,friendId\na,b\n")
	if err != nil || plan.Friendships() != 1 || !strings.Contains(odd, "line 3: userId") {
		t.Errorf("%d friendships, %s%v", plan.Friendships(), odd, err)
	}
}

// TestEveryLineIsTakenInOrReportedOnce: any list, in any of the forms, against what
// a table of pairs says.
func TestEveryLineIsTakenInOrReportedOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		forms := []string{"%d %d", "%d\t%d x", "%d,%d", "%d;%d;", `{"userId":%d,"friendId":"%d"}`}
		form := rapid.SampledFrom(forms).Draw(rt, "form")
		people := rapid.IntRange(1, 6).Draw(rt, "people")
		var file strings.Builder
		want := map[Reason]int{}
		type pair struct{ a, b int }
		seen := map[pair]pair{}
		var order []string
		for range rapid.IntRange(0, 40).Draw(rt, "lines") {
			x, y := rapid.IntRange(1, 7).Draw(rt, "x"), rapid.IntRange(1, 7).Draw(rt, "y")
			fmt.Fprintf(&file, form+"\n", x, y)
			before, known := seen[pair{min(x, y), max(x, y)}]
			switch {
			case x == y:
				want[Oneself]++
			case x > people || y > people:
				want[Unknown]++
			case known && before == pair{x, y}:
				want[Repeated]++
			case known:
				want[Reversed]++
			default:
				seen[pair{min(x, y), max(x, y)}] = pair{x, y}
				order = append(order, strconv.Itoa(x)+"-"+strconv.Itoa(y))
			}
		}
		plan, would, _, err := read(t, "firstName,lastName\n"+strings.Repeat("A,B\n", people), file.String())
		if err != nil {
			rt.Fatal(err)
		}
		got := map[Reason]int{}
		if plan.friendsOdd == nil { // an empty text is no file
			return
		}
		for _, k := range plan.friendsOdd.kinds {
			got[k.reason] = k.count
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
		all := strings.Split(strings.TrimSpace(would), "\n")[people:]
		if diff := cmp.Diff(strings.Join(order, "\n"), strings.Join(all, "\n")); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// FuzzFriends: no line of an edge list makes a friendship with oneself or a second
// one, and each is taken in or counted.
func FuzzFriends(f *testing.F) {
	f.Add([]byte("1 2\n2 1\n1 1\n"))
	f.Add([]byte("userId,friendId\n\"1\",2\n{\"userId\":2,\"friendId\":3}\n"))
	f.Add([]byte("9223372036854775807;1\n\xff\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, _, _, err := read(t, "", string(text))
		if err != nil {
			return
		}
		pairs := map[[2]int64]bool{}
		for _, f := range plan.friendships {
			a, b := plan.dir.ids[f.a], plan.dir.ids[f.b]
			pair := [2]int64{min(a, b), max(a, b)}
			if a == b || a < 1 || b < 1 || pairs[pair] || f.line < 1 {
				t.Fatalf("line %d: %d and %d", f.line, a, b)
			}
			pairs[pair] = true
		}
	})
}
