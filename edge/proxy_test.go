package edge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ensemble/edge"
	"ensemble/wire"
)

// proxied is a gateway before the instances of one service, on a port of its own.
func proxied(t *testing.T, c edge.ProxyConfig) *httptest.Server {
	t.Helper()
	c.Log = slog.New(slog.DiscardHandler)
	proxy, err := edge.NewProxy(c)
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(edge.New(edge.Config{
		Services: []edge.Service{{Prefix: "/user", Handler: proxy, Ready: proxy.Ready}}, Log: c.Log,
	}))
	t.Cleanup(func() {
		gateway.Client().CloseIdleConnections()
		gateway.Close()
		proxy.Close()
	})
	return gateway
}

// instance is a service that does what a test says.
func instance(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// fetch sends a request to a gateway and returns the answer with its whole body.
func fetch(t *testing.T, gateway *httptest.Server, method, target string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, gateway.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := gateway.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestAProxiedRequestArrivesAsTheClientWroteIt, marks of the gateway included, whatever
// the client says about them.
func TestAProxiedRequestArrivesAsTheClientWroteIt(t *testing.T) {
	gateway := proxied(t, edge.ProxyConfig{Instances: []string{instance(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s prefix=%s id=%s key=%s encoding=%s body=%s",
			r.Method, r.RequestURI, r.Header.Values("X-Forwarded-Prefix"), r.Header.Get("X-Request-Id"),
			r.Header.Get("Idempotency-Key"), r.Header.Get("Accept-Encoding"), body)
	})}})
	gateway.Client().Transport.(*http.Transport).DisableCompression = true
	for _, c := range []struct{ sentence, method, target, body, want string }{
		{"the prefix is cut off", "GET", "/user/v1/users?limit=1", "", "GET /v1/users?limit=1 prefix=[/user] id=me key=k encoding= body="},
		{"escapes stay", "GET", "/user/v1/a%2Fb%20c/%C3%A9?x=%20+", "", "GET /v1/a%2Fb%20c/%C3%A9?x=%20+ prefix=[/user] id=me key=k encoding= body="},
		{"a query that is none is the service's to refuse", "GET", "/user/v1?a;b&%zz&c", "", "GET /v1?a;b&%zz&c prefix=[/user] id=me key=k encoding= body="},
		{"the bare prefix is the root", "GET", "/user", "", "GET / prefix=[/user] id=me key=k encoding= body="},
		{"a body arrives", "POST", "/user/v1/users", `{"a":1}`, `POST /v1/users prefix=[/user] id=me key=k encoding= body={"a":1}`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			_, got := fetch(t, gateway, c.method, c.target, strings.NewReader(c.body), "X-Request-Id", "me", "Idempotency-Key", "k",
				"X-Forwarded-Prefix", "/evil", "Connection", "X-Forwarded-Prefix, X-Request-Id")
			if got != c.want {
				t.Errorf("the service saw %s, not %s", got, c.want)
			}
		})
	}
}

// TestAProxiedAnswerIsTheOneThatWasSent: status, headers, bytes.
func TestAProxiedAnswerIsTheOneThatWasSent(t *testing.T) {
	gateway := proxied(t, edge.ProxyConfig{Instances: []string{instance(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Location"] = []string{"/user/v1/users/7"}
		w.Header()["ETag"] = []string{`"1-3f2a91c0"`}
		w.Header()["Link"] = []string{`</a>; rel="next"`, `</b>; rel="prev"`}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "{ }\n")
	})}})
	resp, body := fetch(t, gateway, "POST", "/user/v1/users", nil)
	if resp.StatusCode != 201 || body != "{ }\n" || resp.Header.Get("Location") != "/user/v1/users/7" ||
		resp.Header["Etag"][0] != `"1-3f2a91c0"` || len(resp.Header["Link"]) != 2 || resp.ContentLength != 4 {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
}

// TestAStreamComesThroughWhileItIsWritten: each event is read before the next one is sent.
func TestAStreamComesThroughWhileItIsWritten(t *testing.T) {
	for _, mediaType := range []string{"text/event-stream", "application/x-ndjson", "application/json"} {
		t.Run(mediaType, func(t *testing.T) { followStream(t, mediaType) })
	}
}

func followStream(t *testing.T, mediaType string) {
	next, gone := make(chan string), make(chan struct{})
	gateway := proxied(t, edge.ProxyConfig{Instances: []string{instance(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		for {
			select {
			case event := <-next:
				fmt.Fprintln(w, event)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				close(gone)
				return
			}
		}
	})}})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, gateway.URL+"/user/v1/events", nil)
	next2 := make(chan string)
	go func() { next <- "one"; next <- <-next2 }()
	resp, err := gateway.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != "one" {
		t.Fatalf("the first event is %q", lines.Text())
	}
	next2 <- "two"
	if !lines.Scan() || lines.Text() != "two" {
		t.Fatalf("the second event is %q", lines.Text())
	}
	leave()
	<-gone // the service learns that its client has gone
}

// problemOf reads a problem of the gateway's.
func problemOf(t *testing.T, resp *http.Response, body string) wire.Problem {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || resp.Header.Get("Content-Type") != wire.ProblemType || p.Status != resp.StatusCode {
		t.Fatalf("no problem: %d %s", resp.StatusCode, body)
	}
	return p
}

