package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ensemble/eventstore"
	"ensemble/wire"
)

// Limits of a page of events. Whichever is met first ends it; the next page goes on
// where it ended, also if none of the events was asked for.
const (
	defaultEvents = 1000
	maxEvents     = 5000
	maxPageBytes  = 1 << 20
	maxScanned    = 20_000 // events looked at
	readAtOnce    = 1000   // events read from the log at once
)

// feed answers what happened in a log.
type feed struct {
	*Service
	store *eventstore.Store
	log   logName
	types []string // that the log may hold
	data  func(dst []byte, e *eventstore.Event) ([]byte, error)
}

// routes are the lines of the feed in the table of its service.
func (f *feed) routes() []route {
	return []route{
		{http.MethodGet, "/v1/events", "listEvents", f.serve},
		{http.MethodGet, "/v1/events/head", "getHead", f.head},
	}
}

// head answers where the log ends and which log it is, so that who begins to follow it
// can tell when everything that was there is seen.
func (f *feed) head(r *request) error {
	head, err := f.store.Head(r.Context())
	if err != nil {
		return err
	}
	return r.replyJSON(http.StatusOK, wire.NewLogHead(f.log.name, head))
}

// question is what a client wants to know of a log.
type question struct {
	after eventstore.Position
	limit int      // of a page
	types []string // nil: all
	live  bool     // and what happens from now on
}

// wants says whether the client has asked for an event.
func (q *question) wants(e *eventstore.Event) bool {
	return q.types == nil || slices.Contains(q.types, e.Type)
}

// serve answers with the events after a position: a page of them, or a stream that
// does not end.
func (f *feed) serve(r *request) error {
	q, err := f.question(r)
	if err != nil {
		return err
	}
	head, err := f.store.Head(r.Context())
	if err != nil {
		return err
	}
	if q.after > head.Position {
		return failure{slug: wire.PositionAhead, detail: "The log " + f.log.name + " ends at position " +
			strconv.FormatInt(int64(head.Position), 10) + ", and events after " + strconv.FormatInt(int64(q.after), 10) +
			" were asked for. If they were there once, the log has been replaced: forget what was read, and begin anew."}
	}
	// Only now: who is ahead would wait in vain.
	return f.fresh(func(r *request) error {
		if q.live {
			return f.stream(r, q)
		}
		return f.page(r, q, head.Position)
	})(r)
}

// question reads what the client asks for.
func (f *feed) question(r *request) (q question, err error) {
	r.set("Vary", "Accept")
	switch preferred(r.Header["Accept"], []form{{mediaType: ndjsonType}, {mediaType: eventsType}}) {
	case -1:
		return q, failure{slug: wire.NotAcceptable, detail: "Events are sent as " + ndjsonType + " or " + eventsType +
			". Name one of them in Accept, or leave it out."}
	case 1:
		q.live = true
	}
	if q.after, err = f.after(r, q.live); err != nil {
		return q, err
	}
	if q.types, err = f.wantedTypes(r); err != nil {
		return q, err
	}
	q.limit = defaultEvents
	if value, count := r.param("limit"); count > 0 {
		n, ok := wire.ParseID(value)
		if !ok || n > maxEvents || count > 1 {
			return q, failure{slug: wire.InvalidParameter, detail: "limit is a whole number from 1 to " + strconv.Itoa(maxEvents) + ", sent once. Correct it."}
		}
		q.limit = int(n)
	}
	return q, nil
}

// after returns where to begin. A stream that goes on after a cut says so in
// Last-Event-ID, which wins: its client repeats the address it began with.
func (*feed) after(r *request, live bool) (eventstore.Position, error) {
	if last := r.Header["Last-Event-Id"]; live && len(last) > 0 && last[0] != "" {
		position, ok := wire.ParseCursor(last[0])
		if !ok || len(last) > 1 {
			return 0, failure{slug: wire.InvalidParameter, detail: "Last-Event-ID is the id of an event of this stream, sent once. Correct it."}
		}
		return eventstore.Position(position), nil
	}
	value, count := r.param("after")
	if count == 0 {
		return 0, nil
	}
	position, ok := wire.ParseCursor(value)
	if !ok || count > 1 {
		return 0, failure{slug: wire.InvalidParameter, detail: "after is a position, a whole number from 0, sent once. Correct it."}
	}
	return eventstore.Position(position), nil
}

// wantedTypes returns the types that the client asks for, nil for all.
func (f *feed) wantedTypes(r *request) ([]string, error) {
	value, count := r.param("types")
	if count == 0 {
		return nil, nil
	}
	types := strings.Split(value, ",")
	unknown := slices.ContainsFunc(types, func(t string) bool { return !slices.Contains(f.types, t) })
	if unknown || count > 1 || len(types) > 2*len(f.types) {
		return nil, failure{slug: wire.InvalidParameter, detail: "types lists some of " + strings.Join(f.types, ",") +
			", separated by commas, sent once. Correct it."}
	}
	return types, nil
}

// page answers with events and with where the next page begins.
func (f *feed) page(r *request, q question, head eventstore.Position) error {
	cursor, err := f.fill(r, q)
	if err != nil {
		return err
	}
	f.log.moved(r, cursor)
	if cursor < head {
		r.set("Link", "<"+r.prefix+"/v1/events?"+q.next(cursor)+`>; rel="next"`)
	}
	return r.reply(http.StatusOK, ndjsonType, r.out)
}

// next returns the query of the next page.
func (q *question) next(cursor eventstore.Position) string {
	query := "after=" + strconv.FormatInt(int64(cursor), 10)
	if q.types != nil {
		query += "&types=" + strings.Join(q.types, ",")
	}
	return query + "&limit=" + strconv.Itoa(q.limit)
}

// fill writes the events of a page, and returns the last position that was looked
// at. It is sent as a whole, so that its headers can say where it ends.
func (f *feed) fill(r *request, q question) (cursor eventstore.Position, err error) {
	cursor = q.after
	found := 0
	for scanned := 0; scanned < maxScanned; {
		events, err := f.store.ReadAll(r.Context(), cursor, readAtOnce)
		if err != nil || len(events) == 0 {
			return cursor, err
		}
		for i := range events {
			if q.wants(&events[i]) {
				if r.out, err = f.append(r.out, &events[i]); err != nil {
					return 0, err
				}
				r.out = append(r.out, '\n')
				found++
			}
			cursor = events[i].Position
			if found == q.limit || len(r.out) >= maxPageBytes {
				return cursor, nil
			}
		}
		scanned += len(events)
	}
	return cursor, nil
}

// append appends an event as JSON.
func (f *feed) append(dst []byte, e *eventstore.Event) ([]byte, error) {
	var err error
	dst = wire.AppendEvent(dst, e, f.log.lineage.At(e.Position), func(dst []byte) []byte {
		dst, err = f.data(dst, e)
		return dst
	})
	return dst, err
}
