package transfer

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ensemble/user"
)

// person is somebody to be created.
type person struct {
	who         int32 // in the directory
	line        int
	first, last string
}

// maxID is how many bytes an id of a file may have.
const maxID = 256

// peopleReader takes in the lines of a file of people: NDJSON if the first begins
// with a brace, else CSV with a header.
type peopleReader struct {
	dir   *directory
	odd   *Odd
	found []person

	columns *columns // of CSV; nil before the header
	ndjson  bool
	records int
}

// columns say where in a record of CSV what stands.
type columns struct {
	comma           rune
	id, first, last int // id is -1 without such a column
}

// line takes in one line. An error means that the file is none of people.
func (r *peopleReader) line(n int, text []byte) error {
	switch {
	case r.ndjson:
		r.object(n, text)
	case r.columns != nil:
		r.record(n, text)
	case bytes.TrimSpace(text)[0] == '{':
		r.ndjson = true
		r.object(n, text)
	default:
		return r.header(string(text))
	}
	return nil
}

// header finds the columns by their names. The first separator in it is the one of
// the file.
func (r *peopleReader) header(text string) error {
	c := columns{comma: ',', id: -1, first: -1, last: -1}
	if i := strings.IndexAny(text, ",;\t"); i >= 0 {
		c.comma = rune(text[i])
	}
	fields, err := c.split(text)
	if err != nil {
		return fmt.Errorf("the header: %w", err)
	}
	for i, name := range fields {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "id", "externalid":
			c.id = i
		case "firstname":
			c.first = i
		case "lastname":
			c.last = i
		}
	}
	if c.first < 0 || c.last < 0 {
		return errors.New("want a header with firstName, lastName and, if friendships refer to it, id; or an object a line")
	}
	r.columns = &c
	return nil
}

// split reads one record of CSV.
func (c *columns) split(text string) ([]string, error) {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma = c.comma
	reader.FieldsPerRecord = -1
	return reader.Read()
}

// record takes in a line of CSV. A record is one line, so that what is wrong with it
// is said with the right number and costs nothing but that line: names have no line
// breaks anyway.
func (r *peopleReader) record(n int, text []byte) {
	if !utf8.Valid(text) {
		r.odd.note(NoUTF8, n, "")
		return
	}
	c := r.columns
	fields, err := c.split(string(text))
	if err != nil {
		// The record is a line of its own, so the error's line is not the file's.
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			err = parse.Err
		}
		r.odd.note(Unread, n, err.Error())
		return
	}
	if last := max(c.id, c.first, c.last); len(fields) <= last {
		r.odd.note(Unread, n, fmt.Sprintf("%d fields, want %d", len(fields), last+1))
		return
	}
	id := ""
	if c.id >= 0 {
		id = fields[c.id]
	}
	r.add(n, id, fields[c.first], fields[c.last])
}

// object takes in a line of NDJSON. Members that are not known are ignored, so that
// files with more in them need no conversion.
func (r *peopleReader) object(n int, text []byte) {
	if !utf8.Valid(text) {
		r.odd.note(NoUTF8, n, "")
		return
	}
	var p struct {
		ID        json.RawMessage
		FirstName *string
		LastName  *string
	}
	if err := json.Unmarshal(text, &p); err != nil {
		r.odd.note(Unread, n, err.Error())
		return
	}
	id, err := scalar(p.ID)
	if err != nil || p.FirstName == nil || p.LastName == nil {
		r.odd.note(Unread, n, "want firstName and lastName as strings, and id, if there is one, as a string or a number")
		return
	}
	r.add(n, id, *p.FirstName, *p.LastName)
}

// scalar returns a JSON string or number as text, "" for none. A number keeps its
// spelling: ids above 2^53 must not be rounded.
func scalar(raw json.RawMessage) (text string, err error) {
	switch {
	case len(raw) == 0 || bytes.Equal(raw, []byte("null")):
		return "", nil
	case raw[0] == '"':
		err = json.Unmarshal(raw, &text)
		return text, err
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		return string(raw), nil
	}
	return "", errors.New("want a string or a number")
}

// add takes in a person. Without an id they are called by their place in the file,
// from 1.
func (r *peopleReader) add(n int, id, first, last string) {
	r.records++
	if id == "" {
		id = strconv.Itoa(r.records)
	}
	if len(id) > maxID || strings.ContainsFunc(id, unicode.IsControl) {
		r.odd.note(Unread, n, fmt.Sprintf("an id has up to %d bytes and no control characters", maxID))
		return
	}
	if faults := user.Validate(first, last); len(faults) > 0 {
		r.odd.note(BadName, n, strings.TrimPrefix(faults[0].Pointer, "/")+" "+faults[0].Detail)
		return
	}
	who, isNew := r.dir.add(id)
	if !isNew && r.dir.listed[who] {
		r.odd.note(SameID, n, id)
		return
	}
	r.dir.listed[who] = true
	r.found = append(r.found, person{who: who, line: n, first: first, last: last})
}
