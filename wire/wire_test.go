package wire_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

func instant() time.Time { return time.Date(2022, 11, 26, 15, 45, 31, 123_999_999, time.UTC) }

func TestBodiesAreExact(t *testing.T) {
	ada := user.User{ID: 1, FirstName: "Ada", LastName: "", CreatedAt: instant(), LastModified: instant().Add(time.Second)}
	for _, c := range []struct{ sentence, got, want string }{
		{
			"a user", string(wire.AppendUser(nil, ada)),
			`{"id":1,"firstName":"Ada","lastName":"","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":"2022-11-26T15:45:32.123+00:00"}`,
		},
		{
			"a friendship, seen from By", string(wire.AppendFriend(nil, friend.Friendship{Row: 3, By: 2, To: 1, CreatedAt: instant()})),
			`{"id":3,"userId":2,"friendId":1,"createdAt":"2022-11-26T15:45:31.123+00:00","updatedAt":"2022-11-26T15:45:31.123+00:00"}`,
		},
		{
			"a recommendation", string(wire.AppendRecommendation([]byte("["), ada, 7, nil)),
			`[{"user":{"id":1,"firstName":"Ada","lastName":"","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":"2022-11-26T15:45:32.123+00:00"},"weight":7}`,
		},
		{
			"one that is explained", string(wire.AppendRecommendation(nil, user.User{ID: 1}, 12, []int64{2, math.MaxInt64})),
			`{"user":{"id":1,"firstName":"","lastName":"","createdAt":null,"lastModified":null},"weight":12,"mutualFriends":[2,9223372036854775807]}`,
		},
		{
			"one whose explanation has gone since", string(wire.AppendRecommendation(nil, user.User{ID: 1}, 1, []int64{})),
			`{"user":{"id":1,"firstName":"","lastName":"","createdAt":null,"lastModified":null},"weight":1,"mutualFriends":[]}`,
		},
		{
			"nulls are written", string(wire.AppendUser(nil, user.User{ID: math.MaxInt64})),
			`{"id":9223372036854775807,"firstName":"","lastName":"","createdAt":null,"lastModified":null}`,
		},
		{
			"text is escaped as little as JSON allows", string(wire.AppendUser(nil, user.User{FirstName: "\"\\/<>&'\u2028\x7f", LastName: "\t\x01é😀"})),
			`{"id":0,"firstName":"\"\\/<>&'` + "\u2028\x7f" + `","lastName":"\t\u0001é😀","createdAt":null,"lastModified":null}`,
		},
		{
			"what is no UTF-8 does not spoil the rest", string(wire.AppendUser(nil, user.User{FirstName: "a\xffb"})),
			`{"id":0,"firstName":"a` + "\ufffd" + `b","lastName":"","createdAt":null,"lastModified":null}`,
		},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got  %s\nwant %s", c.got, c.want)
			}
		})
	}
}

func TestWhatIsAppendedIsWhatClientsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "micros")).UTC()
		u := user.User{
			ID: rapid.Int64Min(1).Draw(t, "id"), FirstName: rapid.String().Draw(t, "first"), LastName: rapid.String().Draw(t, "last"),
			CreatedAt: at, LastModified: at.Add(time.Hour),
		}
		var got wire.Recommendation
		if err := json.Unmarshal(wire.AppendRecommendation(nil, u, 3, nil), &got); err != nil {
			t.Fatal(err)
		}
		want := wire.Recommendation{Weight: 3, User: wire.User{
			ID: u.ID, FirstName: u.FirstName, LastName: u.LastName,
			CreatedAt: wire.Time{Time: at.Truncate(time.Millisecond)}, LastModified: wire.Time{Time: at.Truncate(time.Millisecond).Add(time.Hour)},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTimesAreReadInEveryForm(t *testing.T) {
	want := time.Date(2022, 11, 26, 15, 45, 31, 123_000_000, time.UTC)
	for _, text := range []string{
		`"2022-11-26T15:45:31.123+00:00"`, `"2022-11-26T15:45:31.123+0000"`, `"2022-11-26T15:45:31.123Z"`,
		`"2022-11-26T16:45:31.123+01:00"`, `"2022-11-26T16:45:31.123+0100"`, `1669477531123`,
	} {
		var got wire.Time
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s is read as %v", text, got)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != `"2022-11-26T15:45:31.123+00:00"` {
			t.Errorf("%s is written as %s, %v", text, back, err)
		}
	}
	for _, text := range []string{`"yesterday"`, `"2022-11-26"`, `1.5`, `""`, `{}`, `true`} {
		var got wire.Time
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
	none := wire.Time{Time: want}
	if err := json.Unmarshal([]byte("null"), &none); err != nil || !none.IsZero() {
		t.Errorf("null is read as %v, %v", none, err)
	}
}

func TestIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Int64().Draw(t, "id")
		got, ok := wire.ParseID(strconv.FormatInt(id, 10))
		if ok != (id > 0) || ok && got != id {
			t.Fatalf("%d is read as %d, %v", id, got, ok)
		}
	})
	for _, text := range []string{"", "0", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "١", "9223372036854775808", "18446744073709551617", strings.Repeat("1", 20)} {
		if id, ok := wire.ParseID(text); ok {
			t.Errorf("%q is read as %d", text, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"1", "0", "9223372036854775807", "9223372036854775808", "-1", "1e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := wire.ParseID(text)
		if ok && (id < 1 || strconv.FormatInt(id, 10) != text) {
			t.Errorf("%q is read as %d", text, id)
		}
		if want, err := strconv.ParseInt(text, 10, 64); !ok && err == nil && strconv.FormatInt(want, 10) == text && want > 0 {
			t.Errorf("%q is refused", text)
		}
	})
}

