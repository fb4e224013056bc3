package eureka_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/discovery/eureka"
)

// asXML writes the least that an instance sends in XML, with more elements at the end.
func asXML(app, id string, more ...string) string {
	return "<instance><instanceId>" + id + "</instanceId><app>" + app + `</app><hostName>10.0.0.7</hostName><ipAddr>10.0.0.7</ipAddr>
		<port enabled="true">8080</port><dataCenterInfo class="x"><name>MyOwn</name></dataCenterInfo>` + strings.Join(more, "") + "</instance>"
}

// instanceJSON is an instance of A as the registry answers it when it was registered at
// the beginning of made-up time.
func instanceJSON(id, status, overridden, metadata string) string {
	return `{"instanceId":"` + id + `","hostName":"10.0.0.7","app":"A","ipAddr":"10.0.0.7","status":"` + status + `",` +
		`"overriddenStatus":"` + overridden + `","overriddenstatus":"` + overridden + `",` +
		`"port":{"$":8080,"@enabled":"true"},"securePort":{"$":0,"@enabled":"false"},"countryId":0,` +
		`"dataCenterInfo":{"@class":"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo","name":"MyOwn"},` +
		`"leaseInfo":{"renewalIntervalInSecs":30,"durationInSecs":90,"registrationTimestamp":946684800000,` +
		`"lastRenewalTimestamp":946684800000,"evictionTimestamp":0,"serviceUpTimestamp":946684800000},"metadata":` + metadata +
		`,"vipAddress":"a","isCoordinatingDiscoveryServer":"false","lastUpdatedTimestamp":"946684800000",` +
		`"lastDirtyTimestamp":"5","actionType":"ADDED"}`
}

// instanceXML is the same in XML, so far from the margin.
func instanceXML(margin int, id, status, overridden, metadata string) string {
	lines := `<instance>
  <instanceId>` + id + `</instanceId>
  <hostName>10.0.0.7</hostName>
  <app>A</app>
  <ipAddr>10.0.0.7</ipAddr>
  <status>` + status + `</status>
  <overriddenstatus>` + overridden + `</overriddenstatus>
  <overriddenStatus>` + overridden + `</overriddenStatus>
  <port enabled="true">8080</port>
  <securePort enabled="false">0</securePort>
  <countryId>0</countryId>
  <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo">
    <name>MyOwn</name>
  </dataCenterInfo>
  <leaseInfo>
    <renewalIntervalInSecs>30</renewalIntervalInSecs>
    <durationInSecs>90</durationInSecs>
    <registrationTimestamp>946684800000</registrationTimestamp>
    <lastRenewalTimestamp>946684800000</lastRenewalTimestamp>
    <evictionTimestamp>0</evictionTimestamp>
    <serviceUpTimestamp>946684800000</serviceUpTimestamp>
  </leaseInfo>
  ` + metadata + `
  <vipAddress>a</vipAddress>
  <isCoordinatingDiscoveryServer>false</isCoordinatingDiscoveryServer>
  <lastUpdatedTimestamp>946684800000</lastUpdatedTimestamp>
  <lastDirtyTimestamp>5</lastDirtyTimestamp>
  <actionType>ADDED</actionType>
</instance>`
	indent := strings.Repeat(" ", margin)
	return indent + strings.ReplaceAll(lines, "\n", "\n"+indent)
}

