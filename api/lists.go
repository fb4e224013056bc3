package api

import (
	"iter"
	"net/http"
	"strconv"
	"time"

	"ensemble/readmodel"
	"ensemble/wire"
)

// Limits of lists.
const (
	maxLimit     = 1000
	defaultUsers = 100 // of /v1/users; the other lists are whole by default
	flushAt      = 32 << 10
	flushWithin  = 30 * time.Second // what a client may take for one part of a list
)

// jsonType is the media type of all successful answers.
const jsonType = "application/json"

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

// streamList answers with an array, item by item. An error before the first part
// is sent becomes a problem; one after it aborts the connection.
func streamList[T any](r *request, items iter.Seq2[T, error], appendItem func([]byte, T) []byte) error {
	// One buffer for the whole list, sent whenever it is full: a list of any
	// length costs the memory of one part.
	r.out = append(r.out[:0], '[')
	first := true
	for item, err := range items {
		if err != nil {
			return r.broken(err)
		}
		if !first {
			r.out = append(r.out, ',')
		}
		first = false
		if r.out = appendItem(r.out, item); len(r.out) >= flushAt {
			r.flush()
		}
	}
	r.out = append(r.out, ']')
	if r.status == 0 { // it fits into one part, so its length is known
		return r.reply(http.StatusOK, jsonType, r.out)
	}
	r.flush()
	return nil
}

// broken ends a list that can't be completed.
func (r *request) broken(err error) error {
	if r.status != 0 {
		panic(http.ErrAbortHandler)
	}
	return err
}

// flush sends a part of a list.
func (r *request) flush() {
	if r.status == 0 {
		r.w.Header()["Content-Type"] = []string{jsonType}
		r.status = http.StatusOK
		r.w.WriteHeader(http.StatusOK)
	}
	if r.Method != http.MethodHead {
		// The server's deadline is for the whole answer; as long as the client
		// keeps reading, a long list gets more. Not every writer has deadlines,
		// but a real connection does.
		_ = http.NewResponseController(r.w).SetWriteDeadline(time.Now().Add(flushWithin))
		if _, err := r.w.Write(r.out); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	r.out = r.out[:0]
}

// each turns a list that can't fail into one that could.
func each[T any](items iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// first returns the first items of a list, all of them if limit is 0.
func first[T any](items iter.Seq2[T, error], limit int) iter.Seq2[T, error] {
	if limit == 0 {
		return items
	}
	return func(yield func(T, error) bool) {
		left := limit
		for item, err := range items {
			if left--; !yield(item, err) || left == 0 {
				return
			}
		}
	}
}
