package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ensemble/client"
)

// town is what a folder should hold: the plain truth beside it.
type town struct {
	names   []string           // by id - 1; "" is somebody erased
	rows    map[int64][2]int64 // friendships that there are, by row
	lastRow int64
}

// copied returns the town as it is now.
func (w *town) copied() *town {
	c := *w
	c.names, c.rows = slices.Clone(w.names), maps.Clone(w.rows)
	return &c
}

// erase forgets somebody.
func (w *town) erase(id int64) {
	w.names[id-1] = ""
	maps.DeleteFunc(w.rows, func(_ int64, pair [2]int64) bool { return pair[0] == id || pair[1] == id })
}

// pairOf returns two people whatever the order they are named in: each of them sees the
// friendship from their side.
func pairOf(a, b int64) [2]int64 { return [2]int64{min(a, b), max(a, b)} }

// saved is a backup of the logs, with the town of that moment.
type saved struct {
	file string
	town *town
}

// orders draws commands on one folder and on those restored from it.
type orders struct {
	t     *testing.T
	rnd   *rand.Rand
	base  string
	data  string
	n     int // of files and folders so far
	town  *town
	saved []saved
	done  []string
}

// fresh returns a path that was not used before.
func (o *orders) fresh(name string) string {
	o.n++
	return filepath.Join(o.base, fmt.Sprint(name, o.n))
}

// must runs a command that has to succeed.
func (o *orders) must(args ...string) string {
	o.t.Helper()
	said, code := command(o.t, args...)
	if code != 0 {
		o.t.Fatalf("%v ends with %d: %s", args, code, said)
	}
	return said
}

// use starts a system, has people do things, compares, and stops it.
func (o *orders) use() {
	r := start(o.t, o.data)
	c := r.client()
	o.compare(r, c)
	for range 3 + o.rnd.IntN(8) {
		o.act(c)
	}
	o.compare(r, c)
	if code := r.end(); code != 0 {
		o.t.Fatalf("stopping ended with %d: %s", code, r.stderr)
	}
}

