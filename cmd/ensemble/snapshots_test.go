package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/chaos"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
)

// loaded is what a start says that begins with a snapshot, refused what it says of one
// that can't be used.
const (
	loaded  = "the graph was loaded from a snapshot"
	refused = "a snapshot of the graph was refused"
)

// everybody asks for all recommendations and shared friends of people up to an id.
func everybody(t *testing.T, c *client.Client, people int64) string {
	t.Helper()
	var said strings.Builder
	for id := int64(1); id <= people; id++ {
		list, err := c.RecommendBy(t.Context(), id, client.Query{Explain: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			fmt.Fprintf(&said, "%d: %d %s %d %v; ", id, r.User.ID, r.User.FirstName, r.Weight, r.MutualFriends)
		}
		mutual, err := c.Mutual(t.Context(), id, id%people+1)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range mutual {
			fmt.Fprintf(&said, "%d and the next: %d %s; ", id, u.ID, u.FirstName)
		}
	}
	return said.String()
}

// circleOf makes n people, in a circle of friends.
func circleOf(t *testing.T, c *client.Client, n int64) {
	t.Helper()
	for id := int64(1); id <= n; id++ {
		if _, _, err := c.CreateUser(t.Context(), fmt.Sprint("Person-", id), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	for id := int64(1); id <= n; id++ {
		if _, _, err := c.AddFriend(t.Context(), id, id%n+1, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// settled returns a folder with people in a circle, two snapshots of them, and what was
// answered last: in the older one a friendship is missing.
func settled(t *testing.T) (data, answers string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	circleOf(t, r.client(), 6)
	r.end()
	r = start(t, data)
	_, a, err := r.client().AddFriend(t.Context(), 1, 4, "")
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := r.get("/recommendation/v1/users/1/commands/recommendFriends", "Min-Event-Position", a.EventPosition); status != http.StatusOK {
		t.Fatal(body)
	}
	answers = everybody(t, r.client(), 6)
	if code := r.end(); code != 0 {
		t.Fatalf("it ended with %d: %s", code, r.stderr)
	}
	if found := (&snapshotFolder{dir: filepath.Join(data, snapshotDir)}).find(); len(found) != 2 || found[0].meta.Number != 2 || found[1].meta.Number != 1 {
		t.Fatalf("the snapshots are %+v", found)
	}
	return data, answers
}

// newest returns the newest snapshot of a folder.
func newest(t *testing.T, data string) foundSnapshot {
	t.Helper()
	found := (&snapshotFolder{dir: filepath.Join(data, snapshotDir)}).find()
	if len(found) == 0 || found[0].err != nil {
		t.Fatalf("there is no newest snapshot in %+v", found)
	}
	return found[0]
}

// TestAStartGoesOnFromTheSnapshotOfTheStop: the answers are the same, positions are those
// that were reached, and what comes afterwards is seen.
func TestAStartGoesOnFromTheSnapshotOfTheStop(t *testing.T) {
	data, want := settled(t)
	for path, mode := range map[string]os.FileMode{"": 0o700 | os.ModeDir, "1.snapshot": 0o600, "2.snapshot": 0o600} {
		if info, err := os.Stat(filepath.Join(data, snapshotDir, path)); err != nil || info.Mode() != mode {
			t.Errorf("%s has the mode %v, %v", path, info.Mode(), err)
		}
	}
	r := start(t, data, "--log-level", "info")
	if said := r.stderr.String(); !strings.Contains(said, loaded) || strings.Contains(said, refused) {
		t.Fatalf("it says %s", said)
	}
	if got := everybody(t, r.client(), 6); got != want {
		t.Fatalf("before %s\nafter %s", want, got)
	}
	_, header, _ := r.get("/recommendation/v1/users/1/commands/recommendFriends")
	if at := header.Get("Projection-Position"); at != "user:6, friend:7" {
		t.Errorf("it has reached %s", at)
	}
	_, a, err := r.client().AddFriend(t.Context(), 2, 5, "")
	if err != nil {
		t.Fatal(err)
	}
	status, header, body := r.get("/recommendation/v1/users/3/commands/recommendFriends", "Min-Event-Position", a.EventPosition)
	if status != http.StatusOK || header.Get("Projection-Position") != "user:6, friend:8" || !strings.Contains(body, "Person-5") {
		t.Errorf("after a new friendship: %d %v %s", status, header, body)
	}
	if code := r.end(); code != 0 {
		t.Errorf("it ended with %d: %s", code, r.stderr)
	}
	verified(t, data)
}

// TestAStopWithoutAnythingNewWritesNoSnapshot: the file would be the same.
func TestAStopWithoutAnythingNewWritesNoSnapshot(t *testing.T) {
	data, _ := settled(t)
	before := newest(t, data)
	start(t, data).end()
	if after := newest(t, data); after.meta.Number != before.meta.Number {
		t.Errorf("it wrote number %d after %d", after.meta.Number, before.meta.Number)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	start(t, empty).end()
	if found := (&snapshotFolder{dir: filepath.Join(empty, snapshotDir)}).find(); len(found) > 0 {
		t.Errorf("of nobody it wrote %+v", found)
	}
}

// TestASnapshotThatCanNotBeUsedIsRefusedWithOneLine: the one before it is used, and if
// that can't be either, the graph is made from the logs. Nobody who asks notices.
func TestASnapshotThatCanNotBeUsedIsRefusedWithOneLine(t *testing.T) {
	data, want := settled(t)
	putBack := keep(t, data, snapshotDir)
	for name, spoil := range map[string]func([]byte) []byte{
		"a bit of the head":   func(b []byte) []byte { b[20] ^= 1; return b },
		"a bit of the middle": func(b []byte) []byte { b[len(b)/2] ^= 0x40; return b },
		"a bit of the end":    func(b []byte) []byte { b[len(b)-20] ^= 4; return b },
		"the tail":            func(b []byte) []byte { return b[:len(b)-1] },
		"the second half":     func(b []byte) []byte { return b[:len(b)/2] },
		"all":                 func([]byte) []byte { return nil },
		"the version":         func(b []byte) []byte { b[7] = '2'; return b },
		"another file":        func([]byte) []byte { return bytes.Repeat([]byte("no snapshot "), 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, both := range []bool{false, true} {
				putBack()
				files := []string{newest(t, data).path}
				if both {
					files = []string{filepath.Join(data, snapshotDir, "1.snapshot"), filepath.Join(data, snapshotDir, "2.snapshot")}
				}
				for _, path := range files {
					alter(t, path, spoil)
				}
				r := start(t, data, "--log-level", "info")
				said := r.stderr.String()
				if strings.Count(said, refused) != len(files) || strings.Contains(said, loaded) == both {
					t.Errorf("of %d it says %s", len(files), said)
				}
				for _, path := range files {
					if !strings.Contains(said, path) {
						t.Errorf("it does not name %s: %s", path, said)
					}
				}
				if got := everybody(t, r.client(), 6); got != want {
					t.Errorf("it answers %s\nnot %s", got, want)
				}
				r.end()
			}
		})
	}
}

// TestAFolderInThePlaceOfASnapshotIsSurvived, also when the next one is to be written.
func TestAFolderInThePlaceOfASnapshotIsSurvived(t *testing.T) {
	data, want := settled(t)
	path := newest(t, data).path
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	r := start(t, data)
	if got := everybody(t, r.client(), 6); got != want {
		t.Errorf("it answers %s\nnot %s", got, want)
	}
	if _, _, err := r.client().AddFriend(t.Context(), 2, 5, ""); err != nil {
		t.Fatal(err)
	}
	if code := r.end(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if said := r.stderr.String(); !strings.Contains(said, "it is no file") || !strings.Contains(said, "no snapshot of the graph could be written") {
		t.Errorf("it says %s", said)
	}
}

// TestASnapshotOfALogThatWasLostIsRefusedAndDeleted: a restored log goes on under another
// name, at positions that the lost one had too.
func TestASnapshotOfALogThatWasLostIsRefusedAndDeleted(t *testing.T) {
	data, _ := settled(t)
	base := t.TempDir()
	file, to := filepath.Join(base, "backup"), filepath.Join(base, "restored")
	if said, code := command(t, "events", "backup", file, "--data", data); code != 0 {
		t.Fatal(said)
	}
	r := start(t, data)
	for _, pair := range [][2]int64{{2, 5}, {3, 6}, {2, 6}} {
		if _, _, err := r.client().AddFriend(t.Context(), pair[0], pair[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	r.end()
	lost := os.DirFS(filepath.Join(data, snapshotDir))
	// Before the restore, they are of no log that is there: it deletes them.
	if err := errors.Join(os.CopyFS(filepath.Join(to, snapshotDir), lost), os.CopyFS(filepath.Join(to, "keys"), os.DirFS(filepath.Join(data, "keys")))); err != nil {
		t.Fatal(err)
	}
	if said, code := command(t, "events", "restore", file, "--data", to); code != 0 {
		t.Fatal(said)
	}
	if left, err := os.ReadDir(filepath.Join(to, snapshotDir)); err != nil || len(left) > 0 {
		t.Errorf("the restore leaves %v, %v", left, err)
	}
	r = start(t, to)
	want := everybody(t, r.client(), 6)
	r.end()
	for _, more := range []int{0, 2} { // the restored log ends before theirs, or goes on beyond it
		r := start(t, to)
		for n := range more {
			if _, err := r.client().RemoveFriend(t.Context(), int64(n+1), int64(n+2), ""); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.client().AddFriend(t.Context(), int64(n+1), int64(n+2), ""); err != nil {
				t.Fatal(err)
			}
		}
		r.end()
		if err := errors.Join(os.RemoveAll(filepath.Join(to, snapshotDir)), os.CopyFS(filepath.Join(to, snapshotDir), lost)); err != nil {
			t.Fatal(err)
		}
		theirs := newest(t, to)
		r = start(t, to, "--log-level", "info")
		if said := r.stderr.String(); !strings.Contains(said, refused) || !strings.Contains(said, recommendation.ErrOtherLog.Error()) {
			t.Errorf("with %d more it says %s", more, said)
		}
		if _, err := os.Stat(theirs.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it keeps %s: %v", theirs.path, err)
		}
		if got := everybody(t, r.client(), 6); got != want {
			t.Errorf("it answers %s\nnot %s", got, want)
		}
		r.end()
		verified(t, to)
	}
}

// TestAnOlderCopyOfALogIsToldFromTheLogThatWasThere though it has the same name, also when
// it has grown past the snapshot: event by event it is another one.
func TestAnOlderCopyOfALogIsToldFromTheLogThatWasThere(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	circleOf(t, r.client(), 6)
	r.end()
	var putBack []func()
	for _, name := range []string{"friend.db", "friend.heads"} {
		putBack = append(putBack, keep(t, data, name))
	}
	r = start(t, data)
	if _, _, err := r.client().AddFriend(t.Context(), 1, 4, ""); err != nil {
		t.Fatal(err)
	}
	r.end()
	theirs := keep(t, data, snapshotDir)
	for _, f := range putBack {
		f()
	}
	r = start(t, data)
	for _, pair := range [][2]int64{{2, 5}, {3, 6}} {
		if _, _, err := r.client().AddFriend(t.Context(), pair[0], pair[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	r.end()
	r = start(t, data)
	want := everybody(t, r.client(), 6)
	r.end()
	theirs()
	r = start(t, data, "--log-level", "info")
	if said := r.stderr.String(); strings.Count(said, refused) != 1 || !strings.Contains(said, "event 7 of the log of friends is another one") ||
		!strings.Contains(said, loaded) {
		t.Errorf("it says %s", said) // the one before is of what both have
	}
	if got := everybody(t, r.client(), 6); got != want {
		t.Errorf("it answers %s\nnot %s", got, want)
	}
}

// TestWhoIsErasedAfterTheSnapshotIsNotInTheStart that goes on from it, though the event
// that says so comes after it in the log.
func TestWhoIsErasedAfterTheSnapshotIsNotInTheStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	befriend(t, r.client(), canary, 5)
	r.end()
	putBack := keep(t, data, snapshotDir)
	r = start(t, data)
	for _, id := range []int64{1, 3} {
		if _, err := r.client().Erase(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		erasedForGood(t, r.client(), id)
	}
	r.end()
	putBack()
	s, err := openSystem(t.Context(), data, discardLog()) // it follows nothing yet
	if err != nil {
		t.Fatal(err)
	}
	if at := s.users.Position(); at != 5 {
		t.Errorf("it did not begin with the snapshot of position 5, but at %d", at)
	}
	for id := int64(1); id <= 5; id++ {
		for c, err := range s.recommendations.Recommend(t.Context(), id, recommendation.Query{}) {
			t.Errorf("without 1 nobody shares a friend, but for %d there is %+v, %v", id, c, err)
		}
	}
	if stats := s.recommendations.Live().(*memory.Backend).Stats(); stats.People != 3 || stats.Erased != 2 {
		t.Errorf("it has %+v", stats)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if files := filesWith(t, data, canary); len(files) > 0 {
		t.Errorf("the name is in %v", files)
	}
	r = start(t, data)
	isGone(t, r.client(), 1)
	isGone(t, r.client(), 3)
	verified(t, data)
}

// TestASnapshotFarBehindIsMadeUpFor: one that was written while the system served, and
// many events later.
func TestASnapshotFarBehindIsMadeUpFor(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data, "--snapshot-every", "10ms")
	const people = 12
	circleOf(t, r.client(), people)
	c := r.client()
	again := func() { // the same friendships end and begin, so that each replay goes through both
		for id := int64(1); id <= people; id++ {
			if _, err := c.RemoveFriend(t.Context(), id, id%people+1, ""); err != nil {
				t.Fatal(err)
			}
			if id%5 == 0 {
				continue
			}
			if _, _, err := c.AddFriend(t.Context(), id%people+1, id, ""); err != nil {
				t.Fatal(err)
			}
		}
		for id := int64(5); id <= people; id += 5 {
			if _, _, err := c.AddFriend(t.Context(), id, id%people+1, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	for len((&snapshotFolder{dir: filepath.Join(data, snapshotDir)}).find()) == 0 {
		again()
	}
	written := newest(t, data)
	if events := written.meta.Logs[0].Position + written.meta.Logs[1].Position; events < leastEvents {
		t.Errorf("it was written after %d events", events)
	}
	putBack := keep(t, data, snapshotDir)
	for range 20 {
		again()
	}
	if _, err := c.RemoveFriend(t.Context(), 1, 2, ""); err != nil {
		t.Fatal(err)
	}
	r.end()
	putBack()
	r = start(t, data, "--log-level", "info")
	if !strings.Contains(r.stderr.String(), loaded) {
		t.Errorf("it says %s", r.stderr)
	}
	got := everybody(t, r.client(), people)
	r.end()
	if err := os.RemoveAll(filepath.Join(data, snapshotDir)); err != nil {
		t.Fatal(err)
	}
	if want := everybody(t, start(t, data).client(), people); got != want || got == "" {
		t.Fatalf("from a snapshot %s\nfrom the logs %s", got, want)
	}
}

// TestACrashAtEachStepOfWritingASnapshot: the process kills itself there, in the stop that
// writes it. The snapshots that were there before are there, or the new one.
func TestACrashAtEachStepOfWritingASnapshot(t *testing.T) {
	binary := buildBinary(t, "ensemble_crash")
	for _, step := range []string{
		"before the snapshot", "halfway through the snapshot", "before the snapshot has its name", "after the snapshot has its name",
	} {
		t.Run(step, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			p := &chaos.Process{Binary: binary, Data: data, Dir: t.TempDir(), Env: []string{"ENSEMBLE_CRASH_AT=" + step}}
			use := func(do func(c *client.Client)) {
				address, err := p.Start(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				transport := client.Transport(4)
				defer transport.CloseIdleConnections()
				do(client.New("http://"+address, &http.Client{Transport: transport, Timeout: time.Minute}))
				_ = p.Stop()
			}
			use(func(c *client.Client) { circleOf(t, c, 6) }) // no snapshot before
			use(func(c *client.Client) {
				if _, _, err := c.AddFriend(t.Context(), 1, 4, ""); err != nil {
					t.Fatal(err)
				}
			})
			verified(t, data)
			for _, path := range filesIn(t, filepath.Join(data, snapshotDir)) {
				if filepath.Base(path) == "new.snapshot" {
					continue
				}
				if _, err := readSnapshotMeta(path); err != nil {
					t.Errorf("%s got its name and is %v", path, err)
				}
			}
			r := start(t, data)
			with := everybody(t, r.client(), 6)
			if _, _, err := r.client().AddFriend(t.Context(), 2, 5, ""); err != nil {
				t.Fatal(err)
			}
			r.end()
			if said := r.stderr.String(); strings.Contains(said, refused) {
				t.Errorf("it says %s", said)
			}
			if files := filesIn(t, filepath.Join(data, snapshotDir)); slices.ContainsFunc(files, func(f string) bool { return strings.HasSuffix(f, "new.snapshot") }) {
				t.Errorf("what the crash has left is still there: %v", files)
			}
			if newest(t, data).meta.Logs[1].Position != 8 {
				t.Errorf("the newest is %+v", newest(t, data).meta)
			}
			if !strings.Contains(with, "1: 3 Person-3") || !strings.Contains(with, "1: 5 Person-5 2 [4 6]") {
				t.Errorf("it answers %s", with)
			}
		})
	}
}

// filesIn lists the files of a folder, which need not be there.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestWhenNoSnapshotCanBeWrittenServingGoesOn: it is said once, however often it is tried,
// and one is written as soon as it can be.
func TestWhenNoSnapshotCanBeWrittenServingGoesOn(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s, log, _ := aside(t, data)
	in := filepath.Join(data, snapshotDir)
	if err := os.WriteFile(in, nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	for range 3 {
		s.snapshots.save(t.Context(), 0)
	}
	if said := log.String(); strings.Count(said, "no snapshot of the graph could be written") != 1 {
		t.Errorf("it says %s", said)
	}
	if err := os.Remove(in); err != nil {
		t.Fatal(err)
	}
	s.snapshots.save(t.Context(), 0)
	if n := newest(t, data); n.meta.Number != 1 {
		t.Errorf("the first is number %d", n.meta.Number)
	}
	if s.snapshots.behind() != 0 || s.snapshots.wrote.Load() == 0 {
		t.Errorf("%d events came since, and writing took %d ns", s.snapshots.behind(), s.snapshots.wrote.Load())
	}
	if err := errors.Join(os.RemoveAll(in), os.WriteFile(in, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.snapshots.save(t.Context(), 0)
	if said := log.String(); strings.Count(said, "no snapshot of the graph could be written") != 2 {
		t.Errorf("the second time it says %s", said)
	}
}

// aside returns a system that follows nothing and serves nobody, what it logs, and how
// to close it before the test ends.
func aside(t *testing.T, data string) (s *system, log *lockedBuffer, done func()) {
	t.Helper()
	log = new(lockedBuffer)
	s, err := openSystem(t.Context(), data, logTo(log))
	if err != nil {
		t.Fatal(err)
	}
	done = sync.OnceFunc(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(done)
	return s, log, done
}

// TestWritingASnapshotEndsWithItsContextAndLeavesNothing half.
func TestWritingASnapshotEndsWithItsContextAndLeavesNothing(t *testing.T) {
	data, _ := settled(t)
	s, log, _ := aside(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	before := filesIn(t, s.snapshots.folder.dir)
	cancel()
	s.snapshots.save(ctx, 0)
	if after := filesIn(t, s.snapshots.folder.dir); !slices.Equal(after, before) || strings.Contains(log.String(), "could be written") {
		t.Errorf("%v became %v, and it says %s", before, after, log)
	}
	found := newest(t, data)
	if _, err := s.snapshots.read(ctx, found); !errors.Is(err, context.Canceled) {
		t.Errorf("reading goes on: %v", err)
	}
	if _, _, err := s.snapshots.load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a start that is stopped goes on without a snapshot: %v", err)
	}
	if _, err := os.Stat(found.path); err != nil || strings.Contains(log.String(), refused) {
		t.Errorf("a start that is stopped refuses the snapshot: %v, %s", err, log)
	}
	// Somebody else's context ends while it waits for the next time.
	ended := make(chan struct{})
	go func() { s.snapshots.run(ctx, time.Hour); close(ended) }()
	<-ended
}

// TestSnapshotsTakeTurns: the older one is replaced, never the newest that is good.
func TestSnapshotsTakeTurns(t *testing.T) {
	data, _ := settled(t)
	s, _, done := aside(t, data)
	for want := int64(3); want < 7; want++ {
		before := newest(t, data)
		s.snapshots.save(t.Context(), 0)
		after := newest(t, data)
		if after.meta.Number != want || after.path == before.path {
			t.Fatalf("number %d was written to %s, over %s", after.meta.Number, after.path, before.path)
		}
	}
	// The newest turns out to be damaged: it is the next to be replaced.
	bad := newest(t, data)
	alter(t, bad.path, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	done()
	s, _, _ = aside(t, data)
	s.snapshots.save(t.Context(), 0)
	if after := newest(t, data); after.path != bad.path || after.meta.Number <= bad.meta.Number {
		t.Fatalf("number %d was written to %s, and %s is damaged", after.meta.Number, after.path, bad.path)
	}
}

// lie writes a snapshot with the right positions of a graph that knows nobody.
func lie(t *testing.T, data string) {
	t.Helper()
	s, _, done := aside(t, data)
	s.snapshots.service = recommendation.New(memory.New(), s.storage.keys)
	for range slots {
		s.snapshots.save(t.Context(), 0)
	}
	done()
}

// TestARebuildIsNotFollowedByASnapshotOfTheOldGraph: whoever doubts a graph, and here is
// right to do so, gets one from the logs, and after the next start too.
func TestARebuildIsNotFollowedByASnapshotOfTheOldGraph(t *testing.T) {
	data, want := settled(t)
	putBack := keep(t, data, snapshotDir)
	for _, how := range []string{"while it serves", "while nothing runs"} {
		putBack()
		lie(t, data)
		said, code := command(t, "events", "verify", "--data", data)
		if code != 1 || !strings.Contains(said, "people") || !strings.Contains(said, filepath.Join(snapshotDir, "2.snapshot")) {
			t.Errorf("verify ends with %d and says %s", code, said)
		}
		r := start(t, data)
		if got := everybody(t, r.client(), 6); got == want {
			t.Fatal("a snapshot that is wrong is not believed; this test shows nothing")
		}
		if how == "while it serves" {
			if said, code := command(t, "rebuild", "recommendation", "--admin", "http://"+r.admin); code != 0 {
				t.Fatal(said)
			}
			if got := everybody(t, r.client(), 6); got != want {
				t.Errorf("rebuilt it answers %s\nnot %s", got, want)
			}
			if files := filesIn(t, filepath.Join(data, snapshotDir)); len(files) != 1 {
				t.Errorf("beside the one of the new graph there are %v", files)
			}
		}
		r.end()
		if how == "while nothing runs" {
			if said, code := command(t, "rebuild", "friends", "--data", data); code != 0 || len(filesIn(t, filepath.Join(data, snapshotDir))) != 2 {
				t.Errorf("a rebuild of a table: %s", said)
			}
			if said, code := command(t, "rebuild", "--data", data); code != 0 || len(filesIn(t, filepath.Join(data, snapshotDir))) != 0 {
				t.Errorf("%s, and %v is left", said, filesIn(t, filepath.Join(data, snapshotDir)))
			}
		}
		r = start(t, data)
		if got := everybody(t, r.client(), 6); got != want {
			t.Errorf("rebuilt %s it answers %s\nnot %s", how, got, want)
		}
		r.end()
		verified(t, data)
	}
}

// TestARebuildThatFailsLeavesNoSnapshotAndTheNextIsWritten: nothing is written while it is
// under way.
func TestARebuildThatFailsLeavesNoSnapshotAndTheNextIsWritten(t *testing.T) {
	data, _ := settled(t)
	s, _, _ := aside(t, data)
	failure := errors.New("no room")
	err := s.snapshots.doubt(t.Context(), func() error {
		s.snapshots.save(t.Context(), 0)
		if files := filesIn(t, s.snapshots.folder.dir); len(files) > 0 {
			t.Errorf("in the middle of a rebuild there are %v", files)
		}
		return failure
	})
	if !errors.Is(err, failure) || len(filesIn(t, s.snapshots.folder.dir)) > 0 {
		t.Errorf("%v, and %v", err, filesIn(t, s.snapshots.folder.dir))
	}
	s.snapshots.save(t.Context(), 1)
	if newest(t, data).meta.Number != 3 {
		t.Errorf("the next is %+v", newest(t, data).meta)
	}
}

// TestVerifyChecksSnapshots: those that are damaged end it with 1 and what to do, those of
// another log are only mentioned.
func TestVerifyChecksSnapshots(t *testing.T) {
	data, _ := settled(t)
	said, code := command(t, "events", "verify", "--data", data)
	for _, want := range []string{"2.snapshot: with the events after user:6 and friend:7", "1.snapshot: with the events after user:6 and friend:6"} {
		if code != 0 || !strings.Contains(said, want+" it is the same graph") {
			t.Errorf("it ends with %d and says %s", code, said)
		}
	}
	r := start(t, data) // also while it runs
	verified(t, data)
	r.end()
	alter(t, newest(t, data).path, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	if said, code := command(t, "events", "verify", "--data", data); code != 1 || !strings.Contains(said, "2.snapshot: not a usable snapshot") ||
		!strings.Contains(said, "delete it") || !strings.Contains(said, "1.snapshot: with the events") {
		t.Errorf("damaged: it ends with %d and says %s", code, said)
	}
	other, _ := settled(t)
	if err := errors.Join(os.RemoveAll(filepath.Join(data, snapshotDir)), os.Rename(filepath.Join(other, snapshotDir), filepath.Join(data, snapshotDir))); err != nil {
		t.Fatal(err)
	}
	if said, code := command(t, "events", "verify", "--data", data); code != 0 || strings.Count(said, "will not be used: it is about another log") != 2 {
		t.Errorf("of another folder: it ends with %d and says %s", code, said)
	}
}

// TestAForeignMetaIsRefused before anything is made of it.
func TestAForeignMetaIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":   "unexpected end of JSON",
		"{}": "about 0 logs",
		`{"logs":[{"log":"friend"},{"log":"user"}]}`:                 "others than users and friends",
		`{"logs":[{"log":"user","position":-1},{"log":"friend"}]}`:   "others than users and friends",
		`{"logs":[{"log":"user"},{"log":"friend"},{"log":"third"}]}`: "about 3 logs",
	} {
		if m, err := recommendation.DecodeMeta([]byte(text), "user", friend.Category); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v", text, m, err)
		}
	}
	m := recommendation.Meta{Number: 7, Written: time.Now().UTC(), Logs: []recommendation.Origin{
		{Log: "user", UUID: "00", Position: 1, Event: "ff"}, {Log: "friend", Position: eventstore.Position(9)},
	}}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := recommendation.DecodeMeta(text, "user", "friend")
	if err != nil || !json.Valid(text) || again.Logs[0] != m.Logs[0] || again.Logs[1] != m.Logs[1] || again.Number != 7 {
		t.Errorf("%s became %+v, %v", text, again, err)
	}
}
