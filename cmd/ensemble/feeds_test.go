package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/wire"
)

// told plays a service whose feed says what a test wants, each connection in its turn.
func told(t *testing.T, streams ...func(w http.ResponseWriter, r *http.Request)) (*feed, *lockedBuffer) {
	t.Helper()
	var connections atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(connections.Add(1)); n <= len(streams) {
			streams[n-1](w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	log := new(lockedBuffer)
	f := newFeed("user", server.URL, logTo(log))
	t.Cleanup(server.Close)
	return f, log
}

// uuidOf returns the name of a log that begins with a byte.
func uuidOf(first byte) string { return string(wire.AppendUUID(nil, [16]byte{first})) }

// says is a stream of events of one log, from a position on.
func says(log byte, positions ...int64) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, p := range positions {
			text, _ := json.Marshal(wire.Event{
				Position: p, ID: fmt.Sprint(uuidOf(log), ":", p), Type: "UserErased", Stream: "user-7", Version: p, Data: json.RawMessage(`{"id":7}`),
			})
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", p, text)
		}
	}
}

// refuses is the answer that a log gives to whoever is not of it.
func refuses(slug wire.Slug) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(slug.Kind().Status)
		fmt.Fprintf(w, `{"type":"/problems/%s"}`, slug)
	}
}

// TestAFeedEndsWithAReplacedLogAndWithNothingLess: being away, busy or cut is no end.
func TestAFeedEndsWithAReplacedLogAndWithNothingLess(t *testing.T) {
	for _, slug := range []wire.Slug{wire.PositionAhead, wire.LogReplaced} {
		f, log := told(t, says(1, 1, 2), refuses(wire.Busy), says(1, 3), refuses(slug))
		var seen []eventstore.Position
		var ended error
		for e, err := range f.source(t.Context(), 0) {
			if ended = err; err == nil {
				seen = append(seen, e.Position)
			}
		}
		if !errors.Is(ended, errReplaced) || fmt.Sprint(seen) != "[1 2 3]" {
			t.Errorf("%s: saw %v, then %v", slug, seen, ended)
		}
		if said := log.String(); strings.Count(said, "was cut") != 2 { // once before an event came, and once after
			t.Errorf("it was said %s", said)
		}
	}
	f, _ := told(t, refuses(wire.NotFound))
	for _, err := range f.source(t.Context(), 0) {
		if err == nil || errors.Is(err, errReplaced) {
			t.Errorf("a service without a feed is %v", err)
		}
	}
}

// TestARestoreWhileALogIsFollowedIsLearned: positions before it keep their name.
func TestARestoreWhileALogIsFollowedIsLearned(t *testing.T) {
	f, _ := told(t, says(1, 1, 2), says(2, 3, 4), refuses(wire.LogReplaced))
	f.learn(eventstore.Lineage{{UUID: [16]byte{1}, First: 1}})
	before := f.known()
	for range f.source(t.Context(), 0) {
		continue
	}
	now := f.known()
	if len(before) != 1 || len(now) != 2 || now[1].First != 3 || now.At(2) != [16]byte{1} || now.At(3) != [16]byte{2} {
		t.Errorf("before %x, now %x", before, now)
	}
}

// TestAFeedIsAskedForFromAPositionOfItsLog, so that another one refuses.
func TestAFeedIsAskedForFromAPositionOfItsLog(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	f, _ := told(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		refuses(wire.LogReplaced)(w, r)
	})
	f.learn(eventstore.Lineage{{UUID: [16]byte{1}, First: 1}, {UUID: [16]byte{2}, First: 5}})
	for range f.source(t.Context(), 5) {
		continue
	}
	if got := asked.Load().Header.Get("Min-Event-Position"); got != "user:5@02000000" {
		t.Errorf("it was asked for %q", got)
	}
}

// TestAnEventThatCanNotBeReadEndsAFeedLoudly: it is not skipped, and not asked for again.
func TestAnEventThatCanNotBeReadEndsAFeedLoudly(t *testing.T) {
	f, _ := told(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "id: 1\ndata: {\"position\":1,\"id\":\"none\",\"stream\":\"user-1\"}\n\n")
	})
	n := 0
	for _, err := range f.source(t.Context(), 0) {
		if n++; err == nil || errors.Is(err, errReplaced) || errors.Is(err, client.ErrFeed) {
			t.Errorf("it is %v", err)
		}
	}
	if n != 1 {
		t.Errorf("there were %d answers", n)
	}
}

// TestAServiceIsAskedUntilItSaysWhatThereIs, and that it is not there is said once.
func TestAServiceIsAskedUntilItSaysWhatThereIs(t *testing.T) {
	f, log := told(t, refuses(wire.Busy), refuses(wire.NotFound), func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"log":"user","position":7,"lineage":[]}`) // says not which log it is
	}, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"log":"user","position":7,"lineage":[{"uuid":%q,"first":1}]}`, uuidOf(9))
	})
	head, err := f.open(t.Context())
	if err != nil || head.Position != 7 || f.known()[0].UUID != [16]byte{9} {
		t.Errorf("%+v, %v", head, err)
	}
	if said := log.String(); strings.Count(said, "can't be read") != 1 {
		t.Errorf("it was said %s", said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.open(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
}

// TestHowFarAFeedIsAhead, and since when.
func TestHowFarAFeedIsAhead(t *testing.T) {
	head := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"log":"user","position":7,"lineage":[{"uuid":%q,"first":1}]}`, uuidOf(9))
	}
	next := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "5" || r.URL.Query().Get("limit") != "1" {
			t.Errorf("it was asked for %s", r.URL)
		}
		fmt.Fprint(w, `{"position":6,"time":"2022-11-26T15:45:31.123+00:00"}`+"\n")
	}
	f, _ := told(t, head, next, head)
	if at, since, err := f.ahead(t.Context(), 5); err != nil || at != 7 || since.Year() != 2022 {
		t.Errorf("%d since %v, %v", at, since, err)
	}
	if at, since, err := f.ahead(t.Context(), 7); err != nil || at != 7 || !since.IsZero() {
		t.Errorf("%d since %v, %v", at, since, err)
	}
	if _, _, err := f.ahead(t.Context(), 7); err == nil {
		t.Error("nobody is there any more")
	}
}