// act does one thing through the gateway, and in the town.
func (o *orders) act(c *client.Client) {
	o.t.Helper()
	ctx := o.t.Context()
	name := fmt.Sprintf("name %d", o.rnd.Uint32())
	kind, id := o.rnd.IntN(10), int64(0)
	if len(o.town.names) > 0 {
		id = 1 + o.rnd.Int64N(int64(len(o.town.names)))
	}
	var err error
	switch {
	case id == 0 || kind < 3:
		u, _, e := c.CreateUser(ctx, name, "", "")
		o.town.names = append(o.town.names, name)
		if err = e; err == nil && u.ID != int64(len(o.town.names)) {
			o.t.Fatalf("the next user is %d, not %d", u.ID, len(o.town.names))
		}
	case o.town.names[id-1] == "":
		isGone(o.t, c, id)
	case kind == 3:
		_, _, err = c.Rename(ctx, id, name, "")
		o.town.names[id-1] = name
	case kind == 4:
		if _, err = c.Erase(ctx, id); err == nil {
			erasedForGood(o.t, c, id)
		}
		o.town.erase(id)
	default:
		err = o.befriendOrPart(c, id)
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// befriendOrPart makes somebody a friend of somebody else, or ends that.
func (o *orders) befriendOrPart(c *client.Client, id int64) error {
	other := 1 + o.rnd.Int64N(int64(len(o.town.names)))
	if other == id || o.town.names[other-1] == "" {
		return nil
	}
	for row, pair := range o.town.rows {
		if pair == pairOf(id, other) {
			delete(o.town.rows, row)
			_, err := c.RemoveFriend(o.t.Context(), id, other, "")
			return err
		}
	}
	f, _, err := c.AddFriend(o.t.Context(), id, other, "")
	o.town.lastRow++
	if err == nil && f.ID != o.town.lastRow {
		o.t.Fatalf("the next friendship is %d, not %d", f.ID, o.town.lastRow)
	}
	o.town.rows[f.ID] = pairOf(id, other)
	return err
}

// compare asks for everybody and everything.
func (o *orders) compare(r *running, c *client.Client) {
	o.t.Helper()
	got := map[int64][2]int64{}
	for i, name := range o.town.names { // first: somebody's friendships end with the last of them
		if name == "" {
			erasedForGood(o.t, c, int64(i+1))
			isGone(o.t, c, int64(i+1))
		}
	}
	for i, name := range o.town.names {
		id := int64(i + 1)
		if name == "" {
			continue
		}
		u, _, err := c.User(o.t.Context(), id)
		if err != nil || u.FirstName != name {
			o.t.Fatalf("user %d should be %q: %+v, %v", id, name, u, err)
		}
		friends, err := c.Friends(o.t.Context(), id)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, f := range friends {
			got[f.ID] = pairOf(f.UserID, f.FriendID)
		}
	}
	if !maps.Equal(got, o.town.rows) {
		o.t.Fatalf("the friendships are %v, not %v", got, o.town.rows)
	}
	o.compareRecommendations(r, c)
	if status, _, body := r.get(fmt.Sprintf("/user/v1/users/%d", len(o.town.names)+1)); status != http.StatusNotFound {
		o.t.Fatalf("who is not there yet is answered %d %s", status, body)
	}
}

// compareRecommendations holds what everybody is recommended against brute force over the
// town, once the graph has seen all there is.
func (o *orders) compareRecommendations(r *running, c *client.Client) {
	o.t.Helper()
	_, users, _ := r.get("/user/v1/events")
	_, friends, _ := r.get("/friend/v1/events")
	all := users.Get("Event-Position") + ", " + friends.Get("Event-Position")
	if status, _, body := r.get("/recommendation/v1/users/1/commands/recommendFriends", "Min-Event-Position", all); status != http.StatusOK {
		o.t.Fatalf("after %s: %d %s", all, status, body)
	}
	near := map[int64][]int64{}
	for _, pair := range o.town.rows {
		near[pair[0]], near[pair[1]] = append(near[pair[0]], pair[1]), append(near[pair[1]], pair[0])
	}
	for id := int64(1); id <= int64(len(o.town.names)); id++ {
		want := map[int64]int{}
		for _, friend := range near[id] {
			for _, other := range near[friend] {
				if other != id && !slices.Contains(near[id], other) {
					want[other]++
				}
			}
		}
		list, err := c.Recommend(o.t.Context(), id, 0)
		if err != nil {
			o.t.Fatal(err)
		}
		got := map[int64]int{}
		for _, r := range list {
			got[r.User.ID] = r.Weight
			if r.User.FirstName != o.town.names[r.User.ID-1] {
				o.t.Fatalf("%d is told of %+v, who is called %q", id, r.User, o.town.names[r.User.ID-1])
			}
		}
		if !maps.Equal(got, want) {
			o.t.Fatalf("%d is recommended %v, not %v", id, got, want)
		}
	}
}

// backup copies the logs out.
func (o *orders) backup() {
	file := o.fresh("logs")
	o.must("events", "backup", file, "--data", o.data)
	o.saved = append(o.saved, saved{file, o.town.copied()})
}

// restore goes on in a folder made from any earlier backup, with the keys as they are
// now. Who was erased since is in that backup, but their keys are not: they are erased
// again.
func (o *orders) restore() {
	if len(o.saved) == 0 {
		return
	}
	from := o.saved[o.rnd.IntN(len(o.saved))]
	to := o.fresh("data")
	keys := o.fresh("keys")
	o.must("keys", "backup", keys, "--data", o.data)
	o.must("events", "restore", from.file, "--data", to)
	if said, code := command(o.t, "up", "--data", to, "--edge-addr", "127.0.0.1:0"); code == 0 {
		o.t.Fatalf("it starts without keys: %s", said)
	}
	o.must("keys", "restore", keys, "--data", to)
	town := from.town.copied()
	for i, name := range o.town.names {
		if i < len(town.names) && name == "" && town.names[i] != "" {
			town.erase(int64(i + 1))
		}
	}
	o.data, o.town = to, town
	// Backups of other branches may know people of the same number with other keys;
	// what is compared from here on is this branch alone.
	o.saved = []saved{{from.file, town.copied()}}
	o.use() // the read models are made, and the erased are erased
}

// refused runs what has to be refused in any folder, and changes nothing.
func (o *orders) refused() {
	if len(o.saved) == 0 {
		return
	}
	for _, args := range [][]string{
		{"events", "restore", o.saved[0].file, "--data", o.data},
		{"events", "backup", o.saved[0].file, "--data", o.data},
		{"keys", "restore", o.saved[0].file, "--data", o.data},
		{"rebuild", "nothing", "--data", o.data},
	} {
		if said, code := command(o.t, args...); code == 0 {
			o.t.Fatalf("%v is done: %s", args, said)
		}
	}
}

// step does one of the above at random, and verifies.
func (o *orders) step() {
	all := []struct {
		name string
		do   func()
	}{
		{"use", o.use},
		{"use", o.use},
		{"backup", o.backup},
		{"restore", o.restore},
		{"refused", o.refused},
		{"rebuild", func() {
			if said := o.must("rebuild", "--data", o.data); strings.Contains(said, "WRONG") {
				o.t.Fatal(said)
			}
		}},
		{"lose the heads", func() {
			for _, name := range logNames() {
				if err := os.Remove(filepath.Join(o.data, name+".heads")); err != nil && !os.IsNotExist(err) {
					o.t.Fatal(err)
				}
			}
		}},
		{"lose the snapshots", func() {
			if err := os.RemoveAll(filepath.Join(o.data, snapshotDir)); err != nil {
				o.t.Fatal(err)
			}
		}},
		{"older snapshots", func() {
			from, kept := filepath.Join(o.data, snapshotDir), o.fresh("snapshots")
			if err := os.CopyFS(kept, os.DirFS(from)); err != nil && !os.IsNotExist(err) {
				o.t.Fatal(err)
			}
			o.use()
			if err := errors.Join(os.RemoveAll(from), os.MkdirAll(kept, 0o700), os.CopyFS(from, os.DirFS(kept))); err != nil {
				o.t.Fatal(err)
			}
		}},
		{"show", func() { o.must("events", "show", "user-1", "--data", o.data) }},
		{"tail", func() { o.must("events", "tail", "--data", o.data, "-n", "3") }},
	}
	a := all[o.rnd.IntN(len(all))]
	o.done = append(o.done, a.name)
	a.do()
	o.must("events", "verify", "--data", o.data)
}

// TestWhateverTheOrderOfCommandsAFolderVerifiesAndAnswersRight draws orders of running,
// backing up, restoring, rebuilding and looking, on a real folder.
func TestWhateverTheOrderOfCommandsAFolderVerifiesAndAnswersRight(t *testing.T) {
	first := rand.Uint64()
	for n := range uint64(number(t, "ENSEMBLE_ORDERS", 4)) {
		t.Run(fmt.Sprint(first+n), func(t *testing.T) {
			base := t.TempDir()
			o := &orders{
				t: t, rnd: rand.New(rand.NewPCG(first+n, 1)), base: base, data: filepath.Join(base, "data"),
				town: &town{rows: map[int64][2]int64{}},
			}
			defer func() {
				if t.Failed() {
					t.Logf("after: %s", strings.Join(o.done, ", "))
				}
			}()
			o.use()
			o.backup()
			for range 8 {
				o.step()
			}
			o.use()
		})
	}
}
