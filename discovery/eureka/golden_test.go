package eureka_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/discovery/eureka"
)

// TestEveryDocumentToTheByte pins what clients read, in both forms.
func TestEveryDocumentToTheByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, eureka.ServerConfig{})
		for _, form := range []struct{ name, accept string }{{"json", "application/json"}, {"xml", "application/xml"}} {
			for _, path := range []string{"/eureka/apps", "/eureka/apps/delta", "/eureka/vips/nobody"} {
				got := r.wants(http.StatusOK, http.MethodGet, path, "", "Accept: "+form.accept)
				golden(t, "empty-"+filepath.Base(path)+"."+form.name, got)
			}
		}
		for _, file := range []string{"spring.json", "plain.xml"} {
			body, err := os.ReadFile(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			app := strings.TrimSuffix(file, filepath.Ext(file)) + "-service"
			r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/"+app, string(body))
			time.Sleep(1234 * time.Millisecond)
		}
		r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/PLAIN-SERVICE/plain/status?value=OUT_OF_SERVICE", "")
		r.register("GONE-SERVICE", "gone")
		r.wants(http.StatusOK, http.MethodDelete, "/eureka/apps/GONE-SERVICE/gone", "")
		for _, form := range []struct{ name, accept string }{{"json", "application/json"}, {"xml", "application/xml"}, {"xml", "*/*"}, {"xml", ""}} {
			for name, path := range map[string]string{
				"apps":     "/eureka/apps/",
				"delta":    "/eureka/v2/apps/delta",
				"app":      "/eureka/apps/spring-service",
				"instance": "/eureka/v2/instances/plain",
			} {
				got := r.wants(http.StatusOK, http.MethodGet, path, "", "Accept: "+form.accept)
				golden(t, name+"."+form.name, got)
			}
		}
	})
}
