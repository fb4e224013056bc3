package guard_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"ensemble/api/apitest"
	"ensemble/internal/guard"
)

// message is one request of a conversation: what is sent, what has to come back,
// and whether anything behind it is read.
type message struct {
	text, want string
	last       bool
}

// messages draws a conversation and returns what has to be answered to it.
func messages(t *rapid.T) (text string, want []string) {
	over := false
	for range rapid.IntRange(1, 6).Draw(t, "messages") {
		m := drawMessage(t)
		text += m.text
		if !over {
			want = append(want, m.want)
		}
		over = over || m.last
	}
	return text, want
}

// drawMessage draws one request, good or bad.
func drawMessage(t *rapid.T) message {
	body := rapid.StringMatching(`[a-z\r\n ]{0,40}`).Draw(t, "body")
	size := strconv.Itoa(len(body))
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return message{text: "GET /g HTTP/1.1\r\nHost: a\r\n\r\n", want: "200 GET /g "}
	case 1, 2:
		return message{text: "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: " + size + "\r\n\r\n" + body, want: "200 POST /p " + body}
	case 3:
		return message{text: "\r\nGET /e HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 3000) + "\r\n\r\n", want: "200 GET /e "}
	case 4:
		return message{
			text: "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			want: "200 POST /c abc", last: true,
		}
	case 5:
		return message{text: "GET //b HTTP/1.1\r\nHost: a\r\n\r\n", want: "400 bad-request", last: true}
	default:
		return message{text: "GET /l HTTP/1.1\nHost: a\n\n", want: "400 bad-request", last: true}
	}
}

// TestAnySplitOfTheBytesGivesTheSameAnswers sends conversations in pieces of any
// size, as a network delivers them. Where a piece ends changes nothing: each
// request is answered with its own body, in order, up to the last that is read.
func TestAnySplitOfTheBytesGivesTheSameAnswers(t *testing.T) {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := guard.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	}), guard.Config{Log: apitest.Quiet()})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(p); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	defer serving.Wait()
	defer server.Close()
	rapid.Check(t, func(t *rapid.T) {
		text, want := messages(t)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 12).Draw(t, "cuts")
		client := p.dial()
		var sending sync.WaitGroup
		sending.Go(func() { sendCut(client, text, cuts) })
		r := bufio.NewReader(client)
		for _, w := range want {
			if got := echoed(t, r); got != w {
				t.Errorf("answered %q, not %q", got, w)
			}
		}
		client.Close()
		sending.Wait()
	})
}

// sendCut sends a text, cut at the given places, until the other side has had
// enough.
func sendCut(c net.Conn, text string, cuts []int) {
	cuts = append(slices.Sorted(slices.Values(cuts)), len(text))
	begin := 0
	for _, end := range cuts {
		if _, err := io.WriteString(c, text[begin:end]); err != nil {
			return
		}
		begin = end
	}
}

// echoed reads one answer: what the handler says, or the slug of a refusal.
func echoed(t *rapid.T, r *bufio.Reader) string {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return "nothing: " + err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("an answer breaks off: %v", err)
	}
	if resp.StatusCode == http.StatusOK {
		return "200 " + string(body)
	}
	_, slug, _ := strings.Cut(string(body), `"/problems/`)
	slug, _, _ = strings.Cut(slug, `"`)
	return strconv.Itoa(resp.StatusCode) + " " + slug
}
