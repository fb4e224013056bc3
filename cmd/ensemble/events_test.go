package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// command runs the command line and returns all that it says.
func command(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	out := new(lockedBuffer)
	code = run(t.Context(), args, out, out)
	return out.String(), code
}

// filled makes a data folder with a little in it.
func filled(t *testing.T) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	if err := fillFolder(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	return data
}

// change runs SQL on a log behind the system's back.
func change(t *testing.T, path, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyEndsWithOneAndSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct{ log, script, says, todo string }{
		"an event":             {"user", "UPDATE events SET data = '{}' WHERE position = 2", "at position 2: its checksum", "restore a backup"},
		"a row of a view":      {"user", "UPDATE users SET first_name = 'Mallory' WHERE id = 1", "row 1 of table users is not what the log says", "ensemble rebuild"},
		"a row that is gone":   {"friend", "DELETE FROM friend", "row 2 of table friend is missing", "ensemble rebuild"},
		"a row that came from": {"friend", "INSERT INTO friend VALUES (9, 1, 3, 0, 0)", "row 9 of table friend is there, but not by the log", "ensemble rebuild"},
	} {
		t.Run(name, func(t *testing.T) {
			data := filled(t)
			change(t, filepath.Join(data, c.log+".db"), c.script)
			said, code := command(t, "events", "verify", "--data", data)
			if code != 1 || !strings.Contains(said, c.says) || !strings.Contains(said, c.todo) {
				t.Fatalf("it ends with %d and says %s", code, said)
			}
		})
	}
	t.Run("a key", func(t *testing.T) {
		data := filled(t)
		path := filepath.Join(data, "keys", "keys")
		keys, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		keys[2*64+20] ^= 1
		if err := os.WriteFile(path, keys, 0o600); err != nil {
			t.Fatal(err)
		}
		said, code := command(t, "events", "verify", "--data", data)
		if code != 1 || !strings.Contains(said, "key 2: its checksum is wrong. Restore the file from the backup of the keys") {
			t.Fatalf("it ends with %d and says %s", code, said)
		}
	})
}

func TestVerifyTellsALogThatIsOlderThanAnErasure(t *testing.T) {
	data := filled(t)
	s, err := openStorage(t.Context(), data, discardLog())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.keys.Destroy(t.Context(), 1), s.close()); err != nil {
		t.Fatal(err)
	}
	if said, code := command(t, "rebuild", "--data", data); code != 0 {
		t.Fatal(said)
	}
	said, code := command(t, "events", "verify", "--data", data)
	if code != 0 || !strings.Contains(said, "the keys of 1 people are destroyed, who are not erased by this log") {
		t.Fatalf("it ends with %d and says %s", code, said)
	}
}

// TestTheGraphCheckNotices: a graph that differs from the rows in one friendship.
func TestTheGraphCheckNotices(t *testing.T) {
	at := eventstore.Event{Stream: friend.Stream(1, 2), Type: "FriendAdded", Number: 1, Data: []byte(`{"by":1,"to":2}`)}
	check := newGraphCheck()
	people := []eventstore.Event{
		{Stream: user.Stream(1), Type: "UserCreated", Number: 1, Data: []byte("{}")},
		{Stream: user.Stream(2), Type: "UserCreated", Number: 2, Data: []byte("{}")},
		{Stream: user.Stream(3), Type: "UserCreated", Number: 3, Data: []byte("{}")},
	}
	for _, e := range people {
		if err := check.person(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(check.pair(at), check.compare()); err != nil {
		t.Fatal(err)
	}
	check.rows[1] = [2]int64{1, 3}
	if err := check.compare(); err == nil || !strings.Contains(err.Error(), "please report it") {
		t.Fatalf("another friend: %v", err)
	}
	delete(check.rows, 1)
	if err := check.compare(); err == nil {
		t.Fatal("a friendship too many went unnoticed")
	}
}

func TestTailFollowsASystemThatRunsAndEndsWhenAsked(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	if _, _, err := r.client().CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := new(lockedBuffer)
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"events", "tail", "--data", data, "-f", "--output", "text"}, out, out)
	}()
	waitFor(t, out, "Ada Lovelace")
	for _, name := range []string{"Grace", "Barbara"} {
		if _, _, err := r.client().CreateUser(t.Context(), name, "", ""); err != nil {
			t.Fatal(err)
		}
		waitFor(t, out, name)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Fatalf("it ended with %d: %s", code, out)
	}
	if n := strings.Count(out.String(), "UserCreated"); n != 3 {
		t.Fatalf("%d events instead of 3:\n%s", n, out)
	}
}

