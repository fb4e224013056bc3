package user

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ensemble/decider"
	"ensemble/decider/decidertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rules() decider.Decider[User, Command, Event] {
	return decider.Decider[User, Command, Event]{Decide: decide, Evolve: Evolve}
}

type es = []Event

// errInvalid stands for any InvalidError in a table.
var errInvalid = &InvalidError{}

// Is lets tables compare kinds of errors.
func (e *InvalidError) Is(target error) bool {
	_, same := target.(*InvalidError)
	return same
}

func TestDecide(t *testing.T) {
	ada := Created{FirstName: "Ada", LastName: "Byron", Key: 5}
	born := decidertest.Epoch()
	decidertest.Run(t, rules(), []decidertest.Case[Command, Event]{
		{Name: "somebody with a name is created", When: Create{FirstName: "Ada", LastName: "Byron", Key: 5}, Then: es{ada}},
		{Name: "a last name may be empty", When: Create{FirstName: "Ada", Key: 5}, Then: es{Created{FirstName: "Ada", Key: 5}}},
		{Name: "a first name may not be blank", When: Create{FirstName: " \t\u2003", LastName: "Byron"}, Err: errInvalid},
		{
			Name:  "a new name is recorded with the key and the beginning of the person",
			Given: es{ada}, When: Rename{FirstName: "Ada", LastName: "Lovelace"},
			Then: es{Renamed{FirstName: "Ada", LastName: "Lovelace", Key: 5, CreatedAt: born}},
		},
		{Name: "the same name changes nothing", Given: es{ada}, When: Rename{FirstName: "Ada", LastName: "Byron"}},
		{
			Name:  "a name that is back again is recorded again",
			Given: es{ada, Renamed{FirstName: "A", LastName: "L", Key: 5, CreatedAt: born}},
			When:  Rename{FirstName: "Ada", LastName: "Byron"},
			Then:  es{Renamed{FirstName: "Ada", LastName: "Byron", Key: 5, CreatedAt: born}},
		},
		{Name: "nobody can't be renamed", When: Rename{FirstName: "Ada"}, Err: ErrNotFound},
		{Name: "whether somebody is there counts before the name", When: Rename{FirstName: ""}, Err: ErrNotFound},
		{Name: "a bad name is refused", Given: es{ada}, When: Rename{FirstName: ""}, Err: errInvalid},
		{Name: "somebody is erased", Given: es{ada}, When: Erase{}, Then: es{Erased{Key: 5, CreatedAt: born}}},
		{Name: "nobody can't be erased", When: Erase{}, Err: ErrNotFound},
		{Name: "who is erased can't be erased again", Given: es{ada, Erased{Key: 5, CreatedAt: born}}, When: Erase{}, Err: ErrErased},
		{
			Name:  "who is erased can't be renamed",
			Given: es{ada, Erased{Key: 5, CreatedAt: born}}, When: Rename{FirstName: "Ada"}, Err: ErrErased,
		},
	})
}

func TestEvolve(t *testing.T) {
	born := decidertest.Epoch()
	created := Created{FirstName: "Ada", LastName: "Byron", Key: 5}
	renamed := Renamed{FirstName: "Ada", LastName: "Lovelace", Key: 5, CreatedAt: born}
	for name, c := range map[string]struct {
		events es
		want   User
	}{
		"created": {
			es{created},
			User{ID: 1, FirstName: "Ada", LastName: "Byron", Key: 5, CreatedAt: born, LastModified: born},
		},
		"renamed": {
			es{created, renamed},
			User{ID: 1, FirstName: "Ada", LastName: "Lovelace", Key: 5, CreatedAt: born, LastModified: born.Add(time.Second)},
		},
		"erased": {
			es{created, renamed, Erased{Key: 5, CreatedAt: born}},
			User{ID: 1, Key: 5, Erased: true, CreatedAt: born, LastModified: born.Add(2 * time.Second)},
		},
	} {
		if diff := cmp.Diff(c.want, decidertest.Fold(rules(), c.events...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("é", MaxName)
	for _, c := range []struct {
		name        string
		first, last string
		want        []string // pointers, in order
	}{
		{"plain", "Ada", "Lovelace", nil},
		{"any script, any sign", "李 🙂", "O'Brien-Žofie", nil},
		{"256 code points", long, long, nil},
		{"257 code points", long + "x", long + "x", []string{"/firstName", "/lastName"}},
		{"empty first name", "", "", []string{"/firstName"}},
		{"blank last name is a name", "Ada", " ", nil},
		{"white space of Unicode is blank", "\u00a0\u3000", "x", []string{"/firstName"}},
		{"control characters", "A\x00da", "Love\u0085lace", []string{"/firstName", "/lastName"}},
		{"a newline alone is blank and a control character", "\n", "", []string{"/firstName", "/firstName"}},
		{"not Unicode", "\xff", "x", []string{"/firstName"}},
	} {
		var got []string
		for _, f := range Validate(c.first, c.last) {
			if f.Detail == "" {
				t.Errorf("%s: %s has no detail", c.name, f.Pointer)
			}
			got = append(got, f.Pointer)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestInvalidErrorNamesEverything(t *testing.T) {
	_, err := decide(User{}, Create{FirstName: "", LastName: "\x01"})
	invalid, ok := errors.AsType[*InvalidError](err)
	if !ok || len(invalid.Fields) != 2 || !strings.Contains(err.Error(), "/firstName must not be blank") {
		t.Fatalf("got %v", err)
	}
}
