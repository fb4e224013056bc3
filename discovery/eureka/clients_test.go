package eureka_test

import (
	"context"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ensemble/discovery/eureka"
)

// required says whether a run promises that the real clients are tried.
func required() bool {
	return slices.Contains(strings.Split(os.Getenv("ENSEMBLE_REQUIRE"), ","), "eureka-clients")
}

// have skips the test, or fails it if the clients were promised.
func have(t *testing.T, ok bool, without string) {
	t.Helper()
	switch {
	case ok:
	case required():
		t.Fatalf("ENSEMBLE_REQUIRE names eureka-clients, but there is no %s; run it by 'make test-eureka'", without)
	default:
		t.Skipf("needs %s; run it by 'make test-eureka'", without)
	}
}

// client runs a program of testdata/clients and returns what it prints.
func client(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join("testdata", "clients", folder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", folder, err, out)
	}
	return string(out)
}

// TestFargo has hudl/fargo, a client in Go, live through everything it can do.
func TestFargo(t *testing.T) {
	have(t, required(), "downloaded modules")
	server := httptest.NewServer(eureka.NewServer(eureka.ServerConfig{}))
	defer server.Close()
	client(t, ".", "go", "run", "./fargo", server.URL+"/eureka")
	client(t, ".", "go", "run", "./fargo", server.URL+"/eureka/v2")
}

// TestPrometheus has Prometheus' own discovery read the registry.
func TestPrometheus(t *testing.T) {
	have(t, required(), "downloaded modules")
	s := eureka.NewServer(eureka.ServerConfig{})
	r := &registry{t, s, "10.0.0.7"}
	r.register("USER", "u:1", `"vipAddress":"user"`, `"metadata":{"prometheus.path":"/metrics"}`, `"status":"DOWN"`)
	server := httptest.NewServer(s)
	defer server.Close()
	got := client(t, ".", "go", "run", "./prometheus", server.URL+"/eureka")
	for _, want := range []string{
		"__address__=10.0.0.7:8080", "__meta_eureka_app_name=USER", "__meta_eureka_app_instance_status=DOWN",
		"__meta_eureka_app_instance_port_enabled=true", "instance=u:1",
		"__meta_eureka_app_instance_metadata_prometheus_path=/metrics",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s does not contain %s", got, want)
		}
	}
}

// TestNode has eureka-js-client register, find itself and leave.
func TestNode(t *testing.T) {
	_, noNode := exec.LookPath("node")
	_, noPackage := os.Stat(filepath.Join("testdata", "clients", "js", "node_modules", "eureka-js-client"))
	have(t, noNode == nil && noPackage == nil, "node with eureka-js-client")
	for _, lists := range []string{"full", "delta"} {
		s := eureka.NewServer(eureka.ServerConfig{})
		server := httptest.NewServer(s)
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		got := client(t, "js", "node", "life.js", port, lists)
		server.Close()
		if want := `"byApp":["127.0.0.1:8080 UP"],"byVIP":["node-1"]`; !strings.Contains(got, want) {
			t.Errorf("%s: it saw %s, want %s", lists, got, want)
		}
		(&registry{t, s, "127.0.0.1"}).shows("/eureka/apps", "")
	}
}
