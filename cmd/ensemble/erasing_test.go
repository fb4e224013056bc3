package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ensemble/client"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/chaos"
	"ensemble/user"
	"ensemble/wire"
)

// canary is a name that is nowhere else.
const canary = "Canary-Zwölfboeufgrïs"

// filesWith lists the files below a folder that hold a text.
func filesWith(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	for {
		files = nil
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(text)) {
				files = append(files, filepath.Base(path))
			}
			return err
		})
		switch {
		case errors.Is(err, fs.ErrNotExist): // a system that runs has given a new file its name meanwhile
			continue
		case err != nil:
			t.Fatal(err)
		}
		return files
	}
}

// befriend makes the first of n people, all created here, a friend of each other.
func befriend(t *testing.T, c *client.Client, first string, n int64) {
	t.Helper()
	for id := int64(1); id <= n; id++ {
		name := "Somebody"
		if id == 1 {
			name = first
		}
		if _, _, err := c.CreateUser(t.Context(), name, name, ""); err != nil {
			t.Fatal(err)
		}
		if id > 1 {
			if _, _, err := c.AddFriend(t.Context(), id, 1, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// erasedForGood waits for a receipt that says so.
func erasedForGood(t *testing.T, c *client.Client, id int64) client.Erasure {
	t.Helper()
	for {
		e, err := c.Erasure(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if e.Complete {
			return e
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// isGone checks that nobody is told of a person any more.
func isGone(t *testing.T, c *client.Client, id int64) {
	t.Helper()
	_, _, err := c.User(t.Context(), id)
	if p, ok := errors.AsType[*client.ProblemError](err); !ok || p.Slug() != wire.UserErased {
		t.Errorf("user %d: %v", id, err)
	}
	_, err = c.Erase(t.Context(), id)
	if p, ok := errors.AsType[*client.ProblemError](err); !ok || p.Problem.Status != http.StatusGone {
		t.Errorf("erase %d again: %v", id, err)
	}
	friends, err := c.Friends(t.Context(), id)
	if err != nil || len(friends) > 0 {
		t.Errorf("friends of %d: %v, %v", id, friends, err)
	}
}

// TestNoByteOnTheDiskHoldsTheNameOfSomebodyErased: with the system running, after
// it has ended, and after a restart.
func TestNoByteOnTheDiskHoldsTheNameOfSomebodyErased(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	c := r.client()
	befriend(t, c, canary, 10)
	if _, _, err := c.Rename(t.Context(), 1, canary+"X", canary); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.CreateUser(t.Context(), canary, "", "key"); err != nil {
		t.Fatal(err)
	}
	// A snapshot is written, in which they are too.
	r.end()
	if files := filesIn(t, filepath.Join(data, snapshotDir)); len(files) != 1 {
		t.Fatalf("of the graph there is %v", files)
	}
	r = start(t, data)
	c = r.client()
	// In the log names are sealed; only the view shows them, in the file or in the
	// write-ahead log before it.
	if files := filesWith(t, data, canary); len(files) == 0 || slices.ContainsFunc(files, func(f string) bool { return !strings.HasPrefix(f, "user.db") }) {
		t.Fatalf("before, the name is in %v", files)
	}
	if page := sealed(t, data); len(page) < 12 || strings.Contains(page, canary) {
		t.Fatalf("the log shows the name: %s", page)
	}
	for _, id := range []int64{1, 11} {
		if _, err := c.Erase(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []int64{1, 11} {
		if e := erasedForGood(t, c, id); !e.Done.KeyDestroyed || !e.Done.FilesCleared {
			t.Errorf("%+v", e)
		}
		isGone(t, c, id)
	}
	if files := filesWith(t, data, canary); len(files) > 0 {
		t.Errorf("with the system running it is in %v", files)
	}
	putBack := keep(t, data, snapshotDir) // what was written when they were there
	if code := r.end(); code != 0 {
		t.Fatalf("stopping ended with %d: %s", code, r.stderr)
	}
	if files := filesWith(t, data, canary); len(files) > 0 {
		t.Errorf("after the end it is in %v", files)
	}
	r = start(t, data)
	isGone(t, r.client(), 1)
	erasedForGood(t, r.client(), 1)
	if files := filesWith(t, data, canary); len(files) > 0 {
		t.Errorf("after a restart it is in %v", files)
	}
	r.end()
	putBack()
	r = start(t, data, "--log-level", "info")
	if said := r.stderr.String(); !strings.Contains(said, loaded) {
		t.Errorf("the snapshot from before is not used: %s", said)
	}
	isGone(t, r.client(), 1)
	if list, err := r.client().Recommend(t.Context(), 2, 0); err != nil || len(list) > 0 {
		t.Errorf("without 1 nobody shares a friend, but 2 is told %v, %v", list, err)
	}
	r.end()
	if files := filesWith(t, data, canary); len(files) > 0 {
		t.Errorf("after a start from the snapshot it is in %v", files)
	}
	if code := run(t.Context(), []string{"events", "verify", "--data", data}, io.Discard, os.Stderr); code != 0 {
		t.Error("verify finds something wrong")
	}
}

// sealed returns the data of all events of people.
func sealed(t *testing.T, data string) string {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(data, user.Category+".db"), sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	page, err := s.ReadAll(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range page {
		b.Write(e.Data)
	}
	return b.String()
}

// TestACrashAtEachStepOfErasingIsMendedByTheNextStart: the process kills itself
// there, for good.
func TestACrashAtEachStepOfErasingIsMendedByTheNextStart(t *testing.T) {
	binary := buildBinary(t, "ensemble_crash")
	for _, step := range []string{
		"before the key", "after the key", "before the files", "after the files",
		"between friendships", "before the note of friendships",
	} {
		t.Run(step, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			p := &chaos.Process{Binary: binary, Data: data, Dir: t.TempDir()}
			at := func() (*client.Client, func()) {
				address, err := p.Start(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				transport := client.Transport(4)
				return client.New("http://"+address, &http.Client{Transport: transport, Timeout: time.Minute}), transport.CloseIdleConnections
			}
			p.Env = []string{"ENSEMBLE_CRASH_AT=" + step}
			c, done := at()
			befriend(t, c, canary, 9)
			_, err := c.Erase(t.Context(), 1)
			p.Wait()
			done()
			t.Logf("the client was told: %v", err)

			p.Env = nil
			c, done = at()
			defer done()
			defer p.Kill()
			if e := erasedForGood(t, c, 1); e.Done.FriendshipsRemaining != 0 {
				t.Errorf("%+v", e)
			}
			isGone(t, c, 1)
			if files := filesWith(t, data, canary); len(files) > 0 {
				t.Errorf("the name is in %v", files)
			}
			erasures := 0
			for e, err := range readLog(t.Context(), filepath.Join(data, "user.db"), 0) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Type == "UserErased" {
					erasures++
				}
			}
			removed := 0
			for e, err := range readLog(t.Context(), filepath.Join(data, "friend.db"), 0) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Type == "FriendRemoved" {
					removed++
				}
			}
			if erasures != 1 || removed != 8 {
				t.Errorf("%d people were erased, %d friendships removed", erasures, removed)
			}
		})
	}
}

// keep copies a file or a folder of the data and returns how to put it back.
func keep(t *testing.T, data, name string) (putBack func()) {
	t.Helper()
	from, to := filepath.Join(data, name), filepath.Join(t.TempDir(), "kept")
	if info, err := os.Stat(from); err == nil && info.IsDir() {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := errors.Join(os.RemoveAll(from), os.CopyFS(from, os.DirFS(to))); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(from, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOlderKeysDoNotBringAnybodyBack: those who are erased in the log lose their key
// again before anything is served.
func TestOlderKeysDoNotBringAnybodyBack(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	befriend(t, r.client(), canary, 3)
	r.end()
	putBack := keep(t, data, "keys")
	r = start(t, data)
	if _, err := r.client().Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r.end()
	putBack()
	r = start(t, data)
	if e, err := r.client().Erasure(t.Context(), 1); err != nil || !e.Done.KeyDestroyed {
		t.Errorf("before anything is served: %+v, %v", e, err)
	}
	erasedForGood(t, r.client(), 1)
	isGone(t, r.client(), 1)
	if _, _, err := r.client().User(t.Context(), 2); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

// TestAnOlderLogEndsWithTheSamePeopleErased: whose key is destroyed is erased again,
// and their friendships end again.
func TestAnOlderLogEndsWithTheSamePeopleErased(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	befriend(t, r.client(), canary, 4)
	r.end()
	var putBack []func()
	for _, name := range []string{"user.db", "friend.db"} {
		putBack = append(putBack, keep(t, data, name))
	}
	r = start(t, data)
	if _, err := r.client().Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	erasedForGood(t, r.client(), 1)
	r.end()
	for _, f := range putBack {
		f()
	}
	for _, heads := range []string{"user.heads", "friend.heads"} { // as a restore does
		if err := os.Remove(filepath.Join(data, heads)); err != nil {
			t.Fatal(err)
		}
	}
	r = start(t, data)
	if e := erasedForGood(t, r.client(), 1); e.EventPosition[:7] != "user:5@" {
		t.Errorf("%+v", e)
	}
	isGone(t, r.client(), 1)
	for id := int64(2); id <= 4; id++ {
		if friends, err := r.client().Friends(t.Context(), id); err != nil || len(friends) > 0 {
			t.Errorf("friends of %d: %v, %v", id, friends, err)
		}
	}
}

// TestNotesAreHintsOnly: without them, or with nonsense in them, everything is as it
// was.
func TestNotesAreHintsOnly(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	befriend(t, r.client(), canary, 4)
	if _, err := r.client().Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	erasedForGood(t, r.client(), 1)
	r.end()
	for _, text := range []string{"", "nonsense", `{"Position":999999,"Cleared":99999999}`} {
		for _, name := range []string{"user.erasures", "friend.erasures"} {
			if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r = start(t, data)
		erasedForGood(t, r.client(), 1)
		isGone(t, r.client(), 1)
		if u, err := r.client().Users(t.Context(), 10); err != nil || len(u) != 3 {
			t.Errorf("%v, %v", u, err)
		}
		r.end()
	}
}
