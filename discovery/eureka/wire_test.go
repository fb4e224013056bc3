package eureka_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ensemble/discovery/eureka"
)

// serve puts a registry behind a real port.
func serve(t *testing.T, c eureka.ServerConfig) (r *registry, addr string) {
	t.Helper()
	s := eureka.NewServer(c)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return &registry{t, s, "127.0.0.1"}, server.Listener.Addr().String()
}

// raw sends bytes over a connection of its own, half-closes it, and returns the answers.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// here is a registration from the loopback interface.
func here(id string) string {
	return strings.ReplaceAll(registration("A", id), "10.0.0.7", "127.0.0.1")
}

// TestHeadSaysWhatGetWouldSay: the same status and headers, and no body.
func TestHeadSaysWhatGetWouldSay(t *testing.T) {
	r, addr := serve(t, eureka.ServerConfig{})
	r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/A", here("a"))
	for _, path := range []string{"/eureka/apps", "/eureka/v2/apps/delta/", "/eureka/apps/A/a", "/eureka/instances/nobody", "/eureka/vips/a", "/dashboard/style.css"} {
		for _, packed := range []string{"gzip", "identity"} {
			var heads [2]http.Header
			for i, method := range []string{http.MethodGet, http.MethodHead} {
				req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Accept-Encoding", packed)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || (len(body) > 0) != (method == http.MethodGet) || resp.Header.Get("Content-Length") == "" {
					t.Errorf("%s %s: %d bytes, length %q, %v", method, path, len(body), resp.Header.Get("Content-Length"), err)
				}
				resp.Header.Del("Date")
				heads[i] = resp.Header
			}
			if fmt.Sprint(heads[0]) != fmt.Sprint(heads[1]) {
				t.Errorf("%s: GET says\n%v, HEAD\n%v", path, heads[0], heads[1])
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestARegistrationThatDoesNotArriveRegistersNobody: cut short, of a wrong length, in
// broken chunks, with a second document behind it.
func TestARegistrationThatDoesNotArriveRegistersNobody(t *testing.T) {
	body := here("cut")
	head := "POST /eureka/apps/A HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	whole := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	for says, c := range map[string]struct {
		request, status string
		n               int
	}{
		"whole":                        {whole, "204", 1},
		"in chunks":                    {fmt.Sprintf("%s%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", chunked, 9, body[:9], len(body)-9, body[9:]), "204", 1},
		"cut in the middle":            {whole[:len(whole)-20], "400", 0},
		"cut before its last byte":     {whole[:len(whole)-1], "400", 0},
		"without a body":               {head + "Content-Length: 0\r\n\r\n", "400", 0},
		"of another length":            {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body)-5, body), "400", 0},
		"chunks without an end":        {fmt.Sprintf("%s%x\r\n%s\r\n", chunked, len(body), body), "400", 0},
		"chunks of no number":          {chunked + "zz\r\n" + body, "400", 0},
		"of two lengths":               {head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + body, "400", 0},
		"announced too large":          {head + "Content-Length: 65537\r\n\r\n" + body + strings.Repeat(" ", 65537-len(body)), "413", 0},
		"as large as it may be":        {head + "Content-Length: 65536\r\n\r\n" + body + strings.Repeat(" ", 65536-len(body)), "204", 1},
		"too large in chunks":          {fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", chunked, 70000, body+strings.Repeat(" ", 70000-len(body))), "413", 0},
		"packed":                       {strings.Replace(whole, "Host: x", "Host: x\r\nContent-Encoding: gzip", 1), "415", 0},
		"that waits for leave to come": {strings.Replace(whole, "Host: x", "Host: x\r\nExpect: 100-continue", 1), "100", 1},
	} {
		r, addr := serve(t, eureka.ServerConfig{})
		got := raw(t, addr, c.request)
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.status) {
			t.Errorf("%s is answered %.300q, want %s", says, got, c.status)
		}
		if n := len(r.instances("/eureka/apps").rows); n != c.n {
			t.Errorf("%s registers %d instances, want %d", says, n, c.n)
		}
	}
}

// TestASlowSenderHoldsNobodyUp: while one sends its registration byte by byte and stops,
// others register, renew and read; it is registered when its last byte is there.
func TestASlowSenderHoldsNobodyUp(t *testing.T) {
	r, addr := serve(t, eureka.ServerConfig{})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := here("slow")
	request := fmt.Sprintf("POST /eureka/apps/A HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for i := range len(request) - 1 {
		if _, err := conn.Write([]byte{request[i]}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			id := fmt.Sprint("i", i)
			r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/A", here(id))
			r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/A/"+id, "")
		}
	}
	if got := r.json("/eureka/apps"); strings.Contains(got, `"slow"`) {
		t.Error("half a registration counts")
	}
	if _, err := conn.Write([]byte{request[len(request)-1]}); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "204") {
		t.Errorf("%q %v", line, err)
	}
	r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/A/slow", "")
}

