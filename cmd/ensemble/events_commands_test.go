package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tailed runs 'events tail' and returns log and position of each line.
func tailed(t *testing.T, data string, args ...string) (lines []string) {
	t.Helper()
	said, code := command(t, append([]string{"events", "tail", "--data", data}, args...)...)
	if code != 0 {
		t.Fatal(said)
	}
	var before time.Time
	for line := range strings.Lines(said) {
		var e struct {
			Log, Time string
			Position  json.Number
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		at, err := time.Parse("2006-01-02T15:04:05.000-07:00", e.Time)
		if err != nil || at.Before(before) {
			t.Fatalf("%s comes after %v, %v", line, before, err)
		}
		before = at
		lines = append(lines, e.Log+" "+e.Position.String())
	}
	return lines
}

func TestWhichEventsTailPrints(t *testing.T) {
	data := filled(t) // users 1-4, friends 1-3, in this order of time
	for _, c := range []struct{ args, want string }{
		{"", "user 1,user 2,user 3,user 4,friend 1,friend 2,friend 3"},
		{"-n 2", "user 3,user 4,friend 2,friend 3"},
		{"-n 0", ""},
		{"--log friend", "friend 1,friend 2,friend 3"},
		{"--log user -n 1", "user 4"},
		{"--log user --after 0", "user 1,user 2,user 3,user 4"},
		{"--log user --after 2", "user 3,user 4"},
		{"--log user --after 4", ""},
		{"--log user --after 1 -n 1", "user 2,user 3,user 4"},
		{"--types UserRenamed", "user 4"},
		{"--types UserRenamed,FriendRemoved", "user 4,friend 3"},
		{"--types FriendAdded --log user", ""},
		{"--types FriendRemoved -n 1", "friend 3"},
	} {
		t.Run(c.args, func(t *testing.T) {
			if got := strings.Join(tailed(t, data, strings.Fields(c.args)...), ","); got != c.want {
				t.Fatalf("it prints %s instead of %s", got, c.want)
			}
		})
	}
}

func TestWhatTheEventsCommandsRefuse(t *testing.T) {
	data := filled(t)
	base := t.TempDir()
	whole := filepath.Join(base, "whole")
	if said, code := command(t, "events", "backup", whole, "--data", data); code != 0 {
		t.Fatal(said)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) string {
		path := filepath.Join(base, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flipped := slices.Clone(content)
	flipped[len(flipped)/2] ^= 4
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a backup cut short":          {[]string{"restore", put("short", content[:len(content)-700])}, "is damaged or cut short: its seal does not fit. Restore another backup, or fetch this one again"},
		"a backup with a flipped bit": {[]string{"restore", put("flipped", flipped)}, "its seal does not fit"},
		"a log as a backup":           {[]string{"restore", filepath.Join(data, "user.db")}, "is no backup of ensemble"},
		"an empty file":               {[]string{"restore", put("empty", nil)}, "is no backup of ensemble"},
		"a folder as a backup":        {[]string{"restore", data}, "is a directory"},
		"a backup of nothing":         {[]string{"backup", filepath.Join(base, "x"), "--data", base}, "choose it with --data"},
		"a backup into nowhere":       {[]string{"backup", filepath.Join(base, "no", "x"), "--data", data}, "no such file or directory"},
		"no file":                     {[]string{"backup"}, `expected "<file>"`},
		"an unknown log":              {[]string{"tail", "--log", "thing"}, "--log must be one of"},
		"an unknown output":           {[]string{"tail", "--output", "xml"}, "--output must be one of"},
		"a negative count":            {[]string{"tail", "--data", data, "--last=-1"}, "have to be at least 0"},
		"a position below 0":          {[]string{"tail", "--data", data, "--log", "user", "--after=-1"}, "have to be at least 0"},
		"a position of which log":     {[]string{"tail", "--data", data, "--after", "1"}, "say in which"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"events"}, c.args...)
			to := filepath.Join(t.TempDir(), "to")
			if c.args[0] == "restore" {
				args = append(args, "--data", to)
			}
			said, code := command(t, args...)
			if code == 0 || !strings.Contains(said, c.says) {
				t.Fatalf("it ends with %d and says %s", code, said)
			}
			if _, err := os.Stat(to); err == nil {
				t.Fatal("a refused restore made a folder")
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(base, "*partial*"))
	if err != nil || len(left) > 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
}

func TestRestoringOverARunningSystemDoesNotDisturbIt(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	if _, _, err := r.client().CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "b")
	if said, code := command(t, "events", "backup", file, "--data", data); code != 0 {
		t.Fatal(said)
	}
	said, code := command(t, "events", "restore", file, "--data", data)
	if code == 0 || !strings.Contains(said, "a system is running in "+data) || !strings.Contains(said, "choose another with --data") {
		t.Fatalf("it ends with %d and says %s", code, said)
	}
	if u, _, err := r.client().CreateUser(t.Context(), "Eve", "", ""); err != nil || u.ID != 2 {
		t.Fatalf("%+v, %v", u, err)
	}
	if code := r.end(); code != 0 {
		t.Fatalf("it ended with %d: %s", code, r.stderr)
	}
	again := start(t, data)
	if u, _, err := again.client().CreateUser(t.Context(), "Bob", "", ""); err != nil || u.ID != 3 {
		t.Fatalf("after a restart: %+v, %v", u, err)
	}
}

func TestNoNewKeysAreMadeForNamesThatHaveSome(t *testing.T) {
	for name, c := range map[string]struct {
		remove []string
		starts bool
		says   string
	}{
		"all is there":                 {nil, true, ""},
		"no keys at all":               {[]string{"keys/master.key", "keys/keys"}, false, "there are names in"},
		"no keys and no names":         {[]string{"keys/master.key", "keys/keys", "user.db", "user.heads"}, true, ""},
		"the master key alone is gone": {[]string{"keys/master.key"}, false, "there are keys wrapped by it"},
	} {
		t.Run(name, func(t *testing.T) {
			data := filled(t)
			for _, file := range c.remove {
				if err := os.Remove(filepath.Join(data, file)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := tryStart(t, data)
			if c.starts != (err == nil) {
				t.Fatalf("it says %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("it says %v", err)
			}
			if _, err := os.Stat(filepath.Join(data, "keys", "master.key")); !c.starts && err == nil {
				t.Fatal("a new master key is in the way of the old one")
			}
		})
	}
}

func TestALogAloneIsBackedUpAndRestoredBesideTheOther(t *testing.T) {
	data := filled(t)
	base := t.TempDir()
	to := filepath.Join(base, "to")
	for _, log := range []string{"user", "friend"} {
		file := filepath.Join(base, log)
		if said, code := command(t, "events", "backup", file, "--data", data, "--log", log); code != 0 || strings.Count(said, "of log") != 1 {
			t.Fatal(said)
		}
		if said, code := command(t, "events", "restore", file, "--data", to); code != 0 {
			t.Fatal(said)
		}
		if said, code := command(t, "events", "restore", file, "--data", to); code == 0 || !strings.Contains(said, log+".db is there already") {
			t.Fatalf("twice: %s", said)
		}
	}
	if got := strings.Join(tailed(t, to), ","); got != "user 1,user 2,user 3,user 4,friend 1,friend 2,friend 3" {
		t.Fatalf("it holds %s", got)
	}
}

func TestShowAndTailFollowANameThroughItsErasure(t *testing.T) {
	data := filled(t)
	shown := func() string {
		t.Helper()
		said, code := command(t, "events", "show", "user-2", "--data", data, "--output", "text")
		if code != 0 {
			t.Fatal(said)
		}
		return said
	}
	if said := shown(); !strings.Contains(said, "Bob Builder") || !strings.Contains(said, `"firstName":"Bobby"`) {
		t.Fatal(said)
	}
	s, err := openStorage(t.Context(), data, discardLog())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.keys.Destroy(t.Context(), 2), s.close()); err != nil {
		t.Fatal(err)
	}
	if said := shown(); strings.Contains(said, "Bob") || strings.Count(said, "(erased)") != 2 {
		t.Fatal(said)
	}
	said, code := command(t, "events", "tail", "--data", data, "--log", "user")
	if code != 0 || strings.Contains(said, "Bob") || !strings.Contains(said, "Lovelace") {
		t.Fatal(said)
	}
	if err := os.RemoveAll(filepath.Join(data, "keys")); err != nil {
		t.Fatal(err)
	}
	if said := shown(); strings.Contains(said, "Bob") || strings.Count(said, "(sealed)") != 2 {
		t.Fatal(said)
	}
}

func TestVerifyGoesOnWithTheOtherLogWhenOneIsDamaged(t *testing.T) {
	for name, c := range map[string]struct{ log, script, well string }{
		"users":       {"user", "UPDATE events SET time = 0 WHERE position = 2", "friend: 3 events in 2 streams"},
		"friendships": {"friend", "DELETE FROM commits WHERE first = 2", "user: 4 events in 3 streams"},
	} {
		t.Run(name, func(t *testing.T) {
			data := filled(t)
			change(t, filepath.Join(data, c.log+".db"), c.script)
			said, code := command(t, "events", "verify", "--data", data)
			if code != 1 || !strings.Contains(said, "verify "+c.log+": ") || !strings.Contains(said, c.well) {
				t.Fatalf("it ends with %d and says %s", code, said)
			}
			if strings.Contains(said, "graph:") {
				t.Fatal("a graph was made of a damaged log")
			}
		})
	}
}
