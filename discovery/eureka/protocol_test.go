package eureka_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/discovery/eureka"
)

// TestALife goes through what an instance and an operator do.
func TestALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, eureka.ServerConfig{})
		r.wants(http.StatusNotFound, http.MethodPut, "/eureka/apps/USER/a", "")
		r.register("user", "a", `"vipAddress":"user,people"`, `"lastDirtyTimestamp":"5"`)
		r.register("USER", "b", `"status":"starting"`, `"secureVipAddress":"user"`)
		r.shows("/eureka/apps", "STARTING_1_UP_1_", "USER/a UP ADDED", "USER/b STARTING ADDED")
		r.shows("/eureka/vips/people", "UP_1_", "USER/a UP ADDED")
		r.shows("/eureka/svips/user", "STARTING_1_", "USER/b STARTING ADDED")
		r.shows("/eureka/vips/peop", "")

		for _, step := range []struct {
			says         string
			method, path string
			status       int
			hash         string
		}{
			{"a heartbeat", "PUT", "/a?status=UP&lastDirtyTimestamp=5", 200, "STARTING_1_UP_1_"},
			{"of an older state it is fine too", "PUT", "/a?lastDirtyTimestamp=4", 200, "STARTING_1_UP_1_"},
			{"of a newer one it asks for it", "PUT", "/a?lastDirtyTimestamp=6", 404, "STARTING_1_UP_1_"},
			{"an order", "PUT", "/a/status?value=OUT_OF_SERVICE", 200, "OUT_OF_SERVICE_1_STARTING_1_"},
			{"heartbeats do not undo it", "PUT", "/a?status=UP", 200, "OUT_OF_SERVICE_1_STARTING_1_"},
			{"taking it back names the status until then", "DELETE", "/a/status?value=UP", 200, "STARTING_1_UP_1_"},
			{"taking back nothing changes nothing", "DELETE", "/a/status", 200, "STARTING_1_UP_1_"},
			{"an order again", "PUT", "/a/status?value=down", 200, "DOWN_1_STARTING_1_"},
			{"without a status it is unknown", "DELETE", "/a/status", 200, "STARTING_1_UNKNOWN_1_"},
			{"and asked to register", "PUT", "/a", 404, "STARTING_1_UNKNOWN_1_"},
			{"a status that is none", "PUT", "/a/status?value=SLEEPING", 400, "STARTING_1_UNKNOWN_1_"},
			{"no status", "PUT", "/a/status", 400, "STARTING_1_UNKNOWN_1_"},
			{"an order to nobody", "PUT", "/c/status?value=UP", 404, "STARTING_1_UNKNOWN_1_"},
			{"goodbye", "DELETE", "/b", 200, "UNKNOWN_1_"},
			{"and no second one", "DELETE", "/b", 404, "UNKNOWN_1_"},
		} {
			r.wants(step.status, step.method, "/eureka/v2/apps/user"+step.path, "")
			if got := r.instances("/eureka/apps").hash; got != step.hash {
				t.Fatalf("%s: hash %q, want %q", step.says, got, step.hash)
			}
		}
		r.shows("/eureka/apps/delta", "UNKNOWN_1_", "USER/a UNKNOWN MODIFIED", "USER/b STARTING DELETED")
		r.register("USER", "a")
		r.shows("/eureka/apps", "UP_1_", "USER/a UP ADDED")
		for range 6 {
			time.Sleep(30 * time.Second)
			r.shows("/eureka/apps/delta", "UP_1_", "USER/a UP ADDED", "USER/b STARTING DELETED")
			r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/USER/a", "")
		}
		time.Sleep(time.Millisecond)
		r.shows("/eureka/apps/delta", "UP_1_")
	})
}

// TestAnOrderOutlivesARegistration: traffic is the operator's, illness the instance's.
func TestAnOrderOutlivesARegistration(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "a")
	r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/USER/a/status?value=OUT_OF_SERVICE", "")
	for _, step := range []struct{ says, hash string }{
		{"UP", "OUT_OF_SERVICE_1_"},
		{"DOWN", "DOWN_1_"},
		{"STARTING", "STARTING_1_"},
		{"UP", "OUT_OF_SERVICE_1_"},
	} {
		r.register("USER", "a", `"status":"`+step.says+`"`)
		if got := r.instances("/eureka/apps").hash; got != step.hash {
			t.Errorf("registered as %s: hash %q, want %q", step.says, got, step.hash)
		}
	}
	// A registry that was restarted empty learns the order from those who know it.
	again := newRegistry(t, eureka.ServerConfig{})
	again.register("USER", "a", `"overriddenstatus":"OUT_OF_SERVICE"`)
	again.shows("/eureka/apps", "OUT_OF_SERVICE_1_", "USER/a OUT_OF_SERVICE ADDED")
}

