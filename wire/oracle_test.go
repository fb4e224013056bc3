package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// drawTime makes up a time that both writers can write: of the years 1 to 9999, in any
// zone, with or without fractions.
func drawTime(t *rapid.T) time.Time {
	seconds := rapid.Int64Range(
		time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC).Unix(), time.Date(9999, 12, 30, 23, 59, 59, 0, time.UTC).Unix())
	at := time.Unix(seconds.Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
	return at.In(time.FixedZone("somewhere", rapid.IntRange(-12*3600, 14*3600).Draw(t, "offset")))
}

// TestATimeIsWrittenAsByItsLayout, in any year, the first and the last moment of each
// unit included.
func TestATimeIsWrittenAsByItsLayout(t *testing.T) {
	const layout = `"2006-01-02T15:04:05.000-07:00"`
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.OneOf(rapid.Custom(drawTime), rapid.Map(rapid.Int64Range(-20_000, 20_000), func(years int64) time.Time {
			return time.Date(int(years), 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Nanosecond)
		}), rapid.Map(rapid.Int64Range(-1000, 1000), func(millis int64) time.Time { return time.UnixMilli(millis) })).Draw(t, "time")
		want := "[" + at.UTC().Format(layout)
		if at.IsZero() {
			want = "[null"
		}
		if got := string(wire.AppendTime([]byte("["), at)); got != want {
			t.Fatalf("%v is %s, not %s", at, got, want)
		}
	})
}

// TestATimeIsCutAndReadBack: written in UTC to the millisecond below, and the same from
// whatever zone.
func TestATimeIsCutAndReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := drawTime(t)
		text := wire.AppendTime(nil, at)
		if len(text) != len(`"2022-11-26T15:45:31.123+00:00"`) || !bytes.HasSuffix(text, []byte(`+00:00"`)) {
			t.Fatalf("%v is written as %s", at, text)
		}
		var got wire.Time
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if ahead := at.Sub(got.Time); ahead < 0 || ahead >= time.Millisecond {
			t.Fatalf("%v came back as %v", at, got)
		}
		if again := wire.AppendTime(nil, got.Time); !bytes.Equal(again, text) {
			t.Fatalf("%s is written again as %s", text, again)
		}
		if std, err := got.Time.MarshalJSON(); err != nil || !sameInstant(t, std, got.Time) {
			t.Fatalf("encoding/json writes %s, %v", std, err)
		}
	})
}

// sameInstant reads what encoding/json wrote.
func sameInstant(t *rapid.T, text []byte, want time.Time) bool {
	var got wire.Time
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return got.Equal(want)
}

// TestOneInstantHasManySpellings and all of them are read as the same.
func TestOneInstantHasManySpellings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := drawTime(t).Truncate(time.Minute).Add(time.Duration(rapid.IntRange(0, 59_999).Draw(t, "ms")) * time.Millisecond)
		offset := rapid.IntRange(-12*60, 14*60).Draw(t, "minutes") * 60
		local := at.In(time.FixedZone("", offset))
		if local.Year() < 1 || local.Year() > 9999 {
			t.Skip("beyond what can be written")
		}
		for _, spelling := range []string{
			at.UTC().Format(`"2006-01-02T15:04:05.000Z"`),
			local.Format(`"2006-01-02T15:04:05.000-07:00"`),
			local.Format(`"2006-01-02T15:04:05.000-0700"`),
			local.Format(`"2006-01-02T15:04:05.000000000-07:00"`),
			fmt.Sprint(at.UnixMilli()),
		} {
			var got wire.Time
			if err := json.Unmarshal([]byte(spelling), &got); err != nil || !got.Equal(at) {
				t.Fatalf("%s is read as %v, %v; it is %v", spelling, got, err, at.UTC())
			}
		}
	})
}