// TestEveryRouteInBothForms: one instance is registered in either form, and each route
// answers the same bytes, under both prefixes, with and without a slash at the end.
func TestEveryRouteInBothForms(t *testing.T) {
	const emptyJSON = `{"@class":"java.util.Collections$EmptyMap"}`
	const emptyXML = `<metadata class="java.util.Collections$EmptyMap"></metadata>`
	list := func(hash, version, json string) string {
		return `{"applications":{"versions__delta":"` + version + `","apps__hashcode":"` + hash + `","application":[` + json + `]}}`
	}
	wholeXML := "<applications>\n  <versions__delta>1</versions__delta>\n  <apps__hashcode>UP_1_</apps__hashcode>\n" +
		"  <application>\n    <name>A</name>\n" + instanceXML(4, "a:1", "UP", "UNKNOWN", emptyXML) + "\n  </application>\n</applications>"
	nobodyXML := "<applications>\n  <versions__delta>1</versions__delta>\n  <apps__hashcode></apps__hashcode>\n</applications>"
	app := `{"name":"A","instance":[` + instanceJSON("a:1", "UP", "UNKNOWN", emptyJSON) + `]}`
	for path, want := range map[string][2]string{
		"/apps":           {list("UP_1_", "1", app), wholeXML},
		"/apps/delta":     {list("UP_1_", "1", app), wholeXML},
		"/vips/a":         {list("UP_1_", "1", app), wholeXML},
		"/vips/A":         {list("UP_1_", "1", app), wholeXML},
		"/svips/a":        {list("", "1", ""), nobodyXML},
		"/vips/nobody":    {list("", "1", ""), nobodyXML},
		"/apps/a":         {`{"application":` + app + `}`, "<application>\n  <name>A</name>\n" + instanceXML(2, "a:1", "UP", "UNKNOWN", emptyXML) + "\n</application>"},
		"/apps/A/a:1":     {`{"instance":` + instanceJSON("a:1", "UP", "UNKNOWN", emptyJSON) + `}`, instanceXML(0, "a:1", "UP", "UNKNOWN", emptyXML)},
		"/apps/a/a%3A1":   {`{"instance":` + instanceJSON("a:1", "UP", "UNKNOWN", emptyJSON) + `}`, instanceXML(0, "a:1", "UP", "UNKNOWN", emptyXML)},
		"/instances/a:1":  {`{"instance":` + instanceJSON("a:1", "UP", "UNKNOWN", emptyJSON) + `}`, instanceXML(0, "a:1", "UP", "UNKNOWN", emptyXML)},
		"/apps?regions=x": {list("UP_1_", "1", app), wholeXML},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, body := range []string{
				registration("A", "a:1", `"vipAddress":"a"`, `"lastDirtyTimestamp":5`),
				asXML("a", "a:1", "<vipAddress>a</vipAddress><lastDirtyTimestamp>5</lastDirtyTimestamp><metadata/>"),
			} {
				r := newRegistry(t, eureka.ServerConfig{})
				r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/a", body)
				for i, form := range []string{"application/json", "application/xml"} {
					for _, prefix := range []string{"/eureka", "/eureka/v2"} {
						for _, slash := range []string{"", "/"} {
							if slash != "" && strings.Contains(path, "?") {
								continue
							}
							w := r.call(http.MethodGet, prefix+path+slash, "", "Accept: "+form)
							if diff := cmp.Diff(want[i], w.Body.String()); diff != "" || w.Code != http.StatusOK || w.Header().Get("Content-Type") != form {
								t.Errorf("GET %s as %s: %d %v (-want +got):\n%s", prefix+path+slash, form, w.Code, w.Header(), diff)
							}
						}
					}
				}
			}
		})
	}
}

// TestWhichFormIsAnswered: JSON to those who mention it, XML to all others.
func TestWhichFormIsAnswered(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	for accept, want := range map[string]string{
		"application/json":                   "application/json",
		"application/json, application/*":    "application/json", // Spring
		"application/json;q=0.1,text/html":   "application/json",
		"application/vnd.x+json":             "application/json",
		"text/html,application/xhtml+xml":    "application/xml", // a browser
		"*/*":                                "application/xml",
		"":                                   "application/xml",
		"application/xml":                    "application/xml",
		"application/xml;q=0.9, */*;q=0.000": "application/xml",
	} {
		w := r.call(http.MethodGet, "/eureka/apps", "", "Accept: "+accept)
		if got := w.Header().Get("Content-Type"); got != want || w.Header().Get("Vary") != "Accept, Accept-Encoding" {
			t.Errorf("%q is answered %s, Vary %q", accept, got, w.Header().Get("Vary"))
		}
	}
}