// TestARequestThatWasOvertakenChangesNothing: the newer state of an instance stays.
func TestARequestThatWasOvertakenChangesNothing(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "a", `"lastDirtyTimestamp":7`, `"status":"DOWN"`)
	r.register("USER", "a", `"lastDirtyTimestamp":"6"`)
	r.shows("/eureka/apps", "DOWN_1_", "USER/a DOWN ADDED")
	r.register("USER", "a", `"lastDirtyTimestamp":"8"`)
	r.shows("/eureka/apps", "UP_1_", "USER/a UP ADDED")
}

// TestMetadataGrows: entries are added and replaced, as one change.
func TestMetadataGrows(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "a", `"metadata":{"x":1,"y":true,"n":null}`)
	r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/user/a/metadata?y=%3Cb%3E&z=", "")
	if got, want := r.json("/eureka/apps/USER/a"), `"metadata":{"x":"1","y":"<b>","z":""}`; !strings.Contains(got, want) {
		t.Errorf("%s does not contain %s", got, want)
	}
	r.shows("/eureka/apps/delta", "UP_1_", "USER/a UP MODIFIED")
	r.wants(http.StatusBadRequest, http.MethodPut, "/eureka/apps/user/a/metadata?ok=1&big="+strings.Repeat("x", 1025), "")
	if got := r.json("/eureka/instances/a"); strings.Contains(got, `"ok"`) {
		t.Errorf("half of a refused change is there: %s", got)
	}
	r.wants(http.StatusNotFound, http.MethodPut, "/eureka/apps/user/b/metadata?x=1", "")
}

