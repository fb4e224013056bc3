package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"ensemble/eventstore"
)

// fake is a server made of answers, for what a real one does rarely or never: it signs
// people in with a password and then answers as it was told to.
type fake struct {
	parameters map[string]string
	refuse     *pgproto3.ErrorResponse // instead of signing in; %s in its message is the password
	answer     func(sql string) *pgproto3.ErrorResponse
	silent     bool // once it has said that it is a primary it never answers

	mu       sync.Mutex
	asked    []string
	sessions int
}

// start starts the server and returns its address. It is stopped by the test.
func (f *fake) start(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.sessions++
			f.mu.Unlock()
			sessions.Go(func() {
				ended := context.AfterFunc(ctx, func() { _ = conn.Close() })
				defer ended()
				defer conn.Close()
				f.serve(pgproto3.NewBackend(conn, conn))
			})
		}
	})
	t.Cleanup(func() {
		stop()
		_ = listener.Close()
		sessions.Wait()
	})
	return listener.Addr().String()
}

// serve speaks with one client.
func (f *fake) serve(b *pgproto3.Backend) {
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationCleartextPassword{})
	if b.SetAuthType(pgproto3.AuthTypeCleartextPassword) != nil || b.Flush() != nil {
		return
	}
	message, err := b.Receive()
	password, ok := message.(*pgproto3.PasswordMessage)
	if err != nil || !ok {
		return
	}
	if f.refuse != nil {
		refusal := *f.refuse
		refusal.Message = strings.ReplaceAll(refusal.Message, "%s", password.Password)
		b.Send(&refusal)
		_ = b.Flush()
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	for _, p := range [][2]string{{"server_version", "16.1"}, {"server_encoding", "UTF8"}, {"standard_conforming_strings", "on"}, {"client_encoding", "UTF8"}} {
		if value, ok := f.parameters[p[0]]; ok {
			p[1] = value
		}
		b.Send(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() == nil {
		f.talk(b)
	}
}

// talk answers statements: the question for a primary with yes, all others with errors.
func (f *fake) talk(b *pgproto3.Backend) {
	for {
		message, err := b.Receive()
		if err != nil {
			return
		}
		switch m := message.(type) {
		case *pgproto3.Query:
			if strings.Contains(m.String, "pg_is_in_recovery") {
				b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("r"), DataTypeOID: 16, DataTypeSize: 1}}})
				b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("f")}})
				b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				_ = b.Flush()
				break
			}
			if !f.refuses(b, m.String) {
				return
			}
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		case *pgproto3.Parse:
			if !f.refuses(b, m.Query) {
				return
			}
		case *pgproto3.Sync:
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		case *pgproto3.Terminate:
			return
		}
		if f.silent {
			continue
		}
		if b.Flush() != nil {
			return
		}
	}
}

// refuses answers a statement, and says whether the session goes on.
func (f *fake) refuses(b *pgproto3.Backend, sql string) bool {
	f.mu.Lock()
	f.asked = append(f.asked, sql)
	f.mu.Unlock()
	if f.answer == nil {
		return true
	}
	refusal := f.answer(sql)
	b.Send(refusal)
	if refusal.Severity == "FATAL" {
		_ = b.Flush()
		return false
	}
	return true
}

// failure is an answer of a server.
func failure(severity, code, message string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: code, Message: message}
}

// TestWhatASeverSaysAtTheDoor: who can do something about it is told at once; what passes
// is tried again, for as long as there is patience.
func TestWhatAServerSaysAtTheDoor(t *testing.T) {
	for _, c := range []struct {
		code, message string
		again         bool
	}{
		{"28P01", `password authentication failed for user "me"`, false},
		{"28000", `no pg_hba.conf entry for host`, false},
		{"3D000", `database "x" does not exist`, false},
		{"42501", `permission denied for database "x"`, false},
		{"53300", `sorry, too many clients already`, true},
		{"57P03", `the database system is starting up`, true},
		{"57P01", `terminating connection due to administrator command`, true},
	} {
		f := &fake{refuse: failure("FATAL", c.code, c.message+", said with %s")}
		address := f.start(t)
		patience := time.Hour // of which nothing is used
		if c.again {
			patience = 40 * time.Millisecond
		}
		_, err := Open(t.Context(), "postgres://me:s3cr3t@"+address+"/x?sslmode=disable", Options{Log: quiet(), Patience: patience})
		if err == nil || errors.Is(err, eventstore.ErrAway) != c.again || !strings.Contains(err.Error(), c.message) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v", c.code, err)
		}
		if again := f.sessions > 1; again != c.again {
			t.Errorf("%s: it was tried %d times", c.code, f.sessions)
		}
	}
}

