package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/internal/telemetry"
	"ensemble/wire"
)

const live = "text/event-stream"

// blocks reads a stream block by block.
type blocks struct{ *bufio.Reader }

// next returns the next block of a stream, without its blank line.
func (b blocks) next(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for {
		line, err := b.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended with %v after %q", err, text.String())
		}
		if line == "\n" {
			return strings.TrimSuffix(text.String(), "\n")
		}
		text.WriteString(line)
	}
}

// follow opens a stream and reads its greeting.
func follow(t *testing.T, p *tubes, target string, headers ...string) (*http.Response, blocks) {
	t.Helper()
	resp := p.ask(t, target, append(headers, "Accept", live)...).answer(t)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != live {
		t.Fatalf("answered %d %v", resp.StatusCode, resp.Header)
	}
	b := blocks{bufio.NewReader(resp.Body)}
	if first := b.next(t); first != "retry: 1000" {
		t.Fatalf("the stream begins with %q", first)
	}
	return resp, b
}

// befriend makes n people and records n-1 friendships.
func befriend(t apitest.TB, s *apitest.System, n int) {
	t.Helper()
	people(t, s, n)
	for i := range n - 1 {
		expect(t, s.Do("POST", fmt.Sprintf("/friend/v1/users/%d/commands/addFriend?friendId=%d", i+1, i+2), ""), http.StatusCreated)
	}
}

func TestAStreamToTheByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{Metrics: telemetry.NewMetrics()})
		befriend(t, s, 3)
		p := pipeServer(t, s)
		resp, b := follow(t, p, "/friend/v1/events?after=0", "Last-Event-ID", "1")
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Request-Id": "request", "Content-Length": "",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s is %q, not %q", name, got, want)
			}
		}
		if !resp.Close {
			t.Error("the end of the stream is not the end of the connection")
		}
		log := uuid(t, s.FriendLog)
		if got, want := b.next(t), "id: 2\nevent: FriendAdded\ndata: "+
			`{"position":2,"id":"`+log+`:2","type":"FriendAdded","stream":"friend-2:3","version":1,`+
			`"time":"2000-01-01T00:00:00.000+00:00","data":{"id":2,"userId":2,"friendId":3},"meta":{}}`; got != want {
			t.Errorf("the event is\n%s, not\n%s", got, want)
		}
		// Silence is broken each 15 seconds, for ever: no deadline of the server ends
		// a stream whose client reads.
		begun := time.Now()
		for i := range 60 {
			if got := b.next(t); got != ":" || time.Since(begun) != time.Duration(i+1)*15*time.Second {
				t.Fatalf("after %v comes %q", time.Since(begun), got)
			}
		}
		time.Sleep(7 * time.Second)
		expect(t, s.Do("POST", "/friend/v1/users/3/commands/removeFriend?friendId=2", ""), http.StatusNoContent)
		if got, want := b.next(t), "id: 3\nevent: FriendRemoved\ndata: "+
			`{"position":3,"id":"`+log+`:3","type":"FriendRemoved","stream":"friend-2:3","version":2,`+
			`"time":"2000-01-01T00:15:07.000+00:00","data":{"id":2,"userId":2,"friendId":3},"meta":{}}`; got != want {
			t.Errorf("the event is\n%s, not\n%s", got, want)
		}
		s.Friend.EndStreams()
		if rest, err := io.ReadAll(b); err != nil || len(rest) > 0 {
			t.Errorf("the stream ends with %q, %v", rest, err)
		}
	})
}

func TestWhoDoesNotReadIsDroppedAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{Metrics: telemetry.NewMetrics()})
		people(t, s, 1)
		p := pipeServer(t, s)
		stalled, _ := follow(t, p, "/user/v1/events?after=1")
		_, reader := follow(t, p, "/user/v1/events?after=1")
		const n = 100 // more than the buffers in between hold
		begun := time.Now()
		people(t, s, n)
		for i := range n {
			if got := reader.next(t); !strings.HasPrefix(got, fmt.Sprintf("id: %d\n", i+2)) {
				t.Fatalf("after %d events comes %q", i, got)
			}
		}
		synctest.Wait()
		if time.Since(begun) > 0 {
			t.Errorf("the reader waited %v for the other one", time.Since(begun))
		}
		if s.User.Streams() != 2 {
			t.Fatalf("%d streams are open", s.User.Streams())
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if s.User.Streams() != 2 {
			t.Error("the stalled one was dropped too early")
		}
		go func() { _, _ = io.Copy(io.Discard, reader) }() // heartbeats
		time.Sleep(time.Second)
		synctest.Wait()
		if s.User.Streams() != 1 {
			t.Errorf("%d streams are open, after half a minute", s.User.Streams())
		}
		if _, err := io.Copy(io.Discard, stalled.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the stalled one ended with %v", err)
		}
	})
}

func TestAStreamOfSomeTypesMovesOnOverWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{})
		people(t, s, 300)
		_, b := follow(t, pipeServer(t, s), "/user/v1/events?types=UserRenamed")
		if got := b.next(t); got != ":\nid: 300" {
			t.Errorf("the first heartbeat is %q", got)
		}
		if got := b.next(t); got != ":" {
			t.Errorf("the next heartbeat is %q", got)
		}
		people(t, s, 1)
		expect(t, s.Do("PUT", "/user/v1/users/1", `{"firstName":"Eve","lastName":""}`), http.StatusOK)
		if got := b.next(t); !strings.HasPrefix(got, "id: 302\nevent: UserRenamed\n") {
			t.Errorf("the event is %q", got)
		}
	})
}

func TestThereAreOnlySoManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{Feed: api.FeedConfig{Streams: 2}})
		p := pipeServer(t, s)
		first := p.ask(t, "/user/v1/events", "Accept", live)
		first.answer(t)
		follow(t, p, "/user/v1/events")
		follow(t, p, "/friend/v1/events") // the other service has its own
		w := s.Do("GET", "/user/v1/events", "", "Accept", live)
		problem(t, w, http.StatusServiceUnavailable, wire.Busy)
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		expect(t, s.Do("GET", "/user/v1/events", ""), http.StatusOK) // pages are no streams
		_ = first.Close()
		synctest.Wait()
		follow(t, p, "/user/v1/events")
	})
}

func TestAServiceThatStopsEndsItsStreamsAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{})
		people(t, s, 100)
		p := pipeServer(t, s)
		_, b := follow(t, p, "/user/v1/events?after=100")
		follow(t, p, "/user/v1/events") // reads nothing more
		begun := time.Now()
		s.User.EndStreams()
		if rest, err := io.ReadAll(b); err != nil || len(rest) > 0 || time.Since(begun) > 0 {
			t.Errorf("the stream ends with %q, %v, after %v", rest, err, time.Since(begun))
		}
		problem(t, s.Do("GET", "/user/v1/events", "", "Accept", live), http.StatusServiceUnavailable, wire.ShuttingDown)
		expect(t, s.Do("GET", "/user/v1/events", ""), http.StatusOK)
		time.Sleep(time.Second) // what a client may take that does not read
		synctest.Wait()
		if n := s.User.Streams(); n != 0 {
			t.Errorf("%d streams are still open", n)
		}
	})
}

func TestTheHeadOfAStreamCanBeAskedFor(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	w := s.Do("HEAD", "/user/v1/events", "", "Accept", live)
	expect(t, w, http.StatusOK)
	if w.Header().Get("Content-Type") != live || w.Body.Len() > 0 {
		t.Errorf("answered %v %q", w.Header(), w.Body)
	}
}