// TestGzipInEachForm: packed or not, each list is the same, and errors are never packed.
func TestGzipInEachForm(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	for i := range 50 {
		r.register("A", fmt.Sprint(i))
	}
	for _, path := range []string{"/eureka/apps", "/eureka/apps/delta", "/eureka/apps/A", "/eureka/apps/A/7", "/eureka/instances/7"} {
		for _, form := range []string{"application/json", "application/xml"} {
			plain := r.wants(http.StatusOK, http.MethodGet, path, "", "Accept: "+form)
			w := r.call(http.MethodGet, path, "", "Accept: "+form, "Accept-Encoding: deflate , GZIP ; q=0.3")
			length := w.Body.Len()
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			got, err := io.ReadAll(z)
			if err != nil || string(got) != plain || w.Header().Get("Content-Length") != fmt.Sprint(length) || w.Header().Get("Content-Type") != form {
				t.Errorf("%s as %s: %v, %d bytes packed, headers %v", path, form, err, length, w.Header())
			}
		}
	}
	if w := r.call(http.MethodGet, "/eureka/apps/B", "", "Accept-Encoding: gzip"); w.Header().Get("Content-Encoding") != "" || w.Code != http.StatusNotFound {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// book is what one client was told of one instance.
type book struct {
	there  bool
	status string
	k      string // of its metadata
}

// TestManyAtOnceEndWithWhatTheyWereTold: each client owns a few instances and remembers
// what it was answered, while others read every kind of list. At the end the registry
// has what the books have, a reader of the deltas too, and the hash counts it.
func TestManyAtOnceEndWithWhatTheyWereTold(t *testing.T) {
	const clients, steps, own = 8, 60, 3
	r := newRegistry(t, eureka.ServerConfig{Instances: clients*own - 4}) // some find it full
	reader := &javaClient{r: r}
	books := make([][own]book, clients)
	var all, readers sync.WaitGroup
	stop := make(chan struct{})
	for _, path := range []string{"/eureka/apps", "/eureka/apps/delta", "/eureka/vips/a", "/eureka/apps/A/0-0", "/"} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if w := r.call(http.MethodGet, path, "", "Accept: application/json"); w.Code >= 500 {
						t.Errorf("%s: %d %s", path, w.Code, w.Body)
					}
				}
			}
		})
	}
	for c := range clients {
		all.Go(func() {
			for s := range steps {
				i := (s*7 + c) % own
				r.oneOf(&books[c][i], fmt.Sprint(c, "-", i), (s*s+5*c+s/own)%11, s)
			}
		})
	}
	for range 20 {
		reader.poll()
		count := 0
		for _, a := range reader.apps {
			count += len(a)
		}
		if count > clients*own-4 {
			t.Errorf("%d instances where %d may be", count, clients*own-4)
		}
	}
	all.Wait()
	close(stop)
	readers.Wait()
	reader.poll()
	want := map[string]seen{}
	for c, b := range books {
		for i, one := range b {
			if one.there {
				metadata := map[string]string{"@class": "java.util.Collections$EmptyMap"}
				if one.k != "" {
					metadata = map[string]string{"k": one.k}
				}
				want[fmt.Sprint(c, "-", i)] = seen{one.status, fmt.Sprint(metadata)}
			}
		}
	}
	full := everything(reader.get("/eureka/apps"))["A"]
	if fmt.Sprint(full) != fmt.Sprint(want) || fmt.Sprint(reader.apps["A"]) != fmt.Sprint(want) {
		t.Errorf("the registry has\n%v\nthe reader\n%v\nthe books\n%v", full, reader.apps["A"], want)
	}
	if hash := r.instances("/eureka/apps").hash; hash != reader.hash() || len(want) == 0 {
		t.Errorf("hash %s, counted %s", hash, reader.hash())
	}
}

// oneOf does one thing to an instance and keeps its book by what was answered.
func (r *registry) oneOf(b *book, id string, what, step int) {
	path := "/eureka/apps/A/" + id
	status := []string{"UP", "DOWN", "STARTING"}[step%3]
	var code int
	switch {
	case what < 4:
		code = r.call(http.MethodPost, "/eureka/apps/A", registration("A", id, `"vipAddress":"a"`, `"status":"`+status+`"`)).Code
		if code == http.StatusNoContent {
			*b = book{there: true, status: status}
		} else if code != http.StatusTooManyRequests || b.there {
			r.Errorf("register %s: %d", id, code)
		}
		return
	case what < 7:
		code = r.call(http.MethodPut, path, "").Code
	case what < 9:
		if code = r.call(http.MethodPut, fmt.Sprint(path, "/metadata?k=", step), "").Code; code == http.StatusOK {
			b.k = fmt.Sprint(step)
		}
	default:
		code = r.call(http.MethodDelete, path, "").Code
		defer func() { b.there = false }()
	}
	if (code == http.StatusOK) != b.there || code != http.StatusOK && code != http.StatusNotFound {
		r.Errorf("%s, action %d: %d, but the book says %+v", id, what, code, *b)
	}
}

// TestManyClientsAnnounceAndReadOverRealConnections, until
// each sees all; when they have stopped nobody is left.
func TestManyClientsAnnounceAndReadOverRealConnections(t *testing.T) {
	r, addr := serve(t, eureka.ServerConfig{})
	stay, leave := context.WithCancel(t.Context())
	var announced, read sync.WaitGroup
	for i := range 12 {
		c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://" + addr + "/eureka"}, Refresh: 5 * time.Millisecond, Timeout: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		announced.Go(func() {
			c.Announce(stay, eureka.Registration{App: fmt.Sprint("S", i%3), Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(1000+i))})
		})
		read.Go(func() {
			n := 0
			for end := time.Now().Add(20 * time.Second); n < 12 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				n = 0
				for _, service := range []string{"s0", "S1", "s2"} {
					l, err := c.Resolve(t.Context(), service)
					if err != nil {
						t.Error(err)
						return
					}
					n += len(l.Instances)
				}
			}
			if n != 12 {
				t.Errorf("%d are seen", n)
			}
		})
	}
	read.Wait()
	leave()
	announced.Wait()
	r.shows("/eureka/apps", "")
}