// TestEachRouteSaysWhatItTakes: other methods are 405 with what is allowed, and change
// nothing.
func TestEachRouteSaysWhatItTakes(t *testing.T) {
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"}
	for path, allow := range map[string]string{
		"/":                           "GET, HEAD",
		"/dashboard/style.css":        "GET, HEAD",
		"/eureka/apps":                "GET, HEAD",
		"/eureka/apps/delta":          "GET, HEAD, POST", // an application may be called so
		"/eureka/v2/apps/A":           "GET, HEAD, POST",
		"/eureka/apps/A/a":            "DELETE, GET, HEAD, PUT",
		"/eureka/apps/A/a/status":     "DELETE, PUT",
		"/eureka/v2/apps/A/a/status/": "DELETE, PUT",
		"/eureka/apps/A/a/metadata":   "PUT",
		"/eureka/instances/a":         "GET, HEAD",
		"/eureka/vips/a":              "GET, HEAD",
		"/eureka/svips/a":             "GET, HEAD",
	} {
		for _, method := range methods {
			if strings.Contains(allow, method) {
				continue
			}
			r := newRegistry(t, eureka.ServerConfig{})
			r.register("A", "a")
			before := r.json("/eureka/apps")
			w := r.call(method, path, registration("A", "b"))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q, want %q", method, path, w.Code, w.Header().Get("Allow"), allow)
			}
			if after := r.json("/eureka/apps"); after != before {
				t.Errorf("%s %s changed %s to %s", method, path, before, after)
			}
		}
	}
}

// TestNoRouteTakesWhatItCantRead: half of a query, of a path or of a number is not
// another request. Nothing changes, not even the time of the last heartbeat.
func TestNoRouteTakesWhatItCantRead(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		detail       string
	}{
		{"PUT", "/apps/A/a?lastDirtyTimestamp=-1", 400, `lastDirtyTimestamp is "-1", not milliseconds`},
		{"PUT", "/apps/A/a?lastDirtyTimestamp=9223372036854775808", 400, "not milliseconds"},
		{"PUT", "/apps/A/a?lastDirtyTimestamp=1.5", 400, "not milliseconds"},
		{"PUT", "/apps/A/a?lastDirtyTimestamp=%zz", 400, "the query can't be read"},
		{"PUT", "/apps/A/a?a=1;b=2", 400, "the query can't be read"},
		{"PUT", "/apps/A/a/status?value=%zz", 400, "the query can't be read"},
		{"DELETE", "/apps/A/a/status?value=%u0055P", 400, "the query can't be read"},
		{"DELETE", "/apps/A/a/status?value=GONE", 400, `value is "GONE"`},
		{"DELETE", "/apps/A/a/status?value=UP&lastDirtyTimestamp=now", 400, "not milliseconds"},
		{"PUT", "/apps/A/a/status", 400, `value is ""; there are UP, DOWN, STARTING, OUT_OF_SERVICE, UNKNOWN`},
		{"PUT", "/apps/A/a/status?value=UP%00", 400, "value is"},
		{"PUT", "/apps/A/a/status?VALUE=DOWN", 400, `value is ""`},
		{"PUT", "/apps/A/a/metadata?k=%00", 400, "control character"},
		{"PUT", "/apps/A/a/metadata?k=%ff", 400, "not UTF-8"},
		{"PUT", "/apps/A/a/metadata?=v", 400, "a key that is empty"},
		{"PUT", "/apps/A/a/metadata?%0a=v", 400, "not of visible ASCII"},
		{"PUT", "/apps/A/a/metadata?%40class=java.lang.Runtime", 400, "the key @class"},
		{"PUT", "/apps/A/a/metadata?" + strings.Repeat("k", 129) + "=v", 400, "longer than 128"},
		{"PUT", "/apps/A/b", 404, "register again"},
		{"PUT", "/apps/B/a", 404, "register again"},
		{"PUT", "/apps/A/A", 404, "register again"}, // ids keep their case
		{"PUT", "/apps/A/b/status?value=UP", 404, "register again"},
		{"DELETE", "/apps/A/b/status", 404, "register again"},
		{"PUT", "/apps/A/b/metadata?k=v", 404, "register again"},
		{"DELETE", "/apps/A/b", 404, "register again"},
		{"GET", "/apps/B", 404, "no such application"},
		{"GET", "/apps/A/b", 404, "no such instance"},
		{"GET", "/instances/A", 404, "no such instance"},
		{"GET", "/", 404, "not found"},
		{"GET", "/v2/", 404, "not found"},
		{"GET", "/v3/apps", 404, "not found"},
		{"GET", "/vips", 404, "not found"},
		{"POST", "/apps/A/a/status", 405, "Not Allowed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRegistry(t, eureka.ServerConfig{})
			r.register("A", "a")
			before := r.json("/eureka/apps")
			time.Sleep(time.Second)
			w := r.call(c.method, "/eureka"+c.path, "", "Accept: application/json")
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.detail) || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s %s: %d %s %v, want %d %s", c.method, c.path, w.Code, w.Body, w.Header(), c.status, c.detail)
			}
			if after := r.json("/eureka/apps"); after != before {
				t.Errorf("%s %s changed %s to %s", c.method, c.path, before, after)
			}
		})
	}
}