func TestProblemsAreExact(t *testing.T) {
	p := wire.NewProblem(wire.UserNotFound, "", wire.Occasion{
		Instance: "/user/v1/users/7", Path: "/v1/users/7", RequestID: "r\"1", Time: instant(),
	})
	p.Missing = []int64{7, 8}
	p.Errors = []user.FieldError{{Pointer: "/a", Detail: "b"}, {Pointer: "", Detail: "c"}}
	help := wire.UserNotFound.Kind().Help
	want := `{"type":"/problems/user-not-found","title":"User not found","status":404,"detail":"` + help + `",` +
		`"instance":"/user/v1/users/7","timestamp":"2022-11-26T15:45:31.123+00:00","path":"/v1/users/7",` +
		`"error":"Not Found","message":"` + help + `","requestId":"r\"1","missing":[7,8],` +
		`"errors":[{"pointer":"/a","detail":"b"},{"pointer":"","detail":"c"}]}`
	got := wire.AppendProblem(nil, &p)
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back wire.Problem
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	p.Timestamp.Time = p.Timestamp.Truncate(time.Millisecond)
	if diff := cmp.Diff(p, back); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKindOfProblemHelps(t *testing.T) {
	seen := map[wire.Slug]bool{}
	last := 0
	for _, k := range wire.Kinds() {
		if seen[k.Slug] || k.Status < last {
			t.Errorf("%s is there twice, or out of order", k.Slug)
		}
		seen[k.Slug], last = true, k.Status
		if k.Slug.Kind() != k {
			t.Errorf("%s is found as %+v", k.Slug, k.Slug.Kind())
		}
		if strings.ToLower(string(k.Slug)) != string(k.Slug) || strings.ContainsAny(string(k.Slug), " _/") {
			t.Errorf("%q is no slug", k.Slug)
		}
		if k.Title == "" || len(k.Help) < 20 || !strings.HasSuffix(k.Help, ".") {
			t.Errorf("%s does not help: %q", k.Slug, k.Help)
		}
	}
	if got := wire.Slug("made-up").Kind().Slug; got != wire.Internal {
		t.Errorf("an unknown slug is %s", got)
	}
}

func TestHealthIsExact(t *testing.T) {
	components := []wire.Component{{Name: "log", Up: true}, {Name: `a "b"`}}
	for _, c := range []struct {
		components []wire.Component
		want       string
		up         bool
	}{
		{nil, `{"status":"UP","components":{},"groups":["liveness","readiness"]}`, true},
		{components[:1], `{"status":"UP","components":{"log":{"status":"UP"}},"groups":["liveness","readiness"]}`, true},
		{components, `{"status":"DOWN","components":{"log":{"status":"UP"},"a \"b\"":{"status":"DOWN"}},"groups":["liveness","readiness"]}`, false},
	} {
		got, up := wire.AppendHealth(nil, c.components)
		if string(got) != c.want || up != c.up {
			t.Errorf("got  %s, %v\nwant %s, %v", got, up, c.want, c.up)
		}
	}
	text, up := wire.AppendReadiness(nil, components, true)
	if string(text) != "[+]log ok\n[-]a \"b\" failed, the log says why\nnot ready\n" || up {
		t.Errorf("readiness is %q, %v", text, up)
	}
	if text, up := wire.AppendReadiness(nil, components[:1], false); string(text) != "ok\n" || !up {
		t.Errorf("readiness is %q, %v", text, up)
	}
	if got := wire.AppendInfo(nil, "user-service", "1.0"); string(got) != `{"build":{"name":"user-service","version":"1.0"}}` {
		t.Errorf("info is %s", got)
	}
}

func ExampleAppendUser() {
	ada := user.User{
		ID: 1, FirstName: "Ada", LastName: "Lovelace",
		CreatedAt:    time.Date(2022, 11, 26, 15, 45, 31, 123_456_789, time.UTC),
		LastModified: time.Date(2022, 11, 26, 15, 45, 31, 123_456_789, time.UTC),
	}
	fmt.Printf("%s\n", wire.AppendUser(nil, ada))
	// Output: {"id":1,"firstName":"Ada","lastName":"Lovelace","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":"2022-11-26T15:45:31.123+00:00"}
}

func BenchmarkAppendUser(b *testing.B) {
	ada := user.User{ID: 4711, FirstName: "Ada", LastName: "Lovelace", CreatedAt: instant(), LastModified: instant()}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendUser(buf[:0], ada)
	}
}

func BenchmarkDecodeUserBody(b *testing.B) {
	body := []byte(`{"firstName":"Ada","lastName":"Lovelace"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.DecodeUserBody(body); err != nil {
			b.Fatal(err)
		}
	}
}
