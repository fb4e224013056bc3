package api

import (
	"slices"
	"strconv"
	"strings"

	"ensemble/readmodel"
	"ensemble/wire"
)

// Limits of lists.
const (
	maxLimit     = 1000
	maxIDs       = 500
	defaultUsers = 100 // of /v1/users; the other lists are whole by default
)

// part is which part of a list a client wants, in which form, and how much of it is
// written already.
type part struct {
	form    form
	limit   int // 0: all
	after   place
	filters []filter
	ids     []int64 // of whom the client asks for by id

	count int
	last  place
}

// part reads what all lists have in common. otherwise is the limit that holds
// without one. The filters have to be valid.
func (r *request) part(otherwise int, filters ...filter) (*part, error) {
	p := &r.list
	var err error
	if p.form, err = r.form(); err != nil {
		return nil, err
	}
	if p.limit, err = r.limit(otherwise); err != nil {
		return nil, err
	}
	p.filters = append(p.filters[:0], filters...) // in the memory of the last request
	p.after, err = r.after(p.filters)
	return p, err
}

// link tells the client where the list goes on.
func (r *request) link(p *part) {
	const usual = 256 // bytes, for which nothing is allocated but the text itself
	b := append(make([]byte, 0, usual), '<')
	b = append(append(append(b, r.prefix...), r.path...), '?')
	r.set("Link", string(append(r.appendNext(b, p), `>; rel="next"`...)))
}

// appendNext appends the query of the part that follows. For people asked for by id
// it names those that are left, for whom a cursor would stand.
func (r *request) appendNext(dst []byte, p *part) []byte {
	if p.ids != nil {
		return appendBehind(r.appendOptions(dst, nil), p.ids, p.last.id)
	}
	dst = append(r.appendOptions(dst, p.filters), "cursor="...)
	return p.last.appendCursor(dst, r.scope(p.filters))
}

// ask returns how many items answer the part: one more than are sent, to know
// whether there is another part. 0 asks for all.
func (p *part) ask() int {
	if p.limit == 0 {
		return 0
	}
	return p.limit + 1
}

// limit returns the query option limit, or what holds without it.
func (r *request) limit(otherwise int) (int, error) {
	value, count := r.param("limit")
	if count == 0 {
		return otherwise, nil
	}
	n, ok := wire.ParseID(value)
	if !ok || n > maxLimit || count > 1 {
		return 0, failure{slug: wire.InvalidParameter, detail: "limit is a whole number from 1 to " + strconv.Itoa(maxLimit) + ", sent once. Correct it."}
	}
	return int(n), nil
}

// direction returns the query option direction, or what holds without it.
func (r *request) direction(otherwise readmodel.Direction) (readmodel.Direction, error) {
	value, count := r.param("direction")
	switch {
	case count == 0:
		return otherwise, nil
	case count == 1 && value == "outgoing":
		return readmodel.Outgoing, nil
	case count == 1 && value == "both":
		return readmodel.Both, nil
	}
	return 0, failure{slug: wire.InvalidParameter, detail: "direction is outgoing or both, sent once. Correct it."}
}

// nameOf returns how a direction is asked for.
func nameOf(d readmodel.Direction) string {
	if d == readmodel.Outgoing {
		return "outgoing"
	}
	return "both"
}

// minWeight returns the query option minWeight, 1 without it.
func (r *request) minWeight() (int, error) {
	value, count := r.param("minWeight")
	if count == 0 {
		return 1, nil // a candidate shares at least one friend
	}
	n, ok := wire.ParseID(value)
	if !ok || count > 1 {
		return 0, failure{slug: wire.InvalidParameter, detail: "minWeight is a whole number from 1 on, sent once. Correct it."}
	}
	return int(n), nil
}

// explain returns the query option explain, false without it.
func (r *request) explain() (bool, error) {
	value, count := r.param("explain")
	if count > 1 || count == 1 && value != "true" && value != "false" {
		return false, failure{slug: wire.InvalidParameter, detail: "explain is true or false, sent once. Correct it."}
	}
	return value == "true", nil
}

// ids returns the query option ids, ascending and each once.
func (r *request) ids() (ids []int64, sent bool, err error) {
	value, count := r.param("ids")
	if count == 0 {
		return nil, false, nil
	}
	if _, paging := r.param("cursor"); paging > 0 {
		return nil, true, failure{slug: wire.InvalidParameter, detail: "ids and cursor do not go together. Send one of them."}
	}
	if count > 1 || strings.Count(value, ",") >= maxIDs {
		return nil, true, failure{slug: wire.InvalidParameter, detail: "ids are up to " + strconv.Itoa(maxIDs) + ", separated by commas, sent once. Ask for the others in another call."}
	}
	for text := range strings.SplitSeq(value, ",") {
		id, ok := wire.ParseID(text)
		if !ok {
			return nil, true, failure{slug: wire.InvalidID, detail: "ids are whole numbers from 1 to 9223372036854775807, separated by commas without spaces. Correct them."}
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), true, nil
}

// appendBehind appends those of the ascending ids that are above one, as a query
// option.
func appendBehind(dst []byte, ids []int64, last int64) []byte {
	separator := "ids="
	for _, id := range ids {
		if id > last {
			dst = strconv.AppendInt(append(dst, separator...), id, 10)
			separator = ","
		}
	}
	return dst
}
