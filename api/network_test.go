package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ensemble/api/apitest"
	"ensemble/internal/guard"
	"ensemble/wire"
)

// listen serves the gateway of a system on a real port, with the guard and the
// limits that it has there.
func listen(t *testing.T, s *apitest.System) *httptest.Server {
	t.Helper()
	return apitest.Listen(t, s.Gateway, guard.Config{})
}

// talk sends bytes and returns the answers as they come.
func talk(t *testing.T, server *httptest.Server, text string) *bufio.Reader {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(conn)
}

func TestABodyThatTricklesIsRefused(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	limits := guard.DefaultLimits()
	limits.ReadTime = 100 * time.Millisecond
	server := apitest.Listen(t, s.Gateway, guard.Config{Limits: limits})
	answers := talk(t, server, "POST /user/v1/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"+
		"Content-Length: 100\r\n\r\n{\"firstName\":")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(body), "/problems/request-timeout") {
		t.Errorf("answered %d %s, %v", resp.StatusCode, body, err)
	}
	if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 || events(t, s.UserLog) > 0 {
		t.Errorf("at the end came %q, %v, and there are %d events", rest, err, events(t, s.UserLog))
	}
}

func TestHugeBodiesAreRefusedAndTheClientIsTold(t *testing.T) {
	server := listen(t, apitest.Start(t, apitest.Options{}))
	for _, size := range []int{wire.MaxBody + 1, 200 << 10, 8 << 20} {
		for name, body := range map[string]io.Reader{
			"with its length":    strings.NewReader(strings.Repeat(" ", size)),
			"without its length": io.MultiReader(strings.NewReader(strings.Repeat(" ", size))),
		} {
			resp, err := server.Client().Post(server.URL+"/user/v1/users", "application/json", body)
			if err != nil {
				t.Errorf("%d bytes %s: %v", size, name, err)
				continue
			}
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%d bytes %s are answered %d", size, name, resp.StatusCode)
			}
			resp.Body.Close()
		}
	}
}

func TestAClientThatLeavesWithHalfABody(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	server := listen(t, s)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /user/v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"firstName\":\"A\",")
	conn.Close()
	resp, err := server.Client().Post(server.URL+"/user/v1/users", "application/json", strings.NewReader(ada))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Location") != "/user/v1/users/1" {
		t.Errorf("the next user is %d at %s", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestOneConnectionServesManyRequests(t *testing.T) {
	server := listen(t, apitest.Start(t, apitest.Options{}))
	answers := talk(t, server, "GET /user/v1/users/1 HTTP/1.1\r\nHost: x\r\n\r\n"+
		"HEAD /user/v1/users HTTP/1.1\r\nHost: x\r\n\r\n"+
		"POST /friend/v1/users/1/commands/addFriend?friendId=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz"+
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"+
		"OPTIONS /user/v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	for _, c := range []struct {
		method string
		status int
	}{{"GET", 404}, {"HEAD", 200}, {"POST", 400}, {"OPTIONS", 404}, {"OPTIONS", 204}} {
		resp, err := http.ReadResponse(answers, &http.Request{Method: c.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != c.status {
			t.Errorf("%s is answered %d, not %d; %v", c.method, resp.StatusCode, c.status, err)
		}
		resp.Body.Close()
	}
	if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("something follows the last answer: %v", err)
	}
}

func TestHeadersBeyond64KiBAreRefused(t *testing.T) {
	server := listen(t, apitest.Start(t, apitest.Options{}))
	answers := talk(t, server, "GET /livez HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 80<<10)+"\r\n\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %d", resp.StatusCode)
	}
}

func TestAnInterruptedReadIsNoInternalError(t *testing.T) {
	s, log := broken(t)
	log.read = errors.New("interrupted")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	s.Gateway.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/user/v1/users/1", nil))
	if w.Code != wire.StatusClientClosed {
		t.Errorf("answered %d", w.Code)
	}
}
