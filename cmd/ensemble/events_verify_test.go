package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// TestTheGraphCheckNoticesEachKindOfDifference spoils one thing at a time in what brute
// force is made of, and has it noticed.
func TestTheGraphCheckNoticesEachKindOfDifference(t *testing.T) {
	make := func(t *testing.T) *graphCheck {
		t.Helper()
		check := newGraphCheck()
		for id := int64(1); id <= 4; id++ {
			e := eventstore.Event{Stream: user.Stream(id), Type: "UserCreated", Number: id, Data: []byte("{}")}
			if err := check.person(e); err != nil {
				t.Fatal(err)
			}
		}
		for row, pair := range [][2]int64{{1, 2}, {2, 3}, {4, 1}, {1, 4}} {
			stored, err := friend.Encode(friend.Added{By: pair[0], To: pair[1]})
			if err != nil {
				t.Fatal(err)
			}
			err = check.pair(eventstore.Event{
				Stream: friend.Stream(pair[0], pair[1]), Type: stored.Type, Number: int64(row + 1), Data: stored.Data,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return check
	}
	for name, c := range map[string]struct {
		spoil func(*graphCheck)
		says  string
	}{
		"nothing":                     {func(*graphCheck) {}, ""},
		"one of two directions":       {func(c *graphCheck) { delete(c.rows, 4) }, ""},
		"a friendship":                {func(c *graphCheck) { delete(c.rows, 1) }, "friends in the graph"},
		"another friend":              {func(c *graphCheck) { c.rows[2] = [2]int64{2, 4} }, "friends in the graph"},
		"somebody who is erased":      {func(c *graphCheck) { c.people[3] = false }, "friends in the graph"},
		"somebody without friends":    {func(c *graphCheck) { c.people[9] = true }, "the graph has 4 people"},
		"an erasure":                  {func(c *graphCheck) { c.people[9] = false }, "0 erased"},
		"a friendship among unknown":  {func(c *graphCheck) { c.rows[9] = [2]int64{8, 9} }, "3 friendships, the rows have 4, 0, 4"},
		"a friendship the other way":  {func(c *graphCheck) { c.rows[1] = [2]int64{2, 1} }, ""},
		"two people change their ids": {func(c *graphCheck) { c.rows[1], c.rows[2] = [2]int64{1, 3}, [2]int64{3, 2} }, "friends in the graph"},
	} {
		t.Run(name, func(t *testing.T) {
			check := make(t)
			c.spoil(check)
			err := check.compare()
			if (err == nil) != (c.says == "") {
				t.Fatalf("it says %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "please report it")) {
				t.Fatalf("it says %v", err)
			}
		})
	}
}

func TestTheGraphCheckRefusesWhatIsNoEventOfItsLogs(t *testing.T) {
	check := newGraphCheck()
	for name, err := range map[string]error{
		"a pair of nobody":      check.pair(eventstore.Event{Type: "FriendAdded", Data: []byte(`{"by":0,"to":1}`)}),
		"a pair of one":         check.pair(eventstore.Event{Type: "FriendAdded", Data: []byte(`{"by":1,"to":1}`)}),
		"an unknown type":       check.pair(eventstore.Event{Type: "FriendMet", Data: []byte(`{"by":1,"to":2}`)}),
		"a person of no number": check.person(eventstore.Event{Stream: eventstore.Stream{Category: "user", ID: "x"}, Type: "UserCreated", Data: []byte("{}")}),
		"a person of a pair":    check.person(eventstore.Event{Stream: friend.Stream(1, 2), Type: "UserCreated", Data: []byte("{}")}),
		"garbage of a person":   check.person(eventstore.Event{Stream: user.Stream(1), Type: "UserCreated", Data: []byte("{")}),
	} {
		if err == nil {
			t.Errorf("%s was taken in", name)
		}
	}
}

func TestWithoutKeysTheNamesStaySealedAndTheRestIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(keys string) error{
		"there are none": os.RemoveAll,
		"the master key is another": func(keys string) error {
			return os.WriteFile(filepath.Join(keys, "master.key"), []byte(strings.Repeat("ab", 32)), 0o600)
		},
		"the master key is garbage": func(keys string) error {
			return os.WriteFile(filepath.Join(keys, "master.key"), []byte("garbage"), 0o600)
		},
		"the file of keys is empty": func(keys string) error { return os.Truncate(filepath.Join(keys, "keys"), 0) },
		"the file of keys is gone":  func(keys string) error { return os.Remove(filepath.Join(keys, "keys")) },
	} {
		t.Run(name, func(t *testing.T) {
			data := filled(t)
			if err := spoil(filepath.Join(data, "keys")); err != nil {
				t.Fatal(err)
			}
			said, code := command(t, "events", "verify", "--data", data)
			for _, want := range []string{
				"user: 4 events in 3 streams and 4 commits are as they were written",
				"names and read models were not checked, for the keys can't be read: ",
				"friend: 1 rows of the read models are what the log says",
				"graph: 3 people, 0 erased, 1 friendships",
			} {
				if code != 0 || !strings.Contains(said, want) {
					t.Fatalf("%q is not in %s (%d)", want, said, code)
				}
			}
			said, code = command(t, "events", "tail", "--data", data, "--log", "user", "--output", "text")
			if code != 0 || strings.Count(said, "(sealed)") != 4 || strings.Contains(said, "Ada") {
				t.Fatal(said)
			}
			file := filepath.Join(t.TempDir(), "b")
			if said, code := command(t, "events", "backup", file, "--data", data); code != 0 {
				t.Fatalf("a backup needs no keys: %s", said)
			}
		})
	}
}

func TestAReadingThatFailsLeavesNothingOpen(t *testing.T) {
	data := filled(t)
	if err := os.Remove(filepath.Join(data, "friend.db")); err != nil {
		t.Fatal(err)
	}
	_, err := openReading(t.Context(), data, logNames()...)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "open the log of friends") {
		t.Fatalf("it says %v", err)
	}
	r, err := openReading(t.Context(), data, user.Category)
	if err != nil {
		t.Fatal(err)
	}
	if r.log(user.Category) == nil || r.log(friend.Category) != nil {
		t.Fatal("other logs are open than were asked for")
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
}

// TestARestoredBackupBringsNobodyBack: a backup made before somebody was erased, with
// the keys of today.
func TestARestoredBackupBringsNobodyBack(t *testing.T) {
	base := t.TempDir()
	data, file, restored := filepath.Join(base, "data"), filepath.Join(base, "b"), filepath.Join(base, "restored")
	r := start(t, data)
	for _, name := range []string{"Ada", "Eve"} {
		if _, _, err := r.client().CreateUser(t.Context(), name, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if said, code := command(t, "events", "backup", file, "--data", data); code != 0 {
		t.Fatal(said)
	}
	if _, err := r.client().Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r.end()
	if said, code := command(t, "events", "restore", file, "--data", restored); code != 0 {
		t.Fatal(said)
	}
	if err := os.CopyFS(filepath.Join(restored, "keys"), os.DirFS(filepath.Join(data, "keys"))); err != nil {
		t.Fatal(err)
	}
	start(t, restored).end()
	said, code := command(t, "events", "show", "user-1", "--data", restored, "--output", "text")
	if code != 0 || strings.Contains(said, "Ada") || !strings.Contains(said, "UserErased") {
		t.Fatalf("it ends with %d: %s", code, said)
	}
	if said, code := command(t, "events", "verify", "--data", restored); code != 0 || !strings.Contains(said, "1 people, 1 erased") {
		t.Fatalf("it ends with %d: %s", code, said)
	}
}