// nobody returns an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// TestWhatNoInstanceAnswersTheGatewayDoes, and says which of them may have happened.
func TestWhatNoInstanceAnswersTheGatewayDoes(t *testing.T) {
	hanging := make(chan struct{})
	defer close(hanging)
	for sentence, c := range map[string]struct {
		config edge.ProxyConfig
		want   wire.Slug
	}{
		"nobody listens": {edge.ProxyConfig{Instances: []string{nobody(t)}}, wire.NoInstance},
		"the connection is lost": {edge.ProxyConfig{Instances: []string{instance(t, func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		})}}, wire.BadGateway},
		"what answers does not speak HTTP": {edge.ProxyConfig{Instances: []string{instance(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
			_ = conn.Close()
		})}}, wire.BadGateway},
		"there is no answer in time": {edge.ProxyConfig{Answer: 20 * time.Millisecond, Instances: []string{instance(t, func(http.ResponseWriter, *http.Request) {
			<-hanging
		})}}, wire.GatewayTimeout},
	} {
		t.Run(sentence, func(t *testing.T) {
			resp, body := fetch(t, proxied(t, c.config), "POST", "/user/v1/users", strings.NewReader("{}"), "X-Request-Id", "me")
			p := problemOf(t, resp, body)
			if p.Type != "/problems/"+string(c.want) || p.Instance != "/user/v1/users" || p.Path != "/v1/users" || p.RequestID != "me" {
				t.Errorf("the problem is %+v", p)
			}
			if waits := resp.Header.Get("Retry-After") != ""; waits != (c.want == wire.NoInstance) {
				t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
			}
		})
	}
}

// TestABodyThatBreaksOffIsTheClientsToCorrect, also when an instance waits for it.
func TestABodyThatBreaksOffIsTheClientsToCorrect(t *testing.T) {
	gateway := proxied(t, edge.ProxyConfig{Instances: []string{instance(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler) // whatever it would say comes too late
	})}})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", gateway.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /user/v1/users HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
	_ = conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if p := problemOf(t, resp, string(body)); p.Type != "/problems/incomplete-body" {
		t.Errorf("the problem is %+v", p)
	}
}

// TestOfABodyThatIsTooLargeOnlyTheBeginningIsSentOn: the service says so after one byte too
// many, however long the body was said to be.
func TestOfABodyThatIsTooLargeOnlyTheBeginningIsSentOn(t *testing.T) {
	gateway := proxied(t, edge.ProxyConfig{Instances: []string{instance(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})}})
	for _, size := range []int{wire.MaxBody - 1, wire.MaxBody, wire.MaxBody + 1, 8 * wire.MaxBody} {
		for _, body := range []io.Reader{strings.NewReader(strings.Repeat("x", size)), io.MultiReader(strings.NewReader(strings.Repeat("x", size)))} {
			_, got := fetch(t, gateway, "POST", "/user/v1/users", body)
			if want := fmt.Sprint(min(size, wire.MaxBody+1), error(nil)); got != want {
				t.Errorf("of %d bytes the service read %s, not %s", size, got, want)
			}
		}
	}
}

// TestAnAnswerThatBreaksOffIsNotMistakenForAWholeOne.
func TestAnAnswerThatBreaksOffIsNotMistakenForAWholeOne(t *testing.T) {
	gateway := proxied(t, edge.ProxyConfig{Instances: []string{instance(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "[1,")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})}})
	resp, err := gateway.Client().Get(gateway.URL + "/user/v1/users")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("half an answer came as a whole one: %s", body)
	}
}

// TestWhoHasLessUnderWayIsAsked: while one of two instances holds a request, all others go
// to the other one.
func TestWhoHasLessUnderWayIsAsked(t *testing.T) {
	release, held := make(chan struct{}), make(chan string, 1)
	serve := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hold" {
				held <- name
				<-release
			}
			fmt.Fprint(w, name)
		}
	}
	gateway := proxied(t, edge.ProxyConfig{Instances: []string{instance(t, serve("a")), instance(t, serve("b"))}})
	var group sync.WaitGroup
	group.Go(func() { fetch(t, gateway, "GET", "/user/hold", nil) })
	busy := <-held
	for range 20 {
		if _, got := fetch(t, gateway, "GET", "/user/x", nil); got == busy {
			t.Errorf("%s holds a request and was asked", busy)
		}
	}
	close(release)
	group.Wait()
	asked := map[string]bool{}
	for range 200 { // both, unless 2 to the power of -200 happens
		_, got := fetch(t, gateway, "GET", "/user/x", nil)
		asked[got] = true
	}
	if len(asked) != 2 {
		t.Errorf("with nothing under way only %v is asked", asked)
	}
}

// TestAServiceIsReadyWhileOneInstanceIs.
func TestAServiceIsReadyWhileOneInstanceIs(t *testing.T) {
	health := func(status int) string {
		return instance(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	for _, c := range []struct {
		instances []string
		want      int
	}{
		{[]string{health(200)}, 200},
		{[]string{health(503)}, 503},
		{[]string{nobody(t), health(200)}, 200},
		{[]string{nobody(t), health(503)}, 503},
	} {
		if resp, body := fetch(t, proxied(t, edge.ProxyConfig{Instances: c.instances}), "GET", "/actuator/health", nil); resp.StatusCode != c.want {
			t.Errorf("%v: %d %s", c.instances, resp.StatusCode, body)
		}
	}
	proxy, err := edge.NewProxy(edge.ProxyConfig{Instances: []string{nobody(t), health(200)}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	if list := proxy.Instances(t.Context()); len(list) != 2 || list[0].Up || !list[1].Up || list[1].Address == "" {
		t.Errorf("the instances are %+v", list)
	}
}

func TestWhatIsNoAddressOfAnInstanceIsRefused(t *testing.T) {
	for _, instances := range [][]string{
		nil, {""}, {"127.0.0.1:8120"}, {"ftp://a"}, {"http://"}, {"http://a/user"}, {"http://u:p@a"}, {"http://a?x"}, {"http://a", ":"},
	} {
		if _, err := edge.NewProxy(edge.ProxyConfig{Instances: instances}); err == nil {
			t.Errorf("%q is taken", instances)
		}
	}
}
