package kafka_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ensemble/broker/kafka"
)

func TestURLsAreRead(t *testing.T) {
	for url, want := range map[string]string{
		"kafka://127.0.0.1:9092":                             "[127.0.0.1:9092]   false",
		"kafka://a,b:1234":                                   "[a:9092 b:1234]   false",
		"kafka://[::1]:9092,[::2]/":                          "[[::1]:9092 [::2]:9092]   false",
		"kafka:29092":                                        "[kafka:29092]   false",
		"PLAINTEXT://a:1, PLAINTEXT://b":                     "[a:1 b:9092]   false",
		"kafka://u:p@a:1":                                    "[a:1] SCRAM-SHA-512 u/p false",
		"kafka://u%3A1:p%40%2F@a:1?mechanism=plain&tls=true": "[a:1] PLAIN u:1/p@/ true",
		"kafka://u:p:with@signs@a:1?mechanism=SCRAM-SHA-256": "[a:1] SCRAM-SHA-256 u/p:with@signs false",
		"kafka://a:1?tls=false":                              "[a:1]   false",
		"kafka://user:" + strings.Repeat("x", 100) + "@a:1?tls=true&mechanism=SCRAM-SHA-512": "[a:1] SCRAM-SHA-512 user/" + strings.Repeat("x", 100) + " true",
	} {
		c, err := kafka.ParseURL(url)
		got := fmt.Sprint(c.Brokers, " ", c.Mechanism, " ", c.User, map[bool]string{true: "/"}[c.User != ""], c.Password, " ", c.TLS != nil)
		if err != nil || got != want {
			t.Errorf("%s is read as %s, %v", url, got, err)
		}
	}
}

// TestURLsThatMakeNoSenseAreRefused, and the error shows no password.
func TestURLsThatMakeNoSenseAreRefused(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"kafka://":                               `"" is no address of a broker`,
		"kafka://a,,b":                           `"" is no address of a broker`,
		"http://a:80/x":                          "is no address of a broker",
		"kafka://:secret@a":                      "the user or the password",
		"kafka://u:secret%zz@a":                  "the user or the password",
		"kafka://u:secret@a?mechanism=GSSAPI":    `there is no mechanism "GSSAPI"`,
		"kafka://a?mechanism=PLAIN":              "mechanism PLAIN needs a user",
		"kafka://u:secret@a?tls=yes":             "tls=yes: give true or false",
		"kafka://u:secret@a?%zz":                 "after the question mark can't be read",
		"kafka://u:secret@a?acks=0":              `there is no option "acks"`,
		"kafka://u:secret@a?ca=/does/not/exist":  "read the certificates to trust",
		"kafka://u:secret@a?ca=" + junk:          "there is no certificate in",
		"kafka://a b:9092":                       "is no address of a broker",
		"kafka://u:secret@a?tls=true&mechanism=": "",
	} {
		_, err := kafka.ParseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
