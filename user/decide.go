package user

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how many code points a name may have.
const MaxName = 256

// The refusals of a command.
var (
	ErrNotFound = errors.New("there is no such user")
	ErrErased   = errors.New("the user was erased")
)

// InvalidError means that the names of a command break the rules.
type InvalidError struct{ Fields []FieldError }

// FieldError says what is wrong with one member of the body.
type FieldError struct {
	Pointer string `json:"pointer"` // RFC 6901, "/firstName"
	Detail  string `json:"detail"`
}

// Error implements error.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Pointer + " " + f.Detail
	}
	return strings.Join(parts, "; ")
}

// Command is something that somebody wants of a person.
//
//sumtype:decl
type Command interface{ command() }

// Create asks for a new person.
type Create struct {
	FirstName, LastName string
	Key                 int64 // a key that nobody has
}

// Refuse asks for nothing: the body of a Create was found wrong before it got
// here. It exists so that the refusal is kept under the command's key.
type Refuse struct{ Fields []FieldError }

// Rename asks for another name.
type Rename struct{ FirstName, LastName string }

// Erase asks for the person to be forgotten.
type Erase struct{}

func (Create) command() {}
func (Refuse) command() {}
func (Rename) command() {}
func (Erase) command()  {}

// decide says what a command leads to.
func decide(u User, c Command) ([]Event, error) {
	switch c := c.(type) {
	case Create:
		if bad := Validate(c.FirstName, c.LastName); bad != nil {
			return nil, &InvalidError{Fields: bad}
		}
		return []Event{Created(c)}, nil
	case Refuse:
		return nil, &InvalidError{Fields: c.Fields}
	case Rename:
		return rename(u, c)
	case Erase:
		if err := alive(u); err != nil {
			return nil, err
		}
		return []Event{Erased{Key: u.Key, CreatedAt: u.CreatedAt}}, nil
	}
	return nil, fmt.Errorf("unknown command %T", c)
}

// rename: whether somebody is there is answered before what is wrong with the
// name.
func rename(u User, c Rename) ([]Event, error) {
	if err := alive(u); err != nil {
		return nil, err
	}
	if bad := Validate(c.FirstName, c.LastName); bad != nil {
		return nil, &InvalidError{Fields: bad}
	}
	if u.FirstName == c.FirstName && u.LastName == c.LastName {
		return nil, nil
	}
	return []Event{Renamed{FirstName: c.FirstName, LastName: c.LastName, Key: u.Key, CreatedAt: u.CreatedAt}}, nil
}

// alive returns why nothing can happen to a person.
func alive(u User) error {
	switch {
	case u.ID == 0:
		return ErrNotFound
	case u.Erased:
		return ErrErased
	}
	return nil
}

// Validate returns what is wrong with two names, nil if nothing is.
func Validate(firstName, lastName string) []FieldError {
	var bad []FieldError
	if strings.TrimFunc(firstName, unicode.IsSpace) == "" {
		bad = append(bad, FieldError{"/firstName", "must not be blank"})
	}
	bad = append(bad, validateName("/firstName", firstName)...)
	return append(bad, validateName("/lastName", lastName)...)
}

// validateName returns what is wrong with one name, apart from being blank.
func validateName(pointer, name string) (bad []FieldError) {
	if !utf8.ValidString(name) {
		bad = append(bad, FieldError{pointer, "must be valid Unicode"})
	}
	if n := utf8.RuneCountInString(name); n > MaxName {
		bad = append(bad, FieldError{pointer, fmt.Sprintf("must have at most %d characters, has %d", MaxName, n)})
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		bad = append(bad, FieldError{pointer, "must not contain control characters"})
	}
	return bad
}