func TestTimesAtTheEdges(t *testing.T) {
	for text, want := range map[string]time.Time{
		`"0001-01-01T00:00:00.001+00:00"`: time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC),
		`"9999-12-31T23:59:59.999+00:00"`: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
		`"2000-02-29T00:00:00.000+00:00"`: time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC),
		`"1969-12-31T23:59:59.999+00:00"`: time.UnixMilli(-1),
	} {
		if got := string(wire.AppendTime(nil, want)); got != text {
			t.Errorf("%v is written as %s, not %s", want, got, text)
		}
		var got wire.Time
		if err := json.Unmarshal([]byte(text), &got); err != nil || !got.Equal(want) {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		`"2001-02-29T00:00:00Z"`, `"2022-13-01T00:00:00Z"`, `"2022-00-01T00:00:00Z"`, `"2022-11-26T24:00:00Z"`,
		`"2022-11-26T15:60:00Z"`, `"2022-11-26T23:59:61Z"`, `"10000-01-01T00:00:00Z"`, `"2022-11-26T15:45:31.123"`,
		`"2022-11-26 15:45:31Z"`, `"2022-11-26T15:45:31.123+25:00"`, `"2022-11-26T15:45:31.Z"`, `"`, `"Z"`, `-`, `1e3`,
		`9223372036854775808`, ` `, `"2022-11-26T15:45:31Z`, `[1669477531123]`,
	} {
		var got wire.Time
		if err := got.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}

// FuzzTime: what is read can be written, and then read as the same instant.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{
		`"2022-11-26T15:45:31.123+00:00"`, `"2022-11-26T15:45:31.123+0100"`, `1669477531123`, `null`, `-62135596800000`,
		`"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999999-23:59"`, `9223372036854775807`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, second wire.Time
		if first.UnmarshalJSON(text) != nil || first.Year() < 1 || first.Year() > 9999 {
			return
		}
		written, err := first.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := second.UnmarshalJSON(written); err != nil {
			t.Fatalf("%s is written as %s: %v", text, written, err)
		}
		if lost := first.Sub(second.Time); !first.IsZero() && (lost < 0 || lost >= time.Millisecond) {
			t.Fatalf("%s is written as %s, which is %v", text, written, second)
		}
	})
}

