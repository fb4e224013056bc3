package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ensemble/client"
	"ensemble/eventstore/sqlite"
)

// running is a system started by its command line, in this process.
type running struct {
	t      *testing.T
	data   string
	edge   string // address of the gateway
	admin  string // and of the administration
	stop   context.CancelFunc
	ended  chan int
	stderr *lockedBuffer
}

// start runs 'up' on a data folder and waits until it serves.
func start(t *testing.T, data string, args ...string) *running {
	t.Helper()
	r, err := tryStart(t, data, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tryStart returns what 'up' says when it does not come to serve.
func tryStart(t *testing.T, data string, args ...string) (*running, error) {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, data: data, stop: stop, ended: make(chan int, 1), stderr: new(lockedBuffer)}
	args = append([]string{
		"up", "--data", data, "--ready-file", ready, "--log-level", "warn", "--edge-addr", "127.0.0.1:0",
		"--user-addr", "off", "--friend-addr", "off", "--recommendation-addr", "off",
	}, args...)
	go func() { r.ended <- run(ctx, args, io.Discard, r.stderr) }()
	t.Cleanup(func() { r.end() })
	for {
		if text, err := os.ReadFile(ready); err == nil {
			var addresses map[string]string
			if err := json.Unmarshal(text, &addresses); err != nil {
				t.Fatal(err)
			}
			r.edge, r.admin = addresses["edge"], addresses["admin"]
			return r, nil
		}
		select {
		case code := <-r.ended:
			r.ended <- code
			return r, errors.New(r.stderr.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// end stops the system and returns its exit code.
func (r *running) end() int {
	r.stop()
	code := <-r.ended
	r.ended <- code // for whoever asks again
	return code
}

// client returns a client of the gateway.
func (r *running) client() *client.Client {
	transport := client.Transport(64)
	r.t.Cleanup(transport.CloseIdleConnections)
	return client.New("http://"+r.edge, &http.Client{Transport: transport, Timeout: time.Minute})
}

func TestWhatWasAcknowledgedIsThereAfterARestart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	c := r.client()
	first, a, err := c.CreateUser(t.Context(), "Ada", "Lovelace", "key-1")
	if err != nil || !a.Created || first.ID != 1 {
		t.Fatalf("%+v %+v %v", first, a, err)
	}
	for _, name := range []string{"Eve", "Bob"} {
		if _, _, err := c.CreateUser(t.Context(), name, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]int64{{1, 2}, {2, 3}} {
		if _, _, err := c.AddFriend(t.Context(), pair[0], pair[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	if code := r.end(); code != 0 {
		t.Fatalf("stopping ended with %d: %s", code, r.stderr)
	}

	r = start(t, data)
	c = r.client()
	again, a, err := c.CreateUser(t.Context(), "Ada", "Lovelace", "key-1")
	if err != nil || !a.Replayed || again != first {
		t.Fatalf("the retry was answered %+v %+v %v", again, a, err)
	}
	ranked, err := c.Recommend(t.Context(), 1, 0)
	if err != nil || len(ranked) != 1 || ranked[0].User.FirstName != "Bob" || ranked[0].Weight != 1 {
		t.Fatalf("%+v, %v", ranked, err)
	}
	if u, _, err := c.CreateUser(t.Context(), "Next", "", ""); err != nil || u.ID != 4 {
		t.Fatalf("%+v, %v", u, err)
	}
}

func TestADataFolderIsForOneProcess(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	start(t, data)
	if _, err := tryStart(t, data); err == nil || !strings.Contains(err.Error(), "open in another process") {
		t.Fatalf("the second one says %v", err)
	}
}

func TestAPortInUseIsNamedWithTheWayOut(t *testing.T) {
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	data := filepath.Join(t.TempDir(), "data")
	_, err = tryStart(t, data, "--friend-addr", taken.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "choose another with --friend-addr") {
		t.Fatalf("it says %v", err)
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a start that failed left a data folder")
	}
}

func TestADamagedLogIsRefused(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	for range 50 {
		if _, _, err := r.client().CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
			t.Fatal(err)
		}
	}
	r.end()
	path := filepath.Join(data, "user.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte {
			at := strings.LastIndex(string(b), `"sealed":"`) + 15
			b[at] ^= 1
			return b
		},
		"a tail cut off": func(b []byte) []byte { return b[:len(b)-4096] },
		"something else": func([]byte) []byte { return []byte(strings.Repeat("no log ", 1000)) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, damage(append([]byte(nil), whole...)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := tryStart(t, data); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Fatalf("it says %v", err)
			}
			if code := run(t.Context(), []string{"events", "verify", "--data", data}, io.Discard, io.Discard); code == 0 {
				t.Fatal("verify finds nothing wrong")
			}
		})
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, data)
}

func TestKeysThatAreLostOrForeignAreRefused(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	if _, _, err := r.client().CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
		t.Fatal(err)
	}
	r.end()
	master := filepath.Join(data, "keys", "master.key")
	if err := os.Rename(master, master+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := tryStart(t, data); err == nil || !strings.Contains(err.Error(), "Restore it from the backup of the keys") {
		t.Fatalf("it says %v", err)
	}
	if err := os.WriteFile(master, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryStart(t, data); err == nil || !strings.Contains(err.Error(), "another master key") {
		t.Fatalf("it says %v", err)
	}
}

// dump returns every row of the views, as text.
func dump(t *testing.T, data string) string {
	t.Helper()
	s, err := openStorage(t.Context(), data, discardLog())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var b strings.Builder
	for _, q := range []struct {
		log   *sqlite.Log
		table string
	}{{s.user, "users"}, {s.user, "erased"}, {s.friend, "friend"}} {
		dumpTable(t, &b, q.log, q.table)
	}
	return b.String()
}

func TestRebuildGivesTheSameReadModels(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	fillSmall(t, r.client())
	r.end()
	before := dump(t, data)
	if code := run(t.Context(), []string{"rebuild", "--data", data}, io.Discard, os.Stderr); code != 0 {
		t.Fatal("rebuild failed")
	}
	if after := dump(t, data); after != before || len(before) < 1000 {
		t.Fatalf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestVerifyLooksAtARunningSystem(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	fillSmall(t, r.client())
	out := new(lockedBuffer)
	if code := run(t.Context(), []string{"events", "verify", "--data", data}, out, out); code != 0 {
		t.Fatalf("verify: %s", out)
	}
	for _, want := range []string{"user: 45 events in 30 streams", "friend: 43 events in 33 streams"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
}

// fillSmall makes 30 people, 15 of them renamed, 33 friendships, 10 of them ended.
func fillSmall(t *testing.T, c *client.Client) {
	t.Helper()
	for i := range int64(30) {
		if _, _, err := c.CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if _, _, err := c.Rename(t.Context(), i+1, "Žofie", "李"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range int64(33) {
		a, b := i%30+1, (i+1+i/30)%30+1
		if _, _, err := c.AddFriend(t.Context(), a, b, ""); err != nil {
			t.Fatal(err)
		}
		if i < 10 {
			if _, err := c.RemoveFriend(t.Context(), b, a, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestADataFolderFromANewerVersionIsRefused(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	start(t, data).end()
	path := filepath.Join(data, "friend.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[63] = 99 // user_version in the header of SQLite's format
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryStart(t, data); err == nil || !strings.Contains(err.Error(), "has format 99, this program knows up to 1") {
		t.Fatalf("it says %v", err)
	}
}
