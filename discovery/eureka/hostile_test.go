package eureka_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"ensemble/discovery/eureka"
)

// shape is the page as a browser understands it: its elements with their attributes,
// without what only text and quoted values say.
type shape struct {
	elements map[string]int // "small", how often
	names    map[string]int // "small title", how often
	values   []string       // of attributes
	text     string
}

// shapeOf parses the page.
func shapeOf(t *testing.T, r *registry) shape {
	t.Helper()
	root, err := html.Parse(strings.NewReader(r.wants(http.StatusOK, http.MethodGet, "/", "")))
	if err != nil {
		t.Fatal(err)
	}
	s := shape{elements: map[string]int{}, names: map[string]int{}}
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			s.elements[n.Data]++
			for _, a := range n.Attr {
				s.names[n.Data+" "+a.Key]++
				s.values = append(s.values, a.Val)
			}
		case html.TextNode:
			s.text += n.Data + " "
		case html.CommentNode, html.DoctypeNode, html.DocumentNode, html.ErrorNode, html.RawNode:
		}
	}
	return s
}

// hostile are texts that became more than text somewhere.
func hostile() []string {
	return []string{
		`<script>alert(1)</script>`, `"><script src=//evil.example></script>`, `'><img src=x onerror=alert(1)>`, `</dd></dl></details></span><h1>`,
		`" onmouseover="alert(1)`, `' autofocus onfocus='alert(1)`, "` onload=alert(1)", `</title><script>`, `--><script>`, `]]><script>`, `<!--`, `<style>*{display:none}`,
		`</noscript><script>`, `<base href=//evil.example>`, `<meta http-equiv=refresh content=0>`, `<svg/onload=alert(1)>`, `<iframe srcdoc=x>`, `<form action=//evil.example><button>`,
		`{{.Host}}`, `{{template "x"}}`, `${7*7}`, `&lt;script&gt;`, `&#60;script&#62;`, `\u003cscript\u003e`, `%3Cscript%3E`, `javascript:alert(1)`,
		"\u202egnp.exe", "\u2028alert(1)\u2029", "\ufeff<script>", "＜script＞", "line\nfeed\ttab\r", strings.Repeat("W", 1000), strings.Repeat("<b>", 300),
	}
}