// waitFor waits until a text was printed.
func waitFor(t *testing.T, out *lockedBuffer, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(out.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q never came:\n%s", text, out)
		}
	}
}

// events returns all events of both logs of a data folder.
func events(t *testing.T, data string) map[string][]eventstore.Event {
	t.Helper()
	r, err := openReading(t.Context(), data, logNames()...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	all := map[string][]eventstore.Event{}
	for _, l := range r.open {
		err := replay(t.Context(), l.log, func(_, _ eventstore.Position) {}, func(e eventstore.Event) error {
			all[l.name] = append(all[l.name], e)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestABackupUnderLoadHoldsWhatWasAcknowledgedBeforeItBegan: 16 clients write through
// the gateway; the restored folder holds exactly a prefix of each log, with every
// command answered before, and a system starts on it.
func TestABackupUnderLoadHoldsWhatWasAcknowledgedBeforeItBegan(t *testing.T) {
	base := t.TempDir()
	data, file, restored := filepath.Join(base, "data"), filepath.Join(base, "b.tar"), filepath.Join(base, "restored")
	r := start(t, data)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	var mu sync.Mutex
	acknowledged := 0 // people
	for range 16 {
		c := r.client()
		clients.Go(func() {
			for ctx.Err() == nil {
				u, _, err := c.CreateUser(context.Background(), "Ada", "Lovelace", "")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged++
				mu.Unlock()
				if u.ID > 1 {
					if _, _, err := c.AddFriend(context.Background(), u.ID, u.ID-1, ""); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	before := 0
	for before < 200 {
		mu.Lock()
		before = acknowledged
		mu.Unlock()
	}
	said, code := command(t, "events", "backup", file, "--data", data)
	if code != 0 {
		t.Error(said)
	}
	if said, code := command(t, "events", "verify", "--data", data); code != 0 {
		t.Error("verify under load: " + said)
	}
	stop()
	clients.Wait()
	r.end()
	if said, code := command(t, "events", "restore", file, "--data", restored); code != 0 {
		t.Fatal(said)
	}
	if err := os.CopyFS(filepath.Join(restored, "keys"), os.DirFS(filepath.Join(data, "keys"))); err != nil {
		t.Fatal(err)
	}
	whole, got := events(t, data), events(t, restored)
	if len(got["user"]) < before {
		t.Fatalf("%d people of %d that were acknowledged before", len(got["user"]), before)
	}
	for name := range whole {
		if diff := cmp.Diff(whole[name][:len(got[name])], got[name]); diff != "" {
			t.Fatal(name + diff)
		}
	}
	again := start(t, restored)
	if u, _, err := again.client().CreateUser(t.Context(), "Next", "", ""); err != nil || u.ID != int64(len(got["user"])+1) {
		t.Fatalf("%+v, %v", u, err)
	}
	if said, code := command(t, "events", "verify", "--data", restored); code != 0 {
		t.Fatal(said)
	}
}

func TestPositionsAndTagsTellARestoredLogFromTheOneThatWasLost(t *testing.T) {
	base := t.TempDir()
	data, file, restored := filepath.Join(base, "data"), filepath.Join(base, "b.tar"), filepath.Join(base, "restored")
	r := start(t, data)
	create := func(r *running) (position, tag string) {
		t.Helper()
		_, a, err := r.client().CreateUser(t.Context(), "Ada", "Lovelace", "")
		if err != nil {
			t.Fatal(err)
		}
		return a.EventPosition, a.ETag
	}
	create(r)
	if said, code := command(t, "events", "backup", file, "--data", data); code != 0 {
		t.Fatal(said)
	}
	lostPosition, lostTag := create(r)
	r.end()
	if said, code := command(t, "events", "restore", file, "--data", restored); code != 0 {
		t.Fatal(said)
	}
	if err := os.CopyFS(filepath.Join(restored, "keys"), os.DirFS(filepath.Join(data, "keys"))); err != nil {
		t.Fatal(err)
	}
	position, tag := create(start(t, restored))
	if a, b := strings.Split(position, "@"), strings.Split(lostPosition, "@"); a[0] != b[0] || a[1] == b[1] {
		t.Fatalf("%s was lost, %s is new", lostPosition, position)
	}
	if tag == lostTag || tag == "" {
		t.Fatalf("%s was lost, %s is new", lostTag, tag)
	}
}

// child starts a command as a process of its own: this very binary, which is the
// product when it is called by its name.
func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = append([]string{"ensemble"}, args...)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// killed runs a command and kills it after a while, ever later from round to round.
func killed(t *testing.T, after time.Duration, args ...string) {
	t.Helper()
	cmd := child(t, args...)
	time.Sleep(after) // to meet it in the middle; every outcome is right
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// TestABackupAndARestoreThatAreKilled: whenever kill -9 comes, the logs are untouched,
// there is a whole backup or none, and a whole restored folder or one that is refused
// and can be restored into again.
func TestABackupAndARestoreThatAreKilled(t *testing.T) {
	data := filled(t)
	before := events(t, data)
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	if said, code := command(t, "events", "backup", whole, "--data", data); code != 0 {
		t.Fatal(said)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 12 {
		file := filepath.Join(dir, "backup")
		killed(t, time.Duration(rand.IntN(15*(round+1)))*time.Millisecond, "events", "backup", file, "--data", data)
		if _, err := os.Stat(file); err == nil {
			if said, code := command(t, "events", "restore", file, "--data", filepath.Join(t.TempDir(), "x")); code != 0 {
				t.Fatalf("a backup that has its name is not whole: %s", said)
			}
			_ = os.Remove(file)
		}
		folder := filepath.Join(t.TempDir(), "restored")
		killed(t, time.Duration(rand.IntN(15*(round+1)))*time.Millisecond, "events", "restore", whole, "--data", folder)
		checkKilledRestore(t, whole, folder, before)
	}
	if diff := cmp.Diff(before, events(t, data)); diff != "" {
		t.Fatal(diff)
	}
	if after, err := os.ReadFile(whole); err != nil || !bytes.Equal(content, after) {
		t.Fatal("the backup was changed by restoring it")
	}
}

// checkKilledRestore looks at what a killed restore has left, and restores again.
func checkKilledRestore(t *testing.T, file, folder string, want map[string][]eventstore.Event) {
	t.Helper()
	_, userErr := os.Stat(filepath.Join(folder, "user.db"))
	_, friendErr := os.Stat(filepath.Join(folder, "friend.db"))
	_, unfinished := os.Stat(filepath.Join(folder, "restore.unfinished"))
	if unfinished != nil && (userErr == nil) != (friendErr == nil) {
		t.Fatal("one log is there without the other, and nothing says so")
	}
	if unfinished == nil {
		if _, err := tryStart(t, folder); err == nil || !strings.Contains(err.Error(), "was not finished") {
			t.Fatalf("a system that starts there says %v", err)
		}
	}
	if unfinished == nil || userErr != nil {
		if said, code := command(t, "events", "restore", file, "--data", folder); code != 0 {
			t.Fatalf("restoring again: %s", said)
		}
	}
	if diff := cmp.Diff(want, events(t, folder)); diff != "" {
		t.Fatal(diff)
	}
}
