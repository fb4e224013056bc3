package transfer

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"ensemble/client"
)

// scripted is a target that answers commands as it is told, else as it should.
func scripted(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) *gate {
	t.Helper()
	var next atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if answer(w, r) {
			return
		}
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = fmt.Fprintf(w, `{"id":%d}`, next.Add(1))
	}))
	transport := client.Transport(8)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return &gate{client: client.New(server.URL, &http.Client{Transport: transport})}
}

// problem answers with a problem.
func problem(w http.ResponseWriter, status int, slug string) bool {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"/problems/%s","status":%d,"detail":"it says why"}`, slug, status)
	return true
}

// TestWhatTheTargetSaysOfALine: what is refused for a reason that lies in the line is
// odd, everything else ends the import.
func TestWhatTheTargetSaysOfALine(t *testing.T) {
	for name, c := range map[string]struct {
		path   string // of the command that is refused
		status int
		slug   string
		odd    Reason // "" for none
		before int    // friendships
		ends   bool
	}{
		"a name the target does not take": {"/users", 422, "validation", BadName, 0, false},
		"somebody erased since":           {"/users", 410, "user-erased", Erased, 0, false},
		"a key that came otherwise":       {"/users", 422, "idempotency-key-reused", "", 0, true},
		"no right to":                     {"/users", 403, "forbidden", "", 0, true},
		"friends already":                 {"addFriend", 409, "friendship-exists", "", 1, false},
		"unknown to the target":           {"addFriend", 404, "user-not-found", Unknown, 0, false},
		"erased in the meantime":          {"addFriend", 410, "user-erased", Erased, 0, false},
		"no such route":                   {"addFriend", 404, "not-found", "", 0, true},
		"a key with another pair":         {"addFriend", 422, "idempotency-key-reused", "", 0, true},
	} {
		var once atomic.Bool
		g := scripted(t, func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, c.path) && once.CompareAndSwap(false, true) && problem(w, c.status, c.slug)
		})
		files := network(t, 2) // two people, one friendship
		plan, err := Read(files)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Import(t.Context(), plan, Options{Client: g.client, Workers: 1})
		if (err != nil) != c.ends || r.FriendshipsBefore != c.before {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		got := 0
		for _, odd := range plan.Odd {
			if c.odd != "" {
				got += odd.Of(c.odd)
			}
		}
		if c.odd != "" && got != 1 || c.odd == "" && plan.OddLines() != 0 {
			t.Errorf("%s: %d odd lines, %d of %q", name, plan.OddLines(), got, c.odd)
		}
	}
}

// TestFriendsOfSomebodyWhoWasRefusedAreOdd: they are not asked for.
func TestFriendsOfSomebodyWhoWasRefusedAreOdd(t *testing.T) {
	asked := 0
	g := scripted(t, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "addFriend") {
			asked++
			return false
		}
		body := r.Header.Get("Idempotency-Key")
		return strings.HasSuffix(body, "-2") && problem(w, 422, "validation")
	})
	plan, err := Read(network(t, 4))
	if err != nil {
		t.Fatal(err)
	}
	friendships := plan.Friendships()
	r, err := Import(t.Context(), plan, Options{Client: g.client, Workers: 1})
	of := plan.friendsOdd.Of(Unknown)
	if err != nil || r.PeopleCreated != 3 || of == 0 || asked != friendships-of || r.FriendshipsMade != asked {
		t.Errorf("%+v of %d, %d unknown, %d asked, %v", r, friendships, of, asked, err)
	}
}

// TestATargetThatIsBusyIsAskedAgainWithTheSameKey: a command happens once however
// often it is refused for now.
func TestATargetThatIsBusyIsAskedAgainWithTheSameKey(t *testing.T) {
	keys := map[string]int{}
	g := scripted(t, func(w http.ResponseWriter, r *http.Request) bool {
		key := r.Header.Get("Idempotency-Key")
		keys[key]++
		return keys[key] == 1 && problem(w, 503, "busy")
	})
	plan, err := Read(network(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(t.Context(), plan, Options{Client: g.client, Workers: 1})
	if err != nil || r.PeopleCreated != 3 || len(keys) != 3+r.FriendshipsMade {
		t.Fatalf("%+v, %v, %v", r, keys, err)
	}
	for key, n := range keys {
		if n != 2 || !strings.HasPrefix(key, "import-") {
			t.Errorf("%s was sent %d times", key, n)
		}
	}
}

// TestASystemThatNamesNoLogIsFilledToo: the Spring system has no ETags.
func TestASystemThatNamesNoLogIsFilledToo(t *testing.T) {
	g := scripted(t, func(http.ResponseWriter, *http.Request) bool { return false })
	files := network(t, 3)
	for _, want := range []Result{{PeopleCreated: 3, FriendshipsMade: 3}, {PeopleBefore: 3, FriendshipsMade: 3}} {
		r, _, err := importAll(t.Context(), t, g, files)
		if err != nil || r != want {
			t.Fatalf("%+v, want %+v, %v", r, want, err)
		}
	}
	text, err := os.ReadFile(files.Map)
	if err != nil || bytes.Contains(text, []byte("# log")) || bytes.Count(text, []byte("\n")) != 5 {
		t.Errorf("%s%v", text, err)
	}
}

// TestAMapThatLagsBehindIsMadeGoodByTheKeys: the machine went down before the last
// lines, or any of them, were on the disk.
func TestAMapThatLagsBehindIsMadeGoodByTheKeys(t *testing.T) {
	g, files := newGate(t), network(t, 30)
	first, _, err := importAll(t.Context(), t, g, files)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(files.Map)
	if err != nil {
		t.Fatal(err)
	}
	ids, rnd := noted(t, files.Map), rand.New(rand.NewPCG(1, 1))
	for range 8 {
		if err := os.WriteFile(files.Map, whole[:rnd.IntN(len(whole))], 0o600); err != nil {
			t.Fatal(err)
		}
		again, _, err := importAll(t.Context(), t, g, files)
		if want := (Result{PeopleBefore: 30, FriendshipsBefore: first.FriendshipsMade}); again != want || err != nil {
			t.Fatalf("%+v, %v", again, err)
		}
		if got := noted(t, files.Map); !maps.Equal(got, ids) {
			t.Fatalf("%v, want %v", got, ids)
		}
	}
	if people, _ := written(t, g, CSV); len(people) != 30 {
		t.Errorf("%d people", len(people))
	}
}

// TestALookChangesNothing: reading, which is all that --dry-run does, sends nothing
// and writes nothing, also where a map is there and torn.
func TestALookChangesNothing(t *testing.T) {
	g, files := newGate(t), network(t, 30)
	if _, err := Read(files); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(files.Map); !os.IsNotExist(err) {
		t.Errorf("a map was made: %v", err)
	}
	if _, _, err := importAll(t.Context(), t, g, files); err != nil {
		t.Fatal(err)
	}
	tear(t, files.Map)
	before, err := os.ReadFile(files.Map)
	if err != nil {
		t.Fatal(err)
	}
	sent := g.posts.Load()
	plan, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	if create, there := plan.People(); create != 1 || there != 29 {
		t.Errorf("would create %d, %d are there", create, there)
	}
	after, err := os.ReadFile(files.Map)
	if err != nil || !bytes.Equal(before, after) || g.posts.Load() != sent {
		t.Errorf("%d commands, the map has %d bytes of %d, %v", g.posts.Load()-sent, len(after), len(before), err)
	}
}

// TestSomebodyOfTheMapMayBeErased: the next one tells whether the target is the same.
func TestSomebodyOfTheMapMayBeErased(t *testing.T) {
	g, files := newGate(t), network(t, 6)
	if _, _, err := importAll(t.Context(), t, g, files); err != nil {
		t.Fatal(err)
	}
	if _, err := g.client.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r, plan, err := importAll(t.Context(), t, g, files)
	if err != nil || r.PeopleBefore != 6 || r.PeopleCreated != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r.FriendshipsMade != 0 {
		t.Errorf("%d friendships were made anew; odd: %d", r.FriendshipsMade, plan.OddLines())
	}
}

// TestAnyFilesMakeWhatTheySay: people and friendships by chance, sent by several
// workers with answers lost on the way, are there as the files say.
func TestAnyFilesMakeWhatTheySay(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		g := newGate(t)
		g.lose.Store(5 + rnd.Int64N(40))
		people := 1 + rnd.IntN(12)
		var p, f strings.Builder
		p.WriteString("id,firstName,lastName\n")
		for i := range people {
			fmt.Fprintf(&p, "n%d,First%d,\n", i, i)
		}
		want := map[[2]int]bool{}
		for range rnd.IntN(40) {
			a, b := rnd.IntN(people), rnd.IntN(people)
			fmt.Fprintf(&f, "n%d n%d\n", a, b)
			if a != b {
				want[[2]int{min(a, b), max(a, b)}] = true
			}
		}
		files := Files{People: file(t, "p", p.String()), Friends: file(t, "f", f.String()), Map: file(t, "m", ""), Keep: 5}
		if _, _, err := importAll(t.Context(), t, g, files); err != nil {
			t.Fatal(err)
		}
		names, friends := written(t, g, NDJSON)
		if len(names) != people || len(friends) != len(want) {
			t.Errorf("seed %d: %d of %d people, %d of %d friendships", seed, len(names), people, len(friends), len(want))
		}
	}
}
