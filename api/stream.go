package api

import (
	"iter"
	"net/http"
	"slices"
	"time"
)

const (
	flushAt     = 32 << 10         // bytes that are sent at once
	flushWithin = 30 * time.Second // what a client may take for one of these
)

// streamList answers with a part of a list, item by item. An error before the
// first byte becomes a problem; one after it aborts the connection.
//
// A list without a limit is sent while it is read, so that one of any length costs
// the memory of flushAt bytes. One with a limit is read to its end first, and one
// item further: only then is it known whether the header has a link.
func streamList[T any](
	r *request, p *part, items iter.Seq2[T, error], write func([]byte, T) []byte, placeOf func(T) place,
) error {
	// What changes from item to item is kept in p, which is reused with r: a
	// variable here would be allocated for each list.
	r.out = append(r.out[:0], p.form.open...)
	for item, err := range items {
		if err != nil {
			return r.broken(err)
		}
		if p.limit > 0 && p.count == p.limit {
			r.link(p)
			break
		}
		if p.count > 0 {
			r.out = append(r.out, p.form.separator...)
		}
		r.out = append(write(append(r.out, p.form.label...), item), p.form.end...)
		p.count, p.last = p.count+1, placeOf(item)
		if p.limit == 0 && len(r.out) >= flushAt {
			if r.Method == http.MethodHead {
				r.start(p.form.mediaType)
				return nil // all that HEAD can say is said
			}
			r.flush(p.form.mediaType)
		}
	}
	r.out = append(r.out, p.form.close...)
	if r.status == 0 && (len(r.out) < flushAt || r.Method == http.MethodHead) {
		return r.reply(http.StatusOK, p.form.mediaType, r.out) // its length is known
	}
	r.flush(p.form.mediaType)
	return nil
}

// broken ends a list that can't be completed.
func (r *request) broken(err error) error {
	if r.status != 0 {
		panic(http.ErrAbortHandler)
	}
	return err
}

// start sends the header of a list whose length is not known, unless it is sent
// already.
func (r *request) start(mediaType string) {
	if r.status == 0 {
		r.set("Content-Type", mediaType)
		r.status = http.StatusOK
		r.w.WriteHeader(http.StatusOK)
	}
}

// flush sends what there is of a list.
func (r *request) flush(mediaType string) {
	r.start(mediaType)
	for piece := range slices.Chunk(r.out, flushAt) {
		// The server's deadline is for the whole answer; as long as the client
		// keeps reading, a long list gets more. Not every writer has deadlines,
		// but a real connection does.
		_ = http.NewResponseController(r.w).SetWriteDeadline(time.Now().Add(flushWithin))
		if _, err := r.w.Write(piece); err != nil {
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
