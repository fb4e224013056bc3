package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// TestNoErrorHoldsThePassword: neither of a URL that can't be read nor of a server that
// is not there or does not want us.
func TestNoErrorHoldsThePassword(t *testing.T) {
	const secret = "s3cr%3At"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	_ = listener.Close()
	var text bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&text, nil))
	for _, address := range []string{
		"postgres://me:" + secret + "@127.0.0.1:port/x", "postgres://me:" + secret + "@%zz/x", "host=127.0.0.1 password=" + secret + " port=x",
		"postgres://me:" + secret + "@" + nobody + "/x", "postgres://me:" + secret + "@" + nobody + "/x?sslmode=nonsense",
	} {
		_, opened := Open(t.Context(), address, Options{Log: logger, Patience: time.Millisecond})
		migrated := Migrate(t.Context(), address, MigrateOptions{Log: logger})
		for _, err := range []error{opened, migrated} {
			if err == nil || strings.Contains(err.Error(), "s3cr") {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
	u, err := url.Parse(servertest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody_of_this_name", "s3cr:t")
	_, err = Open(t.Context(), u.String(), Options{Log: logger})
	if err == nil || strings.Contains(err.Error(), "s3cr") || !strings.Contains(err.Error(), u.Host) {
		t.Errorf("a role that is not there: %v", err)
	}
	if errors.Is(err, eventstore.ErrAway) {
		t.Errorf("trying again helps nobody, and the error says so: %v", err)
	}
	if strings.Contains(text.String(), "s3cr") {
		t.Errorf("the log holds the password: %s", text.String())
	}
}

// TestWhatAnErrorOfTheServerMeans lists what passes, what is lost and what is for good.
func TestWhatAnErrorOfTheServerMeans(t *testing.T) {
	for want, codes := range map[verdict][]string{
		again:  {"40001", "40P01", "55P03", "57014", "53200", "53300", "25006", "26000", "0A000", "57P03", "58030", "08006"},
		noRoom: {"53100"},
		final:  {"42501", "23505", "22021", "42P01", "XX001", "42883"},
	} {
		for _, code := range codes {
			if got := judge(fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: "ERROR", Code: code})); got != want {
				t.Errorf("%s is judged %d, not %d", code, got, want)
			}
		}
	}
	for _, err := range []error{
		&pgconn.PgError{Severity: "FATAL", Code: "57P01"}, &pgconn.PgError{SeverityUnlocalized: "PANIC", Code: "XX000"},
		net.ErrClosed, errors.New("unexpected EOF"),
	} {
		if judge(err) != lost {
			t.Errorf("after %v the answer is lost", err)
		}
	}
}

// raising makes every append fail with an error of the server.
func raising(t *testing.T, url, code string) {
	execute(t, url, "drop trigger if exists raise on commits", "drop function if exists raise_it",
		fmt.Sprintf("create function raise_it() returns trigger language plpgsql as $$ begin raise exception 'it is made to fail' using errcode = '%s'; end $$", code),
		"create trigger raise before insert on commits execute function raise_it()")
}

// TestAnErrorOfTheServerIsTriedAgainOrSaid: what passes is tried again, a full disk is
// said, and so is what does not pass in time; in no case is anything written.
func TestAnErrorOfTheServerIsTriedAgainOrSaid(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{Patience: 250 * time.Millisecond})
	commit := func() (err error) {
		// On a busy machine patience may end while the server is being asked: nobody knows then.
		for try := 0; try == 0 || try < 5 && errors.Is(err, eventstore.ErrUnknown); try++ {
			_, err = log.Commit(t.Context(), []eventstore.Write{keyed(one(on("a"), eventstore.Any, "x"), 1)})
		}
		return err
	}
	for code, want := range map[string]error{
		"53100": eventstore.ErrFull, // disk full
		"40001": eventstore.ErrAway, // a serialization failure that does not pass
		"57014": eventstore.ErrAway, // a statement that takes too long
	} {
		raising(t, url, code)
		if err := commit(); !errors.Is(err, want) || errors.Is(err, eventstore.ErrUnknown) {
			t.Errorf("%s came out as %v", code, err)
		}
	}
	raising(t, url, "42501")
	if err := commit(); err == nil || errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrFull) || errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("a right that is missing came out as %v", err)
	}
	raising(t, url, "40001")
	log.away, log.opts.Patience = false, time.Minute
	passed := make(chan error, 1)
	go func() { passed <- commit() }()
	execute(t, url, "drop trigger raise on commits")
	if err := <-passed; err != nil {
		t.Errorf("what had passed came out as %v", err)
	}
	if got := all(t, log); !slices.Equal(got, []string{"x"}) {
		t.Errorf("the log has %q", got)
	}
}

// TestWhoHoldsTheLockTooLongIsPutOut: a replica that stops in the middle of a commit, with
// its connection open, holds the others up for a while and not for ever.
func TestWhoHoldsTheLockTooLongIsPutOut(t *testing.T) {
	url := servertest.Postgres(t)
	log, stopped := open(t, url, Options{Patience: time.Minute}), open(t, url, Options{})
	stopped.server.config.RuntimeParams["idle_in_transaction_session_timeout"] = "100ms"
	if err := stopped.connectWriter(t.Context()); err != nil {
		t.Fatal(err)
	}
	batch := []eventstore.Write{one(on("a"), eventstore.Any, "of who stopped")}
	c := &commit{log: stopped, batch: batch}
	if _, err := stopped.readState(t.Context(), stopped.writer, ask(batch)); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), 0, "of who goes on")}); err != nil {
		t.Fatal(err)
	}
	for err := errors.New("not yet"); err != nil; { // it comes to, and begins anew
		_, err = c.try(t.Context())
	}
	if got := all(t, log); !slices.Equal(got, []string{"of who goes on", "of who stopped"}) {
		t.Fatalf("the log has %q", got)
	}
}
