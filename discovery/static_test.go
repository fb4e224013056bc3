package discovery_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ensemble/discovery"
	"ensemble/discovery/discoverytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStaticContract has addresses out of order, and one twice.
func TestStaticContract(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Source {
		s, err := discovery.NewStatic(map[string][]string{"user": {"127.0.0.3:3", "http://127.0.0.1:1", "127.0.0.2:2", "127.0.0.1:1"}})
		if err != nil {
			t.Fatal(err)
		}
		return discoverytest.Source{Resolver: s}
	})
}

// TestAnAddressIsHostAndPort, with or without a scheme, and nothing else.
func TestAnAddressIsHostAndPort(t *testing.T) {
	for text, want := range map[string]discovery.Instance{
		"127.0.0.1:80":           {ID: "127.0.0.1:80", Addr: "127.0.0.1:80"},
		"[::1]:80":               {ID: "[::1]:80", Addr: "[::1]:80"},
		"http://user-service:1/": {ID: "user-service:1", Addr: "user-service:1"},
		"https://a.example:443":  {ID: "a.example:443", Addr: "a.example:443", Secure: true},
	} {
		s, err := discovery.NewStatic(map[string][]string{"s": {text}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Resolve(t.Context(), "s")
		if err != nil || !cmp.Equal(l.Instances, []discovery.Instance{want}) {
			t.Errorf("%s is %+v, %v", text, l.Instances, err)
		}
	}
	for _, text := range []string{"", "a", ":80", "a:0", "a:65536", "a:http", "http://a:80/path", "ftp://a:80", "http://me:secret@a:80", "a:80?x", "::1:80"} {
		_, err := discovery.NewStatic(map[string][]string{"s": {text}})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
