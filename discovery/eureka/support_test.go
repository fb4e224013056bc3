package eureka_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ensemble/discovery/eureka"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registry is a server that is called without a network, from a peer that a test chooses.
type registry struct {
	reporter
	*eureka.Server
	peer string
}

// reporter is what a test or a model does with a failure.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// newRegistry returns a registry that is called from 10.0.0.7.
func newRegistry(t reporter, c eureka.ServerConfig) *registry {
	return &registry{t, eureka.NewServer(c), "10.0.0.7"}
}

// call sends a request. Headers are "Name: value"; a body that begins with < is XML,
// any other JSON.
func (r *registry) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.RemoteAddr = r.peer + ":40000"
	if strings.HasPrefix(body, "<") {
		req.Header.Set("Content-Type", "application/xml")
	} else if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// wants sends a request and expects a status; it returns the body.
func (r *registry) wants(status int, method, path, body string, headers ...string) string {
	r.Helper()
	w := r.call(method, path, body, headers...)
	if w.Code != status {
		r.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, status)
	}
	return w.Body.String()
}

// json gets a document as JSON.
func (r *registry) json(path string) string {
	r.Helper()
	return r.wants(http.StatusOK, http.MethodGet, path, "", "Accept: application/json")
}

// registration is the least that an instance sends, with more members in between.
func registration(app, id string, more ...string) string {
	return `{"instance":{` + strings.Join(append(more,
		`"instanceId":"`+id+`","app":"`+app+`","hostName":"10.0.0.7","ipAddr":"10.0.0.7","port":{"$":8080,"@enabled":"true"},
		"dataCenterInfo":{"@class":"x","name":"MyOwn"}`), ",") + `}}`
}

// register has an instance registered.
func (r *registry) register(app, id string, more ...string) {
	r.Helper()
	r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/"+app, registration(app, id, more...))
}

// list is what a client sees: status and action of each instance by id.
type list struct {
	hash string
	rows []string // "APP/id STATUS ACTION"
}

// instances reads a list.
func (r *registry) instances(path string) list {
	r.Helper()
	var doc struct {
		Applications struct {
			Hash string `json:"apps__hashcode"`
			Apps []struct {
				Name      string
				Instances []struct{ InstanceID, Status, ActionType string } `json:"instance"`
			} `json:"application"`
		}
	}
	if err := json.Unmarshal([]byte(r.json(path)), &doc); err != nil {
		r.Fatalf("%v", err)
	}
	l := list{hash: doc.Applications.Hash}
	for _, a := range doc.Applications.Apps {
		for _, i := range a.Instances {
			l.rows = append(l.rows, a.Name+"/"+i.InstanceID+" "+i.Status+" "+i.ActionType)
		}
	}
	return l
}

// shows expects a list and its hash.
func (r *registry) shows(path, hash string, rows ...string) {
	r.Helper()
	got := r.instances(path)
	if diff := cmp.Diff(rows, got.rows); diff != "" || got.hash != hash {
		r.Errorf("%s has hash %q, want %q; rows (-want +got):\n%s", path, got.hash, hash, diff)
	}
}

// golden compares with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