// TestWhatIsRefused: each is a clear 4xx and changes nothing.
func TestWhatIsRefused(t *testing.T) {
	whole := registration("USER", "a")
	without := func(member string) string { return strings.Replace(whole, member, "x-"+member, 1) }
	with := func(member string) string { return registration("USER", "a", member) }
	big := make([]string, 65)
	for i := range big {
		big[i] = fmt.Sprintf(`"k%d":"v"`, i)
	}
	for _, c := range []struct {
		says, method, path, body string
		status                   int
		detail                   string
	}{
		{"no host", "POST", "/apps/USER", without("hostName"), 400, "hostName is missing"},
		{"no address", "POST", "/apps/USER", without("ipAddr"), 400, "ipAddr is missing"},
		{"no application", "POST", "/apps/USER", without("app"), 400, "app is missing"},
		{"no data center", "POST", "/apps/USER", without("dataCenterInfo"), 400, "dataCenterInfo.name is missing"},
		{"another application", "POST", "/apps/FRIEND", whole, 400, `app is "USER", but the path says "FRIEND"`},
		{"a status", "POST", "/apps/USER", with(`"status":"SLEEPING"`), 400, `status is "SLEEPING"`},
		{"an order", "POST", "/apps/USER", with(`"overriddenStatus":"SLEEPING"`), 400, `overriddenStatus is "SLEEPING"`},
		{"a place", "POST", "/apps/USER", strings.Replace(whole, "MyOwn", "Moon", 1), 400, "MyOwn, Amazon, Netflix"},
		{"a port", "POST", "/apps/USER", strings.Replace(whole, "8080", "65536", 1), 400, "port 65536 is none"},
		{"a safe port", "POST", "/apps/USER", with(`"securePort":{"$":"-1"}`), 400, "securePort -1 is none"},
		{"a lease", "POST", "/apps/USER", with(`"leaseInfo":{"durationInSecs":86401}`), 400, "leaseInfo asks for more than 86400 seconds"},
		{"a time", "POST", "/apps/USER", with(`"lastDirtyTimestamp":"-1"`), 400, "lastDirtyTimestamp is negative"},
		{"an id in no path", "POST", "/apps/USER", strings.Replace(whole, `"instanceId":"a"`, `"instanceId":"a/b"`, 1), 400, "instanceId"},
		{"a long id", "POST", "/apps/USER", strings.Replace(whole, `"instanceId":"a"`, `"instanceId":"`+strings.Repeat("a", 257)+`"`, 1), 400, "257 bytes; at most 256"},
		{"a long address", "POST", "/apps/USER", with(`"homePageUrl":"` + strings.Repeat("a", 1025) + `"`), 400, "homePageUrl has 1025 bytes"},
		{"a control character", "POST", "/apps/USER", with(`"vipAddress":"a\u0007"`), 400, "vipAddress has a control character"},
		{"metadata in metadata", "POST", "/apps/USER", with(`"metadata":{"a":{"b":1}}`), 400, "neither text nor a number"},
		{"a key with a space", "POST", "/apps/USER", with(`"metadata":{"a b":"1"}`), 400, "visible ASCII"},
		{"a bell in a value", "POST", "/apps/USER", with(`"metadata":{"a":"\u0007"}`), 400, "control character"},
		{"much metadata", "POST", "/apps/USER", with(`"metadata":{` + strings.Join(big, ",") + `}`), 400, "65 entries; at most 64"},
		{"a member twice", "POST", "/apps/USER", with(`"app":"USER"`), 400, "duplicate"},
		{"no registration", "POST", "/apps/USER", `{"application":{}}`, 400, `"instance" is missing`},
		{"half of one", "POST", "/apps/USER", whole[:90], 400, "not a registration"},
		{"two of them", "POST", "/apps/USER", whole + whole, 400, "not a registration"},
		{"other XML", "POST", "/apps/USER", `<application/>`, 400, "not a registration"},
		{"two in XML", "POST", "/apps/USER", `<instance></instance><instance></instance>`, 400, "something follows"},
		{"an entity", "POST", "/apps/USER", `<!DOCTYPE i [<!ENTITY e "x">]><instance><app>&e;</app></instance>`, 400, "not a registration"},
		{"too much", "POST", "/apps/USER", with(`"x":"` + strings.Repeat("a", 64<<10) + `"`), 413, "at most 65536 bytes"},
		{"a host of numbers", "POST", "/apps/USER", strings.Replace(whole, `"hostName":"10.0.0.7"`, `"hostName":"2130706433"`, 1), 400, "neither a name nor an address"},
		{"a host with a path", "POST", "/apps/USER", strings.Replace(whole, `"hostName":"10.0.0.7"`, `"hostName":"a/b"`, 1), 400, "neither a name nor an address"},
		{"somebody else's host", "POST", "/apps/USER", strings.Replace(whole, `"hostName":"10.0.0.7"`, `"hostName":"10.9.9.9"`, 1), 400, "hostName: address 10.9.9.9 is not that of the request, 10.0.0.7"},
		{"localhost from elsewhere", "POST", "/apps/USER", strings.Replace(whole, `"hostName":"10.0.0.7"`, `"hostName":"localhost"`, 1), 400, "localhost is loopback"},
		{"no address at all", "POST", "/apps/USER", strings.Replace(whole, `"ipAddr":"10.0.0.7"`, `"ipAddr":"localhost"`, 1), 400, "is not an IP address"},
		{"a heartbeat of no time", "PUT", "/apps/USER/b?lastDirtyTimestamp=x", "", 400, "not milliseconds"},
		{"a list to delete", "DELETE", "/apps", "", 405, "Method Not Allowed"},
		{"nobody", "GET", "/apps/NOBODY", "", 404, "no such application"},
		{"nobody's instance", "GET", "/apps/USER/b", "", 404, "no such instance"},
		{"nobody anywhere", "GET", "/instances/b", "", 404, "no such instance"},
		{"a path", "GET", "/peerreplication/batch", "", 404, "not found"},
		{"a broken path", "GET", "/apps/USER/a/b/c", "", 404, "not found"},
	} {
		t.Run(c.says, func(t *testing.T) {
			r := newRegistry(t, eureka.ServerConfig{})
			got := r.wants(c.status, c.method, "/eureka"+c.path, c.body)
			if !strings.Contains(got, c.detail) {
				t.Errorf("says %q, want something with %q", got, c.detail)
			}
			if len(got) > 400 {
				t.Errorf("says %d bytes: %s", len(got), got)
			}
			r.shows("/eureka/apps", "")
		})
	}
}