// TestAServerThatIsNotFitIsRefusedBeforeAnythingIsAsked, let alone changed: by opening
// and by migrating.
func TestAServerThatIsNotFitIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	for want, parameters := range map[string]map[string]string{
		"is Postgres 14.9; version 15 or later is needed": {"server_version": "14.9"},
		"is Postgres 9.6.24; version 15":                  {"server_version": "9.6.24"},
		"has the encoding SQL_ASCII; make one with the":   {"server_encoding": "SQL_ASCII"},
		"has the encoding LATIN1":                         {"server_encoding": "LATIN1"},
	} {
		f := &fake{parameters: parameters}
		url := "postgres://me:s3cr3t@" + f.start(t) + "/x?sslmode=disable"
		_, opened := Open(t.Context(), url, Options{Log: quiet()})
		migrated := Migrate(t.Context(), url, MigrateOptions{Log: quiet()})
		for _, err := range []error{opened, migrated} {
			if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, eventstore.ErrAway) {
				t.Errorf("%v: %v", parameters, err)
			}
		}
		if len(f.asked) > 0 {
			t.Errorf("%v: it was asked %q", parameters, f.asked)
		}
	}
}

// TestAPoolerThatForbidsTransactionsIsNamedAsTheCause, as PgBouncer does with its
// pool_mode = statement: it ends the session.
func TestAPoolerThatForbidsTransactionsIsNamedAsTheCause(t *testing.T) {
	const says = "transaction blocks not allowed in statement pooling mode"
	f := &fake{answer: func(string) *pgproto3.ErrorResponse { return failure("FATAL", "08P01", says) }}
	url := "postgres://me:s3cr3t@" + f.start(t) + "/x?sslmode=disable"
	_, opened := Open(t.Context(), url, Options{Log: quiet(), Patience: 50 * time.Millisecond})
	migrated := Migrate(t.Context(), url, MigrateOptions{Log: quiet()})
	for _, err := range []error{opened, migrated} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v", err)
		}
	}
}

// TestAServerThatFallsSilentHoldsNobodyUp: it signs in and answers nothing more. Opening
// has no context that ends, and ends all the same; so does each commit and each read.
func TestAServerThatFallsSilentHoldsNobodyUp(t *testing.T) {
	f := &fake{silent: true}
	url := "postgres://me:s3cr3t@" + f.start(t) + "/x?sslmode=disable"
	if _, err := Open(context.Background(), url, Options{Log: quiet(), Patience: 50 * time.Millisecond}); !errors.Is(err, eventstore.ErrAway) {
		t.Errorf("opening: %v", err)
	}
	log := fakeLog(t, url)
	if _, err := log.Commit(context.Background(), []eventstore.Write{one(on("a"), 0, "x")}); !errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("a commit: %v", err)
	}
	if _, err := log.ReadAll(context.Background(), 0, 1); !errors.Is(err, eventstore.ErrAway) {
		t.Errorf("a read: %v", err)
	}
	if _, err := log.Head(context.Background()); !errors.Is(err, eventstore.ErrAway) {
		t.Errorf("the head: %v", err)
	}
}

// fakeLog is a log without its opening, of which a fake server knows nothing.
func fakeLog(t testing.TB, url string) *Log {
	t.Helper()
	server, err := newServer(url)
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Log: quiet(), Patience: 50 * time.Millisecond, Views: []eventstore.View{counted{}}}
	l := &Log{server: server, name: server.name, opts: opts.withDefaults(), sql: newStatements("public")}
	if l.views, err = newViews("public", opts.Views); err != nil {
		t.Fatal(err)
	}
	if err := l.connectReaders(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestEveryErrorOfACommitIsToldApart: a server answers each statement of a commit with an
// error of each kind. What passes is away, a full disk is full, anything else is said as
// it is; and nothing is ever unknown that was refused.
func TestEveryErrorOfACommitIsToldApart(t *testing.T) {
	for code, want := range map[string]error{
		"53100": eventstore.ErrFull,
		"40001": eventstore.ErrAway, "40P01": eventstore.ErrAway, "55P03": eventstore.ErrAway, "57014": eventstore.ErrAway,
		"25006": eventstore.ErrAway, "53200": eventstore.ErrAway, "53300": eventstore.ErrAway, "58030": eventstore.ErrAway, "08P01": eventstore.ErrAway,
		"42501": nil, "42P01": nil, "42883": nil, "22021": nil, "23505": nil, "XX001": nil,
	} {
		f := &fake{answer: func(string) *pgproto3.ErrorResponse { return failure("ERROR", code, "it is made to fail") }}
		log := fakeLog(t, "postgres://me:s3cr3t@"+f.start(t)+"/x?sslmode=disable")
		batch := []eventstore.Write{keyed(one(on("1"), 0, "x"), 1)}
		_, committed := log.Commit(t.Context(), batch)
		_, read := log.ReadStream(t.Context(), on("1"), 0, 1)
		_, selected := log.Select(t.Context(), eventstore.Select{Table: "counted", Limit: 1})
		_, _, remembered := log.Outcome(t.Context(), [16]byte{1})
		for what, err := range map[string]error{"commit": committed, "read": read, "select": selected, "outcome": remembered} {
			kinds := fmt.Sprint(errors.Is(err, eventstore.ErrFull), errors.Is(err, eventstore.ErrAway), errors.Is(err, eventstore.ErrUnknown))
			if err == nil || kinds != fmt.Sprint(want == eventstore.ErrFull, want == eventstore.ErrAway, false) { //nolint:errorlint // the values themselves
				t.Errorf("%s: %s came out as %v", code, what, err)
			}
		}
	}
}
