package api_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"

	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/wire"
)

// identity returns the 8 hex digits by which a log is known.
func identity(t apitest.TB, store *eventstore.Store) string {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	uuid := head.Lineage.At(head.Position)
	return hex.EncodeToString(uuid[:4])
}

// uuid returns the whole name of a log, as it is in the ids of its events.
func uuid(t apitest.TB, store *eventstore.Store) string {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(wire.AppendUUID(nil, head.Lineage.At(head.Position)))
}

// people creates n users, 1 to n.
func people(t apitest.TB, s *apitest.System, n int) {
	t.Helper()
	for range n {
		expect(t, s.Do(http.MethodPost, "/user/v1/users", `{"firstName":"Ada","lastName":"Lovelace"}`), http.StatusCreated)
	}
}

// expect fails unless an answer has a status.
func expect(t apitest.TB, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status is %d, not %d: %s", w.Code, status, w.Body)
	}
}

// problem returns an answer as a problem, and fails unless it is one with that
// status and slug.
func problem(t apitest.TB, w *httptest.ResponseRecorder, status int, slug wire.Slug) wire.Problem {
	t.Helper()
	expect(t, w, status)
	if got := w.Header().Get("Content-Type"); got != wire.ProblemType {
		t.Fatalf("a problem has the media type %q", got)
	}
	p := decode[wire.Problem](t, w)
	if p.Type != "/problems/"+string(slug) || p.Status != status {
		t.Fatalf("the problem is %s with status %d, not %s", p.Type, p.Status, slug)
	}
	return p
}

// decode returns the body of an answer.
func decode[T any](t apitest.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("the body is not JSON: %v\n%s", err, w.Body)
	}
	return v
}

// events returns how many events a log has.
func events(t apitest.TB, store *eventstore.Store) int64 {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return int64(head.Position)
}

// received reads one answer from a connection.
func received(t apitest.TB, conn net.Conn) *httptest.ResponseRecorder {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		t.Fatal(err)
	}
	return w
}