// TestRefusedByWhatTheHeadersSay: bodies of no known form, pages of other sites.
func TestRefusedByWhatTheHeadersSay(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	body := registration("USER", "a")
	r.wants(http.StatusUnsupportedMediaType, http.MethodPost, "/eureka/apps/USER", body, "Content-Type: text/plain")
	r.wants(http.StatusUnsupportedMediaType, http.MethodPost, "/eureka/apps/USER", body, "Content-Type: ")
	r.wants(http.StatusUnsupportedMediaType, http.MethodPost, "/eureka/apps/USER", body, "Content-Encoding: gzip")
	r.wants(http.StatusForbidden, http.MethodPost, "/eureka/apps/USER", body, "Sec-Fetch-Site: cross-site")
	r.wants(http.StatusForbidden, http.MethodDelete, "/eureka/apps/USER/a", "", "Origin: http://elsewhere.example")
	if got := r.call(http.MethodPatch, "/eureka/apps/USER", "").Header().Get("Allow"); got != "GET, HEAD, POST" {
		t.Errorf("Allow: %s", got)
	}
	r.shows("/eureka/apps", "")
}

// TestWhoMayNameWhichAddress is the table of docs/decisions.md.
func TestWhoMayNameWhichAddress(t *testing.T) {
	allowed := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		peer, names string
		ok          bool
	}{
		{"10.0.0.7", "10.0.0.7", true},
		{"10.0.0.7", "::ffff:10.0.0.7", true},
		{"10.0.0.7", "10.1.2.3", true},
		{"10.0.0.7", "10.2.0.1", false},
		{"10.0.0.7", "169.254.169.254", false},
		{"169.254.0.9", "169.254.0.9", false},
		{"10.0.0.7", "127.0.0.1", false},
		{"10.0.0.7", "0.0.0.0", false},
		{"10.0.0.7", "0.1.2.3", false},
		{"10.0.0.7", "224.0.0.1", false},
		{"10.0.0.7", "255.255.255.255", false},
		{"127.0.0.1", "127.0.1.1", true},
		{"127.0.0.1", "::1", true},
		{"127.0.0.1", "192.0.2.1", false},
		{"[fd00::1]", "fd00::1", true},
		{"[fd00::1]", "fd00::2", false},
		{"[fd00::1]", "fe80::1", false},
		{"[fd00::1]", "fe80::1%eth0", false},
		{"[fd00::1]", "::", false},
	} {
		t.Run(c.peer+" names "+c.names, func(t *testing.T) {
			r := newRegistry(t, eureka.ServerConfig{Allowed: allowed})
			r.peer = c.peer
			w := r.call(http.MethodPost, "/eureka/apps/A", strings.ReplaceAll(registration("A", "a"), "10.0.0.7", c.names))
			if ok := w.Code == http.StatusNoContent; ok != c.ok {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// TestAFullRegistryRefusesNewcomersOnly: who is in stays and may change.
func TestAFullRegistryRefusesNewcomersOnly(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{Instances: 2})
	r.register("USER", "a")
	r.register("USER", "b")
	r.wants(http.StatusTooManyRequests, http.MethodPost, "/eureka/apps/USER", registration("USER", "c"))
	r.register("USER", "b", `"status":"DOWN"`)
	r.wants(http.StatusOK, http.MethodDelete, "/eureka/apps/USER/a", "")
	r.register("USER", "c")
	r.shows("/eureka/apps", "DOWN_1_UP_1_", "USER/b DOWN ADDED", "USER/c UP ADDED")
}

// TestManyComeAndGoAndTheDeltaStaysSmall: a flood of instances that live for a moment
// can't fill the memory, and who reads the delta notices that it is not all.
func TestManyComeAndGoAndTheDeltaStaysSmall(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{Instances: 10})
	r.register("USER", "stays")
	for i := range 2500 {
		id := fmt.Sprint("i", i)
		r.register("USER", id)
		r.wants(http.StatusOK, http.MethodDelete, "/eureka/apps/USER/"+id, "")
	}
	got := r.instances("/eureka/apps/delta")
	if n := len(got.rows); n < 1000 || n > 1100 || got.rows[0] != "USER/stays UP ADDED" || got.hash != "UP_1_" {
		t.Errorf("%d rows, hash %s, the first %s", n, got.hash, got.rows[0])
	}
}

// TestGzipWhenAsked, and only then.
func TestGzipWhenAsked(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("USER", "a")
	plain := r.json("/eureka/apps")
	for asked, want := range map[string]bool{"gzip": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "br": false, "": false} {
		w := r.call(http.MethodGet, "/eureka/apps", "", "Accept: application/json", "Accept-Encoding: "+asked)
		got := io.Reader(w.Body)
		if packed := w.Header().Get("Content-Encoding") == "gzip"; packed != want {
			t.Errorf("%q: packed is %v", asked, packed)
		} else if packed {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			got = z
		}
		if body, err := io.ReadAll(got); err != nil || string(body) != plain {
			t.Errorf("%q: %s %v", asked, body, err)
		}
	}
}