// TestRegistrationsInBothForms: the same mistakes are refused in JSON and in XML with
// the same words, and the same liberties are taken in both.
func TestRegistrationsInBothForms(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		says, json, xml string
		status          int
		detail          string
	}{
		{"nothing more", `"x":1`, `<x>1</x>`, 204, ""},
		{"a wrong status", `"status":"up and away"`, `<status>up and away</status>`, 400, `status is "UP AND AWAY"`},
		{"a status in small letters", `"status":"down"`, `<status>down</status>`, 204, ""},
		{"an order by its newer name", `"overriddenStatus":"DOWN"`, `<overriddenStatus>DOWN</overriddenStatus>`, 204, ""},
		{"an order that is none", `"overriddenstatus":"NO"`, `<overriddenstatus>NO</overriddenstatus>`, 400, `overriddenStatus is "NO"`},
		{"an order that is none by its newer name", `"overriddenStatus":"NO"`, `<overriddenStatus>NO</overriddenStatus>`, 400, `overriddenStatus is "NO"`},
		{"a time before all times", `"lastDirtyTimestamp":"-5"`, `<lastDirtyTimestamp>-5</lastDirtyTimestamp>`, 400, "lastDirtyTimestamp is negative"},
		{"a time of letters", `"lastDirtyTimestamp":"x"`, `<lastDirtyTimestamp>x</lastDirtyTimestamp>`, 400, "not a registration"},
		{"an empty time", `"lastDirtyTimestamp":""`, `<lastDirtyTimestamp></lastDirtyTimestamp>`, 204, ""},
		{"a lease of negative length is that of the protocol", `"leaseInfo":{"durationInSecs":-1}`, `<leaseInfo><durationInSecs>-1</durationInSecs></leaseInfo>`, 204, ""},
		{"a lease for ever", `"leaseInfo":{"durationInSecs":86401}`, `<leaseInfo><durationInSecs>86401</durationInSecs></leaseInfo>`, 400, "more than 86400 seconds"},
		{"a heart that never beats", `"leaseInfo":{"renewalIntervalInSecs":"86401"}`, `<leaseInfo><renewalIntervalInSecs>86401</renewalIntervalInSecs></leaseInfo>`, 400, "more than 86400 seconds"},
		{"a port beyond all", `"securePort":{"$":65536,"@enabled":"true"}`, `<securePort enabled="true">65536</securePort>`, 400, "securePort 65536 is none"},
		{"a port of words", `"securePort":{"$":"http"}`, `<securePort>http</securePort>`, 400, "not a registration"},
		{"a port that is perhaps open", `"securePort":{"$":1,"@enabled":"perhaps"}`, `<securePort enabled="perhaps">1</securePort>`, 400, "not a registration"},
		{"a class in metadata", `"metadata":{"x":{"@class":"y"}}`, `<metadata><_.0040class>java.lang.Runtime</_.0040class></metadata>`, 400, "metadata"},
		{"a value too long", `"metadata":{"k":"` + long + `"}`, `<metadata><k>` + long + `</k></metadata>`, 400, `metadata "k" has 1025 bytes`},
		{"a page too long", `"homePageUrl":"` + long + `"`, `<homePageUrl>` + long + `</homePageUrl>`, 400, "homePageUrl has 1025 bytes"},
		{"a control character", `"vipAddress":"a\u0085"`, "<vipAddress>a\u0085</vipAddress>", 400, "vipAddress has a control character"},
		{"too large", `"x":"` + strings.Repeat("x", 65537) + `"`, `<x>` + strings.Repeat("x", 65537) + `</x>`, 413, "at most 65536 bytes"},
	} {
		for form, body := range map[string]string{"JSON": registration("A", "a", c.json), "XML": asXML("A", "a", c.xml)} {
			r := newRegistry(t, eureka.ServerConfig{})
			w := r.call(http.MethodPost, "/eureka/apps/A", body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.detail) {
				t.Errorf("%s in %s: %d %s, want %d %s", c.says, form, w.Code, w.Body, c.status, c.detail)
			}
			if n := len(r.instances("/eureka/apps").rows); (n == 1) != (c.status == http.StatusNoContent) {
				t.Errorf("%s in %s: %d instances", c.says, form, n)
			}
		}
	}
}