// TestAHostileInstanceChangesNoElementOfThePage: with every hostile text in every member
// that takes it, the page has the same elements and attributes as with a harmless one,
// and says the text.
func TestAHostileInstanceChangesNoElementOfThePage(t *testing.T) {
	with := func(text string) *registry {
		r := newRegistry(t, eureka.ServerConfig{})
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		quoted := string(b)
		for _, member := range []string{"vipAddress", "secureVipAddress", "appGroupName", "sid", "asgName", "homePageUrl", "statusPageUrl", "healthCheckUrl", "secureHealthCheckUrl"} {
			r.call(http.MethodPost, "/eureka/apps/A", registration("A", "a", `"`+member+`":`+quoted)) // as much of it as is taken
		}
		r.register("A", "a", `"metadata":{"k":`+quoted+`}`)
		return r
	}
	harmless := shapeOf(t, with("harmless"))
	for _, text := range hostile() {
		got := shapeOf(t, with(text))
		if fmt.Sprint(got.elements) != fmt.Sprint(harmless.elements) || fmt.Sprint(got.names) != fmt.Sprint(harmless.names) {
			t.Errorf("%q makes the page\n%v\n%v\nand not\n%v\n%v", text, got.elements, got.names, harmless.elements, harmless.names)
		}
		if said := strings.ReplaceAll(text, "\r", "\n"); !strings.Contains(got.text, said) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

// TestHostileNamesAreRefusedOrOnlyShown: an application, an id, a host and a key of the
// metadata go into attributes and links; what could be more there is refused.
func TestHostileNamesAreRefusedOrOnlyShown(t *testing.T) {
	plain := newRegistry(t, eureka.ServerConfig{})
	plain.register("A", "a", `"metadata":{"k":"v"}`)
	harmless := shapeOf(t, plain)
	for _, text := range append(hostile(), "a'b", "a&b", "a;b", "a`b", "(a)", "{{a}}", "a=b", "a,b", "\x1b[31m", "\x00", "\u0085", "ä") {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		r := newRegistry(t, eureka.ServerConfig{})
		for what, body := range map[string]string{
			"id":   strings.Replace(registration("A", "a", `"metadata":{"k":"v"}`), `"a"`, string(b), 1),
			"host": strings.Replace(registration("A", "a"), `"hostName":"10.0.0.7"`, `"hostName":`+string(b), 1),
			"key":  registration("A", "a", `"metadata":{`+string(b)+`:"v"}`),
		} {
			w := r.call(http.MethodPost, "/eureka/apps/A", body)
			if what == "host" && w.Code != http.StatusBadRequest {
				t.Errorf("host %q: %d", text, w.Code)
			}
			if w.Code == http.StatusBadRequest {
				continue
			}
			if got := shapeOf(t, r); w.Code != http.StatusNoContent || fmt.Sprint(got.elements) != fmt.Sprint(harmless.elements) || fmt.Sprint(got.names) != fmt.Sprint(harmless.names) {
				t.Errorf("%s %q is answered %d and makes the page\n%v", what, text, w.Code, got.names)
			}
			r = newRegistry(t, eureka.ServerConfig{})
		}
	}
}

// TestLinksLeadToTheInstanceOrNowhere.
func TestLinksLeadToTheInstanceOrNowhere(t *testing.T) {
	for home, ok := range map[string]bool{
		"http://10.0.0.7/": true, "https://10.0.0.7:8443/x?y=1#z": true, "HTTP://10.0.0.7": true,
		"": false, "/": false, "javascript:alert(1)//10.0.0.7": false, "java\tscript:alert(1)": false, "data:text/html,<script>": false,
		"http://10.0.0.8/": false, "http://10.0.0.7.evil.example/": false, "http://evil.example/10.0.0.7": false, "http://10.0.0.7@evil.example/": false,
		"http://evil.example@10.0.0.7/": false, "http://evil.example\\@10.0.0.7/": false, "//10.0.0.7/": false, "ftp://10.0.0.7/": false, "file://10.0.0.7/etc/passwd": false,
		" javascript:alert(1)": false, "http://": false, "http:///": false, "vbscript:x": false, "blob:http://10.0.0.7/": false,
	} {
		r := newRegistry(t, eureka.ServerConfig{})
		b, err := json.Marshal(home)
		if err != nil {
			t.Fatal(err)
		}
		w := r.call(http.MethodPost, "/eureka/apps/A", registration("A", "a", `"homePageUrl":`+string(b)))
		links := shapeOf(t, r).names["a href"] - 1 // the one to /eureka/apps
		if (links == 1) != ok || links > 1 || ok && w.Code != http.StatusNoContent {
			t.Errorf("%q: %d links, answered %d", home, links, w.Code)
		}
	}
}

// TestThePageWorksWithoutScripts: what it shows is in it, it reloads itself, and nothing
// in it is a script, a style or a handler of its own, as its policy allows none.
func TestThePageWorksWithoutScripts(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "u1", `"metadata":{"zone":"z1"}`)
	w := r.call(http.MethodGet, "/", "", "Host: evil.example")
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	s := shapeOf(t, r)
	for name := range s.names {
		_, attribute, _ := strings.Cut(name, " ")
		if strings.HasPrefix(attribute, "on") || attribute == "style" || attribute == "srcdoc" || name == "form action" {
			t.Errorf("the page has %s", name)
		}
	}
	for _, v := range s.values {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), "javascript:") {
			t.Errorf("the page has %s", v)
		}
	}
	if s.elements["script"] != 1 || s.names["script src"] != 1 || s.elements["style"] != 0 || s.elements["iframe"] != 0 {
		t.Errorf("elements %v", s.elements)
	}
	if s.elements["noscript"] != 1 || !strings.Contains(w.Body.String(), `<noscript><meta http-equiv="refresh" content="5"></noscript>`) {
		t.Error("without scripts it stays as it is")
	}
	for _, text := range []string{"USER", "u1", "10.0.0.7:8080", "UP", "zone", "z1", "registered as UP", "1 of 1 up"} {
		if !strings.Contains(s.text, text) {
			t.Errorf("the page does not say %s", text)
		}
	}
}

// TestTheHostOfTheRequestIsOnlyText: the page names it to who has nobody registered.
func TestTheHostOfTheRequestIsOnlyText(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = `"><script>alert(1)</script>`
	w := &recorded{header: http.Header{}}
	r.ServeHTTP(w, req)
	if strings.Contains(w.body.String(), "<script>alert") || !strings.Contains(w.body.String(), "&lt;script&gt;alert(1)") {
		t.Errorf("%s", w.body.String())
	}
}

// recorded is an answer.
type recorded struct {
	header http.Header
	body   strings.Builder
}

// Header implements http.ResponseWriter.
func (r *recorded) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorded) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (r *recorded) Write(b []byte) (int, error) { return r.body.Write(b) }

// TestThePageCountsThoseThatItDoesNotShow.
func TestThePageCountsThoseThatItDoesNotShow(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	for i := range 250 {
		r.register("A", fmt.Sprint(i))
	}
	text := shapeOf(t, r).text
	for _, want := range []string{"250 of 250 up", "and 50 more", "Registry: 250 instances"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if n := strings.Count(text, "registered as UP"); n != 50 {
		t.Errorf("%d events", n)
	}
}

// TestThePreservingEndsWithTheLastGoodbye: the page does not go on warning of a fleet
// that has left.
func TestThePreservingEndsWithTheLastGoodbye(t *testing.T) {
	const warning = "Nobody is let go of"
	for _, preserve := range []eureka.Preserve{eureka.PreserveLarge, eureka.PreserveAlways} {
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry(t, eureka.ServerConfig{Preserve: preserve})
			for i := range 12 {
				r.register("A", fmt.Sprint(i))
			}
			time.Sleep(2 * time.Minute)
			if text := shapeOf(t, r).text; !strings.Contains(text, warning) || !strings.Contains(text, "late") {
				t.Error("no warning while all are silent")
			}
			for i := range 12 {
				r.wants(http.StatusOK, http.MethodDelete, fmt.Sprint("/eureka/apps/A/", i), "")
			}
			if text := shapeOf(t, r).text; strings.Contains(text, warning) || !strings.Contains(text, "Nobody is registered yet") {
				t.Error("a warning when all have left")
			}
		})
	}
}