// standard writes with encoding/json as the product writes by hand: no escapes for HTML.
func standard(t *rapid.T, v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// unescaped undoes the escapes that encoding/json writes and nobody has to.
func unescaped(s string) string {
	return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\u007f`, "\u007f").Replace(s)
}

// TestBodiesAreWhatTheStandardLibraryWrites, but for escapes: their members, their
// order, their numbers.
func TestBodiesAreWhatTheStandardLibraryWrites(t *testing.T) {
	name := rapid.StringOf(rapid.RuneFrom([]rune("aé😀\"\\/<>&\n\t\x01'\u00a0")))
	rapid.Check(t, func(t *rapid.T) {
		at := drawTime(t).UTC().Truncate(time.Millisecond)
		id, other := rapid.Int64Range(1, math.MaxInt64).Draw(t, "id"), rapid.Int64Range(1, math.MaxInt64).Draw(t, "other")
		u := user.User{ID: id, FirstName: name.Draw(t, "first"), LastName: name.Draw(t, "last"), CreatedAt: at, LastModified: at}
		person := wire.User{ID: id, FirstName: u.FirstName, LastName: u.LastName, CreatedAt: wire.Time{Time: at}, LastModified: wire.Time{Time: at}}
		f := friend.Friendship{Row: other, By: id, To: other, CreatedAt: at}
		for got, want := range map[string]any{
			string(wire.AppendUser(nil, u)): person,
			string(wire.AppendFriend(nil, f)): wire.Friend{
				ID: other, UserID: id, FriendID: other, CreatedAt: wire.Time{Time: at}, UpdatedAt: wire.Time{Time: at},
			},
			string(wire.AppendRecommendation(nil, u, int(other%1000), nil)): wire.Recommendation{User: person, Weight: int(other % 1000)},
		} {
			if want := unescaped(standard(t, want)); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
		shared := rapid.SliceOf(rapid.Int64()).Draw(t, "shared")
		want := wire.AppendRecommendation([]byte("["), u, 7, shared)
		if got := wire.AppendRecommendationOf([]byte("["), string(wire.AppendUser(nil, u)), 7, shared); string(got) != string(want) {
			t.Fatalf("of JSON that is there already: got  %s\nwant %s", got, want)
		}
	})
}

// TestEveryKindOfProblemComesBack with whatever people put into paths and ids.
func TestEveryKindOfProblemComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(wire.Kinds()).Draw(t, "kind")
		text := rapid.String()
		p := wire.NewProblem(kind.Slug, text.Draw(t, "detail"), wire.Occasion{
			Instance: text.Draw(t, "instance"), Path: text.Draw(t, "path"), RequestID: text.Draw(t, "request"),
			Time: drawTime(t).UTC().Truncate(time.Millisecond),
		})
		p.Missing = rapid.SliceOf(rapid.Int64()).Draw(t, "missing")
		for range rapid.IntRange(0, 3).Draw(t, "errors") {
			p.Errors = append(p.Errors, user.FieldError{Pointer: text.Draw(t, "pointer"), Detail: text.Draw(t, "fault")})
		}
		body := wire.AppendProblem(nil, &p)
		var back wire.Problem
		if err := json.Unmarshal(body, &back); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if len(p.Missing) == 0 {
			p.Missing = nil
		}
		if diff := cmp.Diff(p, back); diff != "" {
			t.Fatal(diff)
		}
		if back.Status != kind.Status || back.Error == "" && http.StatusText(kind.Status) != "" || back.Detail == "" || back.Message != back.Detail {
			t.Fatalf("a problem without words: %s", body)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatal(err)
		}
		if _, there := members["missing"]; there != (len(p.Missing) > 0) {
			t.Fatalf("missing is there: %v, in %s", there, body)
		}
	})
}

// drawJSON makes up a JSON value that is often nearly a body.
func drawJSON(t *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{`"Ada"`, `""`, `" "`, `1`, `-1`, `1.5`, `1e3`, `null`, `true`, `"\ud83d\ude00"`, `"é"`}).Draw(t, "scalar")
	}
	var members []string
	seen := map[string]bool{}
	for range rapid.IntRange(0, 5).Draw(t, "members") {
		name := rapid.SampledFrom([]string{"firstName", "lastName", "id", "FirstName", "first\\u004eame", "x", "createdAt", ""}).Draw(t, "name")
		plain := strings.ReplaceAll(name, "\\u004e", "N")
		if seen[plain] {
			continue
		}
		seen[plain] = true
		members = append(members, fmt.Sprintf(`"%s":%s`, name, drawJSON(t, rapid.IntRange(0, depth-1).Draw(t, "depth"))))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestABodyIsReadAsEncodingJSONReadsIt where both agree on what JSON is: no member
// twice, names by their exact letters, wrong types said and not coerced.
func TestABodyIsReadAsEncodingJSONReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawJSON(t, 3)
		got, err := wire.DecodeUserBody([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		var members map[string]any
		d := json.NewDecoder(strings.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&members); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		wrong := map[string]bool{}
		for _, f := range got.Mistyped {
			wrong[f.Pointer] = true
		}
		for name, field := range map[string]string{"firstName": got.FirstName, "lastName": got.LastName} {
			text, isText := members[name].(string)
			if wrong["/"+name] == isText || field != text {
				t.Fatalf("%s: %s is read as %q, mistyped %v", body, name, field, got.Mistyped)
			}
		}
		number, isNumber := members["id"].(json.Number)
		integer := isNumber && !strings.ContainsAny(number.String(), ".eE")
		if wrong["/id"] != (members["id"] != nil && !integer) || integer && got.ID != number.String() {
			t.Fatalf("%s: id is read as %q, mistyped %v", body, got.ID, got.Mistyped)
		}
	})
}
