package eureka

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of the decoders.
var (
	errTwoDocuments = errors.New("something follows the document")
	errNoInstance   = errors.New(`the member "instance" is missing`)
)

// number is written as a number and read from a number or a string: clients send both.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	text := unquoted(b)
	if text == "" {
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	*n = number(v)
	return err
}

// millis is a time in milliseconds since 1970, written as a string.
type millis int64

// MarshalJSON implements json.Marshaler.
func (m millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatInt(int64(m), 10)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *millis) UnmarshalJSON(b []byte) error { return (*number)(m).UnmarshalJSON(b) }

// truth is a boolean, written as a string and read from both.
type truth bool

// MarshalJSON implements json.Marshaler.
func (t truth) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatBool(bool(t))), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *truth) UnmarshalJSON(b []byte) error {
	text := unquoted(b)
	if text == "" {
		return nil
	}
	v, err := strconv.ParseBool(text)
	*t = truth(v)
	return err
}

// unquoted returns the text of a scalar; "" for null.
func unquoted(b []byte) string {
	if string(b) == "null" {
		return ""
	}
	return strings.Trim(string(b), `"`)
}

// Metadata is what an instance tells of itself beyond the protocol.
type Metadata map[string]string

// emptyMap is the class that Java clients want to see on metadata without entries.
const emptyMap = "java.util.Collections$EmptyMap"

// MarshalJSON implements json.Marshaler; keys are sorted.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if len(m) == 0 {
		return []byte(`{"@class":"` + emptyMap + `"}`), nil
	}
	return json.Marshal(map[string]string(m), json.Deterministic(true))
}

// UnmarshalJSON implements json.Unmarshaler. Numbers and booleans become text, null is
// left out, and so is the class: whoever reads it here may make an object of it.
func (m *Metadata) UnmarshalJSON(b []byte) error {
	var raw map[string]jsontext.Value
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*m = make(Metadata, len(raw))
	for key, value := range raw {
		switch value.Kind() {
		case 'n':
		case '"':
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return err
			}
			(*m)[key] = text
		case '0', 't', 'f':
			(*m)[key] = string(value)
		default:
			return fmt.Errorf("metadata %q is neither text nor a number", key)
		}
	}
	delete(*m, "@class")
	return nil
}

// MarshalXML implements xml.Marshaler: an element for each key, sorted.
func (m Metadata) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if len(m) == 0 {
		start.Attr = []xml.Attr{{Name: xml.Name{Local: "class"}, Value: emptyMap}}
	}
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, key := range sortedKeys(m) {
		if err := e.EncodeElement(m[key], xml.StartElement{Name: xml.Name{Local: elementName(key)}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// UnmarshalXML implements xml.Unmarshaler.
func (m *Metadata) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error {
	if *m == nil {
		*m = Metadata{}
	}
	for {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			var value string
			if err := d.DecodeElement(&value, &t); err != nil {
				return err
			}
			name := t.Name.Local
			if t.Name.Space != "" {
				name = t.Name.Space + ":" + name
			}
			(*m)[keyOf(name)] = value
		case xml.EndElement:
			return nil
		}
	}
}

// elementName writes a key as the name of an element, in the way of XStream, which
// Java clients read it with: "_" is "__", "$" is "_-", and what no name may have is
// "_." with four hexadecimal digits (XStream, XmlFriendlyNameCoder).
func elementName(key string) string {
	var b strings.Builder
	for i, c := range key {
		switch {
		case c == '_':
			b.WriteString("__")
		case c == '$':
			b.WriteString("_-")
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
			b.WriteRune(c)
		default:
			fmt.Fprintf(&b, "_.%04x", c)
		}
	}
	return b.String()
}

// keyOf is the other way round. A single "_" stands for itself, as clients that know
// nothing of XStream send it.
func keyOf(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		rest := name[i:]
		switch {
		case strings.HasPrefix(rest, "__"):
			b.WriteByte('_')
			i++
		case strings.HasPrefix(rest, "_-"):
			b.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "_.") && len(rest) >= 6:
			if code, err := strconv.ParseUint(rest[2:6], 16, 16); err == nil {
				b.WriteRune(rune(code))
				i += 5
				continue
			}
			fallthrough
		default:
			b.WriteByte(name[i])
		}
	}
	return b.String()
}

// encode writes an answer as JSON or as XML.
func encode(body any, asJSON bool) ([]byte, error) {
	if !asJSON {
		return xml.MarshalIndent(body, "", "  ")
	}
	var e envelope
	switch b := body.(type) {
	case *applications:
		e.Applications = b
	case *application:
		e.Application = b
	case *Instance:
		e.Instance = b
	}
	return json.Marshal(&e)
}

// decodeInstance reads a registration. Members that nobody knows are ignored; those
// that only the registry writes are read and overwritten later. Errors say where the
// document is wrong.
func decodeInstance(b []byte, asJSON bool) (*Instance, error) {
	if asJSON {
		var e envelope
		if err := json.Unmarshal(b, &e); err != nil {
			return nil, plain(err)
		}
		if e.Instance == nil {
			return nil, errNoInstance
		}
		return e.Instance, nil
	}
	in := new(Instance)
	d := xml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(in); err != nil {
		return nil, plain(err)
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return in, nil
		}
		if err != nil {
			return nil, plain(err)
		}
		if text, ok := token.(xml.CharData); !ok || len(bytes.TrimSpace(text)) > 0 {
			return nil, errTwoDocuments
		}
	}
}

// plain says where a document is wrong without the names of our types, in at most as
// many words as a client can read.
func plain(err error) error {
	meaning, isMeaning := errors.AsType[*json.SemanticError](err)
	syntax, isSyntax := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case isMeaning && meaning.Err != nil:
		return fmt.Errorf("%s: %w", shown(string(meaning.JSONPointer)), short(meaning.Err))
	case isMeaning:
		return fmt.Errorf("%s: not of the type that it has to be", shown(string(meaning.JSONPointer)))
	case isSyntax:
		return fmt.Errorf("byte %d: %w", syntax.ByteOffset, short(syntax.Err))
	}
	return short(err)
}

// short returns an error whose text fits into an answer. The decoder of XML shows what it
// could not read as it came, which may be no text at all.
func short(err error) error {
	text := err.Error()
	switch whole := strings.ToValidUTF8(text, "\uFFFD"); {
	case len(whole) > 200:
		return errors.New(strings.ToValidUTF8(whole[:200], "") + "…")
	case whole != text:
		return errors.New(whole)
	}
	return err
}
