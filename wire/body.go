package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"ensemble/user"
)

// Limits of a body.
const (
	MaxBody  = 64 << 10 // bytes
	MaxDepth = 32       // objects and arrays inside each other
)

// ErrSyntax means that a body is not one JSON text as this API reads it. The
// error that wraps it says what and where.
var ErrSyntax = errors.New("malformed JSON")

// UserBody is the body of a command about a person.
type UserBody struct {
	ID                  string // the digits of the integer; "" if absent or null
	FirstName, LastName string
	// Mistyped lists the members that are missing or of a wrong type; their
	// fields above are empty.
	Mistyped []user.FieldError
}

// Faults returns everything that is wrong with the names, in the order of the
// members, or nil.
func (b *UserBody) Faults() []user.FieldError {
	all := b.Mistyped
	for _, f := range user.Validate(b.FirstName, b.LastName) {
		if !b.mistyped(f.Pointer) {
			all = append(all, f)
		}
	}
	return all
}

// mistyped says whether a member was found wrong already. A second complaint, that
// its empty stand-in is blank, would only confuse.
func (b *UserBody) mistyped(pointer string) bool {
	for _, f := range b.Mistyped {
		if f.Pointer == pointer || f.Pointer == "" {
			return true
		}
	}
	return false
}

// DecodeUserBody reads the body of a command about a person. Unknown members
// are ignored, createdAt and lastModified among them.
//
// Errors: [ErrSyntax].
func DecodeUserBody(body []byte) (UserBody, error) {
	if !utf8.Valid(body) {
		return UserBody{}, fmt.Errorf("%w: it is not UTF-8", ErrSyntax)
	}
	// Invalid UTF-8 is allowed from here on only so that lone surrogates, which
	// are valid JSON text, get an answer of their own.
	d := userDecoder{Decoder: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true))}
	if err := d.document(); err != nil {
		return UserBody{}, err
	}
	return d.body, nil
}

// userDecoder reads one body, token by token.
type userDecoder struct {
	*jsontext.Decoder
	body        UserBody
	first, last bool // which names were there
}

// document reads the only value and makes sure that nothing follows.
func (d *userDecoder) document() error {
	kind := d.PeekKind()
	if kind != jsontext.KindBeginObject {
		d.fault("", "must be an object")
		if err := d.skip(); err != nil {
			return err
		}
	} else if err := d.object(); err != nil {
		return err
	}
	switch _, err := d.ReadToken(); {
	case err == nil:
		return fmt.Errorf("%w: something follows the value", ErrSyntax)
	case !errors.Is(err, io.EOF):
		return d.syntax(err)
	}
	return nil
}

// object reads the members of the body in the order in which they come.
func (d *userDecoder) object() error {
	if _, err := d.ReadToken(); err != nil {
		return d.syntax(err)
	}
	for {
		token, err := d.ReadToken()
		if err != nil {
			return d.syntax(err)
		}
		if token.Kind() == jsontext.KindEndObject {
			d.missing()
			return nil
		}
		if err := d.member(token.String()); err != nil {
			return err
		}
	}
}

// member reads the value of one member. Names are compared as they are: Go's own
// decoder would take FIRSTNAME for firstName.
func (d *userDecoder) member(name string) (err error) {
	switch name {
	case "firstName":
		d.first = true
		d.body.FirstName, err = d.text("/firstName")
	case "lastName":
		d.last = true
		d.body.LastName, err = d.text("/lastName")
	case "id":
		d.body.ID, err = d.integer("/id")
	default:
		err = d.skip()
	}
	return err
}

// missing notes the names that were not there.
func (d *userDecoder) missing() {
	if !d.first {
		d.fault("/firstName", "is required")
	}
	if !d.last {
		d.fault("/lastName", "is required")
	}
}

// text reads a string, or notes that there is none.
func (d *userDecoder) text(pointer string) (string, error) {
	if d.PeekKind() != jsontext.KindString {
		return "", d.wrong(pointer, "must be a string")
	}
	raw, err := d.ReadValue()
	if err != nil {
		return "", d.syntax(err)
	}
	// The whole body is UTF-8, so what can't be unquoted is an escaped half of a
	// pair.
	text, invalid := jsontext.AppendUnquote(nil, raw)
	if invalid != nil {
		d.fault(pointer, `must not contain a lone surrogate (half of a \u pair)`)
		text = nil
	}
	return string(text), nil
}

// integer reads the digits of an integer, or notes that there is none.
func (d *userDecoder) integer(pointer string) (string, error) {
	switch d.PeekKind() {
	case jsontext.KindNull:
		return "", d.skip()
	case jsontext.KindNumber:
		raw, err := d.ReadValue()
		if err != nil {
			return "", d.syntax(err)
		}
		// 1.0 and 1e0 are not written by anybody who means an id, and reading
		// them as floats would make neighbours of large ids equal.
		if bytes.ContainsAny(raw, ".eE") {
			d.fault(pointer, "must be an integer")
			return "", nil
		}
		return string(raw), nil
	default:
		return "", d.wrong(pointer, "must be an integer")
	}
}

// wrong notes a wrong type and goes over the value.
func (d *userDecoder) wrong(pointer, detail string) error {
	d.fault(pointer, detail)
	return d.skip()
}

// skip goes over one value, as long as it isn't nested too deeply.
func (d *userDecoder) skip() error {
	depth := d.StackDepth()
	for { // token by token, or the depth would only be known at the end
		if _, err := d.ReadToken(); err != nil {
			return d.syntax(err)
		}
		if d.StackDepth() > MaxDepth {
			return fmt.Errorf("%w: it is nested more than %d deep", ErrSyntax, MaxDepth)
		}
		if d.StackDepth() <= depth {
			return nil
		}
	}
}

// fault notes what is wrong and lets the reading go on, so that the client hears
// of everything at once.
func (d *userDecoder) fault(pointer, detail string) {
	d.body.Mistyped = append(d.body.Mistyped, user.FieldError{Pointer: pointer, Detail: detail})
}

// syntax describes an error of the JSON reader in one sentence, without the
// names of Go packages.
func (d *userDecoder) syntax(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrSyntax)
	}
	var s *jsontext.SyntacticError
	if !errors.As(err, &s) {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	where := "at byte " + strconv.FormatInt(s.ByteOffset, 10)
	if errors.Is(s.Err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("%w: member %q is there twice, %s", ErrSyntax, s.JSONPointer.LastToken(), where)
	}
	return fmt.Errorf("%w: %s, %s", ErrSyntax, strings.TrimPrefix(s.Err.Error(), "jsontext: "), where)
}
