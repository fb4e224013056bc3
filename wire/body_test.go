package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"ensemble/user"
	"ensemble/wire"
)

func TestDecodeUserBody(t *testing.T) {
	for _, c := range []struct {
		sentence, body string
		want           wire.UserBody
	}{
		{"both names", `{"firstName":"A","lastName":"B"}`, wire.UserBody{FirstName: "A", LastName: "B"}},
		{"an id stays as its digits", `{"id":-12,"firstName":"A","lastName":"B"}`, wire.UserBody{ID: "-12", FirstName: "A", LastName: "B"}},
		{"a null id is none", `{"id":null,"firstName":"A","lastName":"B"}`, wire.UserBody{FirstName: "A", LastName: "B"}},
		{"escapes are undone", `{"firstName":"\u0041\/\n\ud83d\ude00","lastName":""}`, wire.UserBody{FirstName: "A/\n😀"}},
		{"U+FFFD itself is no lone surrogate", `{"firstName":"\ufffd","lastName":"` + "\ufffd" + `"}`, wire.UserBody{FirstName: "\ufffd", LastName: "\ufffd"}},
		{"what is missing is said", `{}`, wire.UserBody{Mistyped: faults("/firstName", "is required", "/lastName", "is required")}},
		{"an object is wanted", `[]`, wire.UserBody{Mistyped: faults("", "must be an object")}},
		{
			"wrong types are said, all of them", `{"id":true,"lastName":{"a":[]},"firstName":null}`,
			wire.UserBody{Mistyped: faults("/id", "must be an integer", "/lastName", "must be a string", "/firstName", "must be a string")},
		},
		{"an exponent is no integer", `{"id":1e2,"firstName":"A","lastName":"B"}`, wire.UserBody{
			FirstName: "A", LastName: "B", Mistyped: faults("/id", "must be an integer"),
		}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			got, err := wire.DecodeUserBody([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// faults pairs pointers with details.
func faults(pairs ...string) (list []user.FieldError) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, user.FieldError{Pointer: pairs[i], Detail: pairs[i+1]})
	}
	return list
}

func TestSyntaxErrorsSayWhatAndWhere(t *testing.T) {
	for body, want := range map[string]string{
		``:                        "malformed JSON: it ends too early",
		`{"a":1`:                  "malformed JSON: it ends too early",
		`{"a":1,"a":2}`:           `malformed JSON: member "a" is there twice, at byte 7`,
		`{"x":{"b":1,"b":2}}`:     `malformed JSON: member "b" is there twice, at byte 12`,
		`{} {}`:                   "malformed JSON: something follows the value",
		`{} x`:                    "malformed JSON: invalid character 'x' at start of value, at byte 3",
		`{"id":07}`:               "malformed JSON: invalid character '7' after object value (expecting ',' or '}'), at byte 7",
		"{\"a\":\"\xff\"}":        "malformed JSON: it is not UTF-8",
		strings.Repeat("[", 33):   "malformed JSON: it is nested more than 32 deep",
		strings.Repeat("[", 3000): "malformed JSON: it is nested more than 32 deep",
	} {
		_, err := wire.DecodeUserBody([]byte(body))
		if !errors.Is(err, wire.ErrSyntax) || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", body, err, want)
		}
	}
}

func TestFaultsAreSaidOnce(t *testing.T) {
	for body, want := range map[string][]user.FieldError{
		`{"firstName":1,"lastName":"B"}`:  faults("/firstName", "must be a string"),
		`{"firstName":" ","lastName":2}`:  faults("/lastName", "must be a string", "/firstName", "must not be blank"),
		`{"firstName":"A","lastName":""}`: nil,
		`"x"`:                             faults("", "must be an object"),
	} {
		decoded, err := wire.DecodeUserBody([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, decoded.Faults()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// FuzzDecodeUserBody holds the decoder against encoding/json: it never panics,
// takes nothing that encoding/json refuses, and reads the same names.
func FuzzDecodeUserBody(f *testing.F) {
	for _, seed := range []string{
		`{"firstName":"A","lastName":"B"}`, `{"id":1,"firstName":"\ud800","lastName":"\u00e9"}`, `{}`, `[]`, `null`, ``, `{"a":{"a":[1]}}`,
		`{"firstName":"A","firstName":"B"}`, "{\"firstName\":\"\xff\"}", `{"id":-0}`, ` {"lastName":"x","firstName":"y"} `, `{"x":1}{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := wire.DecodeUserBody(body)
		if err != nil {
			if !errors.Is(err, wire.ErrSyntax) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Errorf("%q is read", body)
		}
		if len(got.Mistyped) > 0 {
			return
		}
		var members map[string]any
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if members["firstName"] != got.FirstName || members["lastName"] != got.LastName {
			t.Errorf("%q is read as %+v", body, got)
		}
	})
}
