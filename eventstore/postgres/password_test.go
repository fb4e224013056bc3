package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ensemble/eventstore"
)

// TestAServerThatRepeatsThePasswordIsMasked: neither an error nor a line of log holds it,
// whatever is in it, though the server says it in each of its answers.
func TestAServerThatRepeatsThePasswordIsMasked(t *testing.T) {
	for _, secret := range []string{"s3cr3t", "with space", `q"uo'te`, "p@ss:w/rd?#", "%41%2F", "日本", "\\", "a\tb", strings.Repeat("long", 100)} {
		for _, code := range []string{"28P01", "53300", "XX000"} {
			f := &fake{refuse: failure("FATAL", code, "no entry for the password %s, not even %s")}
			u := url.URL{Scheme: "postgres", User: url.UserPassword("me", secret), Host: f.start(t), Path: "/x", RawQuery: "sslmode=disable"}
			var text bytes.Buffer
			opts := Options{Log: slog.New(slog.NewTextHandler(&text, nil)), Patience: 5 * time.Millisecond}
			_, opened := Open(t.Context(), u.String(), opts)
			migrated := Migrate(t.Context(), u.String(), MigrateOptions{Log: opts.Log})
			for _, err := range []error{opened, migrated} {
				if err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
					t.Fatalf("%q: %v does not say where", secret, err)
				}
				for e := err; e != nil; e = errors.Unwrap(e) { // whoever unwraps it and writes that down
					if s := fmt.Sprintf("%v %+v %q", e, e, e.Error()); strings.Contains(s, secret) || strings.Contains(s, url.QueryEscape(secret)) {
						t.Errorf("%q: %s", secret, s)
					}
				}
			}
			if strings.Contains(text.String(), secret) {
				t.Errorf("%q: the log says %s", secret, text.String())
			}
		}
	}
}

// TestAPasswordThatIsAWordOfEverydayChangesNoMeaning: what is masked is still what it was
// for those who decide on it.
func TestAPasswordThatIsAWordOfEverydayChangesNoMeaning(t *testing.T) {
	for _, secret := range []string{"postgres", "the", "e", "log", "database", "context", "127.0.0.1", "schema"} {
		s, err := newServer("postgres://postgres:" + secret + "@127.0.0.1:5432/log")
		if err != nil {
			t.Fatal(err)
		}
		version := &VersionError{Store: s.name, Found: 9, Known: 1}
		whole := fmt.Errorf("open the log of the schema: %w", s.masked(errors.Join(version, &pgconn.PgError{Code: "42501", Message: "the database"}, context.Canceled, io.EOF)))
		if found, ok := errors.AsType[*VersionError](whole); !ok || found.Found != 9 {
			t.Errorf("%q: the version is lost: %v", secret, whole)
		}
		if pg, ok := errors.AsType[*pgconn.PgError](whole); !ok || pg.Code != "42501" {
			t.Errorf("%q: the code is lost: %v", secret, whole)
		}
		if !errors.Is(whole, context.Canceled) || !errors.Is(whole, io.EOF) || errors.Is(whole, eventstore.ErrAway) {
			t.Errorf("%q: it is another error now: %v", secret, whole)
		}
	}
}

// FuzzNoErrorHoldsThePassword reads URLs of every kind, good and bad, and looks for the
// password in whatever comes of it: the error, the name of the store, a masked error.
func FuzzNoErrorHoldsThePassword(f *testing.F) {
	for _, seed := range [][2]string{
		{"postgres://me:%s@host:5432/x", "s3cr3t-password"},
		{"postgres://me:%s@host:port/x", "s3cr3t:password"},
		{"host=h user=u password=%s", "s3cr3t' password"},
		{"host=h user=u password='%s' sslmode=none", "s3cr3t-password"},
		{"postgres://me@host/x?password=%s", "s3cr3t&password"},
		{"postgres://%s@host/x", "me:s3cr3t-password"},
		{"postgres://me:%s@host/x?sslmode=verify-full&sslrootcert=/nowhere", "s3cr3t-password"},
		{"postgres://me:%s@[::1]:5432/x?connect_timeout=x", "s3cr3t-password"},
		{"postgres://me:%s@host/x?default_query_exec_mode=simple_protocol", "s3cr3t-password"},
		{"postgres://me:%s@a:1,b:2/x?target_session_attrs=odd", "s3cr3t-password"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, shape, secret string) {
		if strings.Count(shape, "%s") != 1 {
			t.Skip("there has to be a place for it")
		}
		secret = "Zq9" + secret + "7Wk" // so that nothing else holds it by chance
		// As it is, and as it should be written.
		for _, written := range []string{secret, url.QueryEscape(secret)} {
			s, err := newServer(strings.Replace(shape, "%s", written, 1))
			if err != nil {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q: %v", shape, err)
				}
				continue
			}
			if s.config.Password == "" {
				continue // it was read as something else, which is no secret
			}
			said := fmt.Errorf("the server says %s and %q", s.config.Password, shape)
			if got := s.masked(said).Error(); strings.Contains(got, s.config.Password) {
				t.Errorf("%q: masked it is %s", shape, got)
			}
			if s.config.Password == secret && strings.Contains(s.name, secret) {
				t.Errorf("%q: the store is called %s", shape, s.name)
			}
		}
	})
}

// TestTheNameOfAStoreIsWhereItIs, as people write it.
func TestTheNameOfAStoreIsWhereItIs(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://me:pw@host:5433/data":             "postgres://me@host:5433/data",
		"postgres://me:pw@[::1]:5433/data":            "postgres://me@[::1]:5433/data",
		"postgres://me:pw@a:1,b:2/data":               "postgres://me@a:1/data",
		"host=h port=7 user='a b' dbname=d":           "postgres://a%20b@h:7/d",
		"postgres://m%40e:p%40w@host:5433/data?x=pw":  "postgres://m%40e@host:5433/data",
		"postgresql://me@host:5433/data?password=pw!": "postgres://me@host:5433/data",
	} {
		s, err := newServer(address)
		if err != nil || s.name != want {
			t.Errorf("%s is called %v, %v; should be %s", address, s, err, want)
		}
	}
	for _, address := range []string{
		"postgres://me:pw@host/data?default_query_exec_mode=simple_protocol", "host=h default_query_exec_mode=simple_protocol",
		"postgres://me:pw@host/data?default_query_exec_mode=exec",
	} {
		if _, err := newServer(address); err == nil || !strings.Contains(err.Error(), "leave it away") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
