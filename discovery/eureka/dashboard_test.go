package eureka_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/discovery/eureka"
)

// TestAPersonSeesWhoIsThere, since when, and what happened.
func TestAPersonSeesWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, eureka.ServerConfig{})
		wants := func(texts ...string) {
			t.Helper()
			page := strings.Join(strings.Fields(r.wants(http.StatusOK, http.MethodGet, "/", "")), " ")
			for _, text := range texts {
				if !strings.Contains(page, text) {
					t.Errorf("the page does not have %q:\n%s", text, page)
				}
			}
		}
		wants("Nobody is registered yet", "DEFAULTZONE=http://example.com/eureka", "Nothing since the registry was started")
		r.register("USER", "a", `"homePageUrl":"http://10.0.0.7:8080/x"`)
		r.register("USER", "b", `"status":"STARTING"`)
		r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/USER/a/status?value=OUT_OF_SERVICE", "")
		time.Sleep(20 * time.Second)
		wants("USER <small>0 of 2 up</small>", `<a href="http://10.0.0.7:8080/x"`, "OUT_OF_SERVICE</b><small class=\"ordered\">ordered",
			"STARTING</b>", "not up yet", "20 s ago", `width="78"`, "UP → OUT_OF_SERVICE", "registered as STARTING")
		time.Sleep(30 * time.Second)
		wants("50 s ago, late")
		time.Sleep(70 * time.Second)
		wants("Nobody is registered yet", "was not heard of for 2 min", "running for</dt><dd>2 min")
		beat := fleet(r, 12)
		beat(0, time.Minute)
		beat(6, 3*time.Minute)
		wants("Nobody is let go of at the moment.")
	})
}

// TestNothingThatAnInstanceSaysIsMoreThanText: names, metadata and addresses of pages.
func TestNothingThatAnInstanceSaysIsMoreThanText(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	evil := `<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{.}}`
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	for i, home := range []string{"javascript:alert(1)", "http://evil.example/", "http://10.0.0.7@evil.example/", "//evil.example", "http://10.0.0.7:1/\\\"onclick=alert(1)"} {
		r.register("A'B", fmt.Sprint("i'", i), `"homePageUrl":"`+home+`"`, `"vipAddress":`+string(quoted), `"metadata":{"<b>{{x}}":`+string(quoted)+`}`)
	}
	w := r.call(http.MethodGet, "/", "")
	page := w.Body.String()
	for _, text := range []string{"<script>alert", "<img", "<b>{{", "javascript:alert", "evil.example", `"onclick=`, "#ZgotmplZ"} {
		if strings.Contains(page, text) {
			t.Errorf("the page has %s", text)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("the page does not show what was said")
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'self'; script-src 'self'; ") || strings.Contains(got, "unsafe") {
		t.Errorf("policy %q", got)
	}
}

// TestThePageLoadsNothingFromElsewhere, and what it loads is there.
func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	page := r.wants(http.StatusOK, http.MethodGet, "/", "")
	for _, part := range strings.Split(page, `="`)[1:] {
		value, _, _ := strings.Cut(part, `"`)
		switch {
		case strings.HasPrefix(value, "/"):
			r.wants(http.StatusOK, http.MethodGet, value, "")
		case strings.Contains(value, "//") && !strings.HasPrefix(value, "data:"):
			t.Errorf("the page mentions %s", value)
		}
	}
	for _, file := range []string{"style.css", "live.js"} {
		if body := r.wants(http.StatusOK, http.MethodGet, "/dashboard/"+file, ""); strings.Contains(body, "http:") || strings.Contains(body, "https:") {
			t.Errorf("%s mentions another place", file)
		}
	}
	r.wants(http.StatusMethodNotAllowed, http.MethodPost, "/", "")
	r.wants(http.StatusNotFound, http.MethodGet, "/dashboard/page.html", "")
}

// TestAThousandInstancesDoNotFillThePage: those that need a look come first.
func TestAThousandInstancesDoNotFillThePage(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	for i := range 300 {
		status := "UP"
		if i == 299 {
			status = "DOWN"
		}
		r.register("USER", fmt.Sprintf("%03d", i), `"status":"`+status+`"`)
	}
	page := r.wants(http.StatusOK, http.MethodGet, "/", "")
	if n := strings.Count(page, `class="badge`); n != 200 || !strings.Contains(page, "and 100 more") {
		t.Errorf("%d rows", n)
	}
	if first := page[strings.Index(page, `class="badge`):]; !strings.HasPrefix(first, `class="badge down"`) {
		t.Error("who is down is not first")
	}
}
