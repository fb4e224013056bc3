package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/internal/telemetry"
)

// unreadable returns the feed of a log whose event at a position can't be read.
func unreadable(t *testing.T, at eventstore.Position) *feed {
	t.Helper()
	store, err := eventstore.Open(t.Context(), memory.New(memory.Options{}), eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	for range 3 {
		w := eventstore.Write{
			Stream: eventstore.Stream{Category: "friend", ID: "1:2"}, Expected: eventstore.Any,
			Events: []eventstore.NewEvent{{Type: "FriendAdded", Data: []byte(`{}`)}},
		}
		if _, err := store.Append(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	log, err := nameLog(t.Context(), "friend", store)
	if err != nil {
		t.Fatal(err)
	}
	service := newService(Config{Log: slog.New(slog.DiscardHandler), Health: new(telemetry.Health)})
	f := &feed{Service: service, store: store, log: log, data: func(dst []byte, e *eventstore.Event) ([]byte, error) {
		if e.Position == at {
			return dst, errors.New("it can't be read")
		}
		return append(dst, "{}"...), nil
	}}
	service.with([]route{f.routes()[0]})
	return f
}

// An error before the first byte is a problem; after it the connection is aborted,
// so that nobody takes a part for the whole.
func TestAFeedNeverSkipsWhatItCanNotRead(t *testing.T) {
	for _, c := range []struct {
		accept, after string
		aborted       bool
		status        int
	}{
		{ndjsonType, "0", false, http.StatusInternalServerError},
		{ndjsonType, "2", false, http.StatusOK},
		{eventsType, "0", true, http.StatusOK},
		{eventsType, "1", true, http.StatusOK},
	} {
		f := unreadable(t, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events?after="+c.after, nil)
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		aborted := func() (aborted bool) {
			defer func() { aborted = recover() == http.ErrAbortHandler }() //nolint:errorlint // the value itself
			f.ServeHTTP(w, r)
			return false
		}()
		cancel()
		if aborted != c.aborted || w.Code != c.status || strings.Contains(w.Body.String(), `"position":3`) != (c.after == "2") {
			t.Errorf("%s after %s: aborted %t, status %d, %s", c.accept, c.after, aborted, w.Code, w.Body)
		}
		if f.Streams() != 0 {
			t.Errorf("%s after %s: a stream is still counted", c.accept, c.after)
		}
	}
}

// A page looks at so many events and no more, and the next one goes on there.
func TestAPageOfRareEventsMovesOn(t *testing.T) {
	store, err := eventstore.Open(t.Context(), memory.New(memory.Options{}), eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	write := eventstore.Write{Stream: eventstore.Stream{Category: "friend", ID: "1:2"}, Expected: eventstore.Any}
	const n = 2*maxScanned + 500
	for left := n; left > 0; left -= eventstore.MaxBatch {
		write.Events = nil
		for i := range min(left, eventstore.MaxBatch) {
			e := eventstore.NewEvent{Type: "Common", Data: []byte(`{}`)}
			if left-i == 1 {
				e.Type = "Rare"
			}
			write.Events = append(write.Events, e)
		}
		if _, err := store.Append(t.Context(), write); err != nil {
			t.Fatal(err)
		}
	}
	log, err := nameLog(t.Context(), "friend", store)
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{
		Service: newService(Config{}), store: store, log: log, types: []string{"Common", "Rare"},
		data: func(dst []byte, _ *eventstore.Event) ([]byte, error) { return append(dst, "{}"...), nil },
	}
	f.with([]route{f.routes()[0]})
	target, pages, found := "/v1/events?types=Rare", 0, ""
	for target != "" {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		pages++
		found += w.Body.String()
		target, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
	}
	if pages != 3 || strings.Count(found, "\n") != 1 || !strings.Contains(found, `"type":"Rare"`) {
		t.Errorf("after %d pages there is %s", pages, found)
	}
}
