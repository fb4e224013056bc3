package eureka_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"

	"ensemble/discovery/eureka"
)

// TestTheFormIsThatWhichTheClientReads: JSON if it says so anywhere, otherwise XML.
func TestTheFormIsThatWhichTheClientReads(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "a")
	for accept, form := range map[string]string{
		"application/json":                         "json",
		"application/json, application/*+json":     "json",
		"application/vnd.x+json;q=0.5":             "json",
		"application/xml":                          "xml",
		"application/json;q=0.9, application/xml":  "json",
		"text/html,application/xhtml+xml,*/*;q=.8": "xml",
		"*/*": "xml",
		"":    "xml",
	} {
		for _, path := range []string{"/eureka/apps", "/eureka/v2/apps/", "/eureka/apps/user", "/eureka/apps/USER/a/", "/eureka/instances/a", "/eureka/apps/delta/"} {
			w := r.call(http.MethodGet, path, "", "Accept: "+accept)
			if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != "application/"+form {
				t.Errorf("%s with %q: %d %s", path, accept, w.Code, got)
			}
			if first := w.Body.String()[0]; (first == '{') != (form == "json") {
				t.Errorf("%s with %q begins with %c", path, accept, first)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Header().Get("Vary"), "Accept") {
				t.Errorf("%s: headers %v", path, w.Header())
			}
		}
	}
}

// TestWhatIsSentInOneFormIsReadInBoth, also what would end an element or a string.
func TestWhatIsSentInOneFormIsReadInBoth(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("JSON", "a", `"metadata":{"k":"]]></k><status>DOWN</status>"}`, `"vipAddress":"\"},{"`)
	r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/xml", `<instance><instanceId>b</instanceId><hostName>b</hostName><app>xml</app>
		<ipAddr>10.0.0.7</ipAddr><vipAddress>&lt;/vipAddress&gt;</vipAddress><dataCenterInfo><name>MyOwn</name></dataCenterInfo>
		<metadata><k><![CDATA["}]]></k></metadata></instance>`)
	r.shows("/eureka/apps", "UP_2_", "JSON/a UP ADDED", "XML/b UP ADDED")
	var doc struct {
		Apps []struct {
			Instances []struct {
				VIP      string `xml:"vipAddress"`
				Status   string `xml:"status"`
				Metadata struct {
					K string `xml:"k"`
				} `xml:"metadata"`
			} `xml:"instance"`
		} `xml:"application"`
	}
	if err := xml.Unmarshal([]byte(r.wants(http.StatusOK, http.MethodGet, "/eureka/apps", "")), &doc); err != nil {
		t.Fatal(err)
	}
	a, b := doc.Apps[0].Instances[0], doc.Apps[1].Instances[0]
	if a.VIP != `"},{` || a.Metadata.K != "]]></k><status>DOWN</status>" || a.Status != "UP" {
		t.Errorf("from JSON: %+v", a)
	}
	if b.VIP != "</vipAddress>" || b.Metadata.K != `"}` {
		t.Errorf("from XML: %+v", b)
	}
}

// TestHeadAndOptionsAndPathsWithEscapes.
func TestHeadAndOptionsAndPathsWithEscapes(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "h:user:80")
	for _, path := range []string{"/eureka/apps/USER/h:user:80", "/eureka/apps/USER/h%3Auser%3A80", "/eureka/v2/apps/us%65r/h%3Auser:80/"} {
		r.wants(http.StatusOK, http.MethodPut, path, "")
		w := r.call(http.MethodHead, path, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %d %v", path, w.Code, w.Header())
		}
	}
	w := r.call(http.MethodOptions, "/eureka/apps/USER/h:user:80", "")
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "DELETE, GET, HEAD, PUT" {
		t.Errorf("OPTIONS: %d, allowed %s", w.Code, w.Header().Get("Allow"))
	}
	r.wants(http.StatusNotFound, http.MethodPut, "/eureka/apps/USER/h%2Fuser", "")
}

// TestNamesOfSeveralServices: an instance is found by each of its virtual addresses, and
// only by whole ones.
func TestNamesOfSeveralServices(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "a", `"vipAddress":"user,People , persons"`, `"secureVipAddress":"safe"`)
	for name, found := range map[string]bool{"user": true, "people": true, "PERSONS": true, "person": false, "user,People": false, "safe": false} {
		hash := map[bool]string{true: "UP_1_"}[found]
		if got := r.instances("/eureka/vips/" + name).hash; got != hash {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := r.instances("/eureka/svips/safe").hash; got != "UP_1_" {
		t.Errorf("svips: %q", got)
	}
}