// TestEitherNameOfAnOrderIsRead, in either form; UNKNOWN is none, and the other counts.
func TestEitherNameOfAnOrderIsRead(t *testing.T) {
	for newer, older := range map[string]string{"OUT_OF_SERVICE": "", "": "OUT_OF_SERVICE", "UNKNOWN": "out_of_service", "out_of_service": "UNKNOWN"} {
		for form, body := range map[string]string{
			"JSON": registration("A", "a", `"overriddenStatus":"`+newer+`","overriddenstatus":"`+older+`"`),
			"XML":  asXML("A", "a", "<overriddenStatus>"+newer+"</overriddenStatus><overriddenstatus>"+older+"</overriddenstatus>"),
		} {
			r := newRegistry(t, eureka.ServerConfig{})
			r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/A", body)
			var doc struct{ Instance map[string]any }
			if err := json.Unmarshal([]byte(r.json("/eureka/instances/a")), &doc); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"status", "overriddenStatus", "overriddenstatus"} {
				if doc.Instance[name] != "OUT_OF_SERVICE" {
					t.Errorf("%q and %q in %s: %s is %v", newer, older, form, name, doc.Instance[name])
				}
			}
		}
	}
}

// TestHostsThatSomeReadAsAddresses are refused; odd names that are none of them are not.
func TestHostsThatSomeReadAsAddresses(t *testing.T) {
	for host, ok := range map[string]bool{
		"a": true, "a.example.": true, "3f2a91c0b1d4": true, "user_1.svc": true, "0xg": true, "1.2.3.4a": true, "xn--nxasmq6b": true,
		"10.0.0.08": false, "169.254.169.0254": false, "0x7f000001": false, "127.0.0.0x": false, "0x": false, "1": false, "017700000001": false,
		"a.1": false, "127.1": false, "99999999999999999999999": false, "10.0.0.7.": false,
		"": false, ".": false, "a..b": false, "-a": false, "a-": false, "a b": false, "a:80": false, "a@b": false, "[::1]": false, "ä": false,
		strings.Repeat("a", 64): false, strings.Repeat("a.", 127) + "b": false, strings.Repeat("a.", 127): true,
		"::ffff:10.0.0.7": true, "::ffff:169.254.169.254": false, "fe80::1": false, "localhost": false, "LOCALHOST.": false, "a.localhost": false,
	} {
		r := newRegistry(t, eureka.ServerConfig{})
		body := strings.Replace(registration("A", "a"), `"hostName":"10.0.0.7"`, fmt.Sprintf(`"hostName":%q`, host), 1)
		if w := r.call(http.MethodPost, "/eureka/apps/A", body); (w.Code == http.StatusNoContent) != ok {
			t.Errorf("%q: %d %s", host, w.Code, w.Body)
		}
	}
}

// TestAnInstanceMayBeCalledLikeAPartOfAPath.
func TestAnInstanceMayBeCalledLikeAPartOfAPath(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	for _, name := range []struct{ app, id string }{{"eureka", "v2"}, {"apps", "delta"}, {"delta", "status"}, {"v2", "metadata"}} {
		path := "/eureka/apps/" + name.app + "/" + name.id
		r.register(name.app, name.id)
		r.wants(http.StatusOK, http.MethodPut, path, "")
		r.wants(http.StatusOK, http.MethodPut, path+"/status?value=DOWN", "")
		r.wants(http.StatusOK, http.MethodPut, path+"/metadata/?status=1", "")
		if got := r.json(path); !strings.Contains(got, `"status":"DOWN"`) || !strings.Contains(got, `"metadata":{"status":"1"}`) {
			t.Errorf("%s: %s", path, got)
		}
		r.wants(http.StatusOK, http.MethodDelete, "/eureka/v2/apps/"+name.app+"/"+name.id+"/", "")
	}
	r.shows("/eureka/apps", "")
}
