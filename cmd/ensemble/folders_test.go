package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/folders has a data folder of each released format, as a system of that
// version has left it, and what that system answered. They are never written again: a
// new format gets a folder of its own. ENSEMBLE_WRITE_FOLDER=N makes number N.

// golden asks a system all that its data decide alone, byte by byte.
func golden(t *testing.T, r *running) string {
	t.Helper()
	var b strings.Builder
	for _, q := range [][2]string{
		{"/user/v1/users", "application/json"},
		{"/user/v1/users?limit=2", "application/x-ndjson"},
		{"/user/v1/users/1", "application/json"},
		{"/user/v1/users/2", "application/json"},
		{"/user/v1/events", "application/x-ndjson"},
		{"/friend/v1/users/1/friends", "application/json"},
		{"/friend/v1/users/2/friends", "application/json"},
		{"/friend/v1/friends/2", "application/json"},
		{"/friend/v1/events", "application/x-ndjson"},
		{"/recommendation/v1/users/1/commands/recommendFriends?explain=true", "application/json"},
		{"/recommendation/v1/users/1/commands/findMutualFriends?friendId=5", "application/json"},
	} {
		status, header, body := r.get(q[0], "Accept", q[1])
		fmt.Fprintf(&b, "GET %s as %s\n%d\n", q[0], q[1], status)
		for _, name := range []string{"ETag", "Event-Position", "Link"} {
			if value := header.Get(name); value != "" {
				fmt.Fprintf(&b, "%s: %s\n", name, value)
			}
		}
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSuffix(body, "\n"))
	}
	return b.String()
}

// get asks the gateway.
func (r *running) get(target string, headers ...string) (status int, header http.Header, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.edge+target, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// TestEveryReleasedFormatIsReadForEver: a copy of each folder verifies, answers the
// same bytes as on its first day, can be written on, and verifies again.
func TestEveryReleasedFormatIsReadForEver(t *testing.T) {
	folders, err := filepath.Glob("testdata/folders/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no folders, %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(folder, "answers.txt"))
			if err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(data, os.DirFS(filepath.Join(folder, "data"))); err != nil {
				t.Fatal(err)
			}
			verified(t, data)
			r := start(t, data)
			if diff := cmp.Diff(string(want), golden(t, r)); diff != "" {
				t.Fatalf("it answers otherwise than it did: %s", diff)
			}
			goesOn(t, r)
			if code := r.end(); code != 0 {
				t.Fatalf("stopping ended with %d: %s", code, r.stderr)
			}
			verified(t, data)
			if said, code := command(t, "rebuild", "--data", data); code != 0 || strings.Contains(said, "WRONG") {
				t.Fatalf("rebuild: %s", said)
			}
			verified(t, data)
		})
	}
}

// TestAFormatIsReadWithoutWhatCanBeMadeAnew: the heads and the notes only save time.
func TestAFormatIsReadWithoutWhatCanBeMadeAnew(t *testing.T) {
	const folder = "testdata/folders/1"
	want, err := os.ReadFile(filepath.Join(folder, "answers.txt"))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(data, os.DirFS(filepath.Join(folder, "data"))); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, f := range files {
		if f.IsDir() || strings.HasSuffix(f.Name(), ".db") {
			continue
		}
		if err := os.Remove(filepath.Join(data, f.Name())); err != nil {
			t.Fatal(err)
		}
		removed++
	}
	if removed < 2 {
		t.Fatalf("only %d files could be removed", removed)
	}
	if diff := cmp.Diff(string(want), golden(t, start(t, data))); diff != "" {
		t.Fatal(diff)
	}
}

// verified fails unless 'events verify' finds nothing wrong.
func verified(t *testing.T, data string) {
	t.Helper()
	if said, code := command(t, "events", "verify", "--data", data); code != 0 {
		t.Fatalf("verify ends with %d: %s", code, said)
	}
}

// goesOn writes on: numbers go on where they were, and the erased stay erased.
func goesOn(t *testing.T, r *running) {
	t.Helper()
	c := r.client()
	if u, _, err := c.CreateUser(t.Context(), "Next", "", ""); err != nil || u.ID != 7 {
		t.Errorf("the next user is %+v, %v", u, err)
	}
	if f, _, err := c.AddFriend(t.Context(), 7, 1, ""); err != nil || f.ID != 7 {
		t.Errorf("the next friendship is %+v, %v", f, err)
	}
	if u, _, err := c.Rename(t.Context(), 2, "Robert", ""); err != nil || u.FirstName != "Robert" {
		t.Errorf("renamed: %+v, %v", u, err)
	}
	if status, _, body := r.get("/user/v1/users/3"); status != http.StatusGone || !strings.Contains(body, "user-erased") {
		t.Errorf("who was erased is answered %d %s", status, body)
	}
}

// TestWriteFolder makes a folder for testdata/folders. It tests nothing.
func TestWriteFolder(t *testing.T) {
	number := os.Getenv("ENSEMBLE_WRITE_FOLDER")
	if number == "" {
		t.Skip("only on demand: ENSEMBLE_WRITE_FOLDER=N")
	}
	folder := filepath.Join("testdata", "folders", number)
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is there: what was released is not written again, %v", folder, err)
	}
	data := filepath.Join(folder, "data")
	r := start(t, data)
	c := r.client()
	for i, name := range [][2]string{
		{"Ada", "Lovelace"}, {"Bob", "Builder"}, {"Eve", "Moneypenny"}, {"Žofie", "李"}, {"Jean-Luc", `"Q" <x>`}, {"👩‍🚀", "\u00a0"},
	} {
		if _, _, err := c.CreateUser(t.Context(), name[0], name[1], fmt.Sprint("key-", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.Rename(t.Context(), 2, "Bobby", ""); err != nil {
		t.Fatal(err)
	}
	for _, p := range [][2]int64{{1, 2}, {2, 5}, {5, 6}, {3, 1}, {4, 2}, {4, 5}} {
		if _, _, err := c.AddFriend(t.Context(), p[0], p[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.RemoveFriend(t.Context(), 6, 5, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Erase(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	erasedForGood(t, c, 3)
	if err := os.WriteFile(filepath.Join(folder, "answers.txt"), []byte(golden(t, r)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := r.end(); code != 0 {
		t.Fatalf("stopping ended with %d: %s", code, r.stderr)
	}
	for _, lock := range []string{"user.db.lock", "friend.db.lock", "keys/lock", "user.db-wal", "user.db-shm", "friend.db-wal", "friend.db-shm"} {
		if err := os.Remove(filepath.Join(data, lock)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}
