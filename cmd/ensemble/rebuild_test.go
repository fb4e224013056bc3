package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/client"
)

// TestRebuildWhileServing rebuilds everything, twice, while people befriend and
// unfriend each other and look whether they see it. In the end the tables are those
// that a rebuild of the stopped system makes from the logs.
func TestRebuildWhileServing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	fillSmall(t, r.client())
	stop := make(chan struct{})
	var rounds atomic.Int64
	var busy sync.WaitGroup
	for i := range int64(3) {
		busy.Go(func() {
			for n := int64(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := befriendAndLook(t, r.client(), 10*i+1, 10*i+3+n%8); err != nil {
					t.Error(err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	for range 2 {
		before := rounds.Load()
		out := new(lockedBuffer)
		if code := run(t.Context(), []string{"rebuild", "--admin", "http://" + r.admin}, out, out); code != 0 {
			t.Fatalf("rebuild: %s", out)
		}
		for _, want := range []string{"table users: 30 rows, the same", "table friend: ", "recommendation: made anew"} {
			if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "WRONG") {
				t.Errorf("it says %s", out)
			}
		}
		for rounds.Load() == before && !t.Failed() { // people are served
			if err := befriendAndLook(t, r.client(), 10, 20); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	busy.Wait()
	r.end()
	before := dump(t, data)
	if code := run(t.Context(), []string{"rebuild", "--data", data}, io.Discard, os.Stderr); code != 0 {
		t.Fatal("rebuild failed")
	}
	if after := dump(t, data); after != before || len(before) < 1000 {
		t.Fatalf("before:\n%s\nafter:\n%s", before, after)
	}
}

// befriendAndLook adds a friendship, finds it in both lists, removes it, and does
// not find it.
func befriendAndLook(t *testing.T, c *client.Client, a, b int64) error {
	added, _, err := c.AddFriend(t.Context(), a, b, "")
	if refused := new(client.ProblemError); errors.As(err, &refused) && refused.Problem.Status == http.StatusConflict {
		_, err = c.RemoveFriend(t.Context(), a, b, "")
		return err
	}
	if err != nil {
		return err
	}
	for _, person := range []int64{a, b} {
		if found, err := hasRow(t, c, person, added.ID); err != nil || !found {
			return fmt.Errorf("%d does not see friendship %d: %w", person, added.ID, err)
		}
	}
	if _, err := c.RemoveFriend(t.Context(), b, a, ""); err != nil {
		return err
	}
	if found, err := hasRow(t, c, a, added.ID); err != nil || found {
		return fmt.Errorf("%d still sees friendship %d: %w", a, added.ID, err)
	}
	return nil
}

// hasRow says whether a person's list has a friendship.
func hasRow(t *testing.T, c *client.Client, person, row int64) (bool, error) {
	list, err := c.Friends(t.Context(), person)
	for _, f := range list {
		if f.ID == row {
			return true, err
		}
	}
	return false, err
}

// TestAViewThatWasWrongIsReported changes rows behind the system's back, as a
// fault in an earlier version would have left them.
func TestAViewThatWasWrongIsReported(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	fillSmall(t, r.client())
	r.end()
	right := dump(t, data)
	conn, err := sqlite.OpenConn(filepath.Join(data, "user.db"), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlitex.ExecuteScript(conn, "UPDATE users SET first_name = 'Nobody' WHERE id <= 2; DELETE FROM users WHERE id = 7", nil); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, data)
	out := new(lockedBuffer)
	if code := run(t.Context(), []string{"rebuild", "--admin", "http://" + r.admin}, out, out); code != 0 {
		t.Fatalf("rebuild: %s", out)
	}
	if want := "table users: 30 rows, THE OLD ONE WAS WRONG in 3 rows"; !strings.Contains(out.String(), want) {
		t.Errorf("it says %s", out)
	}
	if !strings.Contains(r.stderr.String(), "the old view was wrong") {
		t.Errorf("the log says %s", r.stderr)
	}
	r.end()
	if after := dump(t, data); after != right {
		t.Fatalf("it should be\n%s\nbut is\n%s", right, after)
	}
}

// TestARebuildKeepsNoNameOfSomebodyErasedMeanwhile erases people while the tables
// with their names are filled a second time: once the receipt says that it is done,
// no file has the name, whatever a rebuild had of it.
func TestARebuildKeepsNoNameOfSomebodyErasedMeanwhile(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	c := r.client()
	const people = 40
	for range people {
		if _, _, err := c.CreateUser(t.Context(), canary, canary, ""); err != nil {
			t.Fatal(err)
		}
	}
	if files := filesWith(t, data, canary); len(files) == 0 {
		t.Fatal("the name is nowhere, so this shows nothing")
	}
	erased := make(chan struct{})
	var rebuilding sync.WaitGroup
	rebuilding.Go(func() {
		for done := false; !done; {
			select {
			case <-erased:
				done = true // and once more, afterwards
			default:
			}
			out := new(lockedBuffer)
			if code := run(t.Context(), []string{"rebuild", "users", "recommendation", "--admin", "http://" + r.admin}, out, out); code != 0 {
				t.Errorf("rebuild: %s", out)
				return
			}
		}
	})
	for id := int64(1); id <= people; id++ {
		if _, err := c.Erase(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	close(erased)
	rebuilding.Wait()
	for id := int64(1); id <= people; id++ {
		erasedForGood(t, c, id)
		isGone(t, c, id)
	}
	if files := filesWith(t, data, canary); len(files) > 0 {
		t.Fatalf("the name is in %v", files)
	}
	r.end()
	if files := filesWith(t, data, canary); len(files) > 0 {
		t.Fatalf("after the end the name is in %v", files)
	}
}
