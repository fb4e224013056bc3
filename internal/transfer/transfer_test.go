package transfer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ensemble/api/apitest"
	"ensemble/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file writes a file into a folder of the test and returns its path.
func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func compressed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// gate is the gateway of a system in the test, which may lose connections.
type gate struct {
	*apitest.System
	client *client.Client
	posts  atomic.Int64
	lose   atomic.Int64 // loses the answer to every so many commands; 0 for none
	after  atomic.Pointer[func(n int64)]
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int64(0)
	if r.Method == http.MethodPost {
		n = g.posts.Add(1)
	}
	if lose := g.lose.Load(); n > 0 && lose > 0 && n%lose == 0 {
		g.Gateway.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	g.Gateway.ServeHTTP(w, r)
	if after := g.after.Load(); n > 0 && after != nil {
		(*after)(n)
	}
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{System: apitest.Start(t, apitest.Options{})}
	server := httptest.NewServer(g)
	transport := client.Transport(16)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	g.client = client.New(server.URL, &http.Client{Transport: transport})
	return g
}

// network makes files of so many people and friendships.
func network(t *testing.T, people int) Files {
	t.Helper()
	var p, f strings.Builder
	p.WriteString("id,firstName,lastName\n")
	for i := range people {
		fmt.Fprintf(&p, "p%d,First%d,Last%d\n", i, i, i)
		for j := range min(i, 3) {
			fmt.Fprintf(&f, "p%d p%d\n", i, (i+j*7)%i)
		}
	}
	dir := t.TempDir()
	files := Files{People: filepath.Join(dir, "people.csv"), Friends: filepath.Join(dir, "friends"), Map: filepath.Join(dir, "map"), Keep: 5}
	for path, text := range map[string]string{files.People: p.String(), files.Friends: f.String()} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// importAll reads and imports files.
func importAll(ctx context.Context, t *testing.T, g *gate, f Files) (Result, *Plan, error) {
	t.Helper()
	plan, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(ctx, plan, Options{Client: g.client, Workers: 8})
	return r, plan, err
}

// written exports a system and writes down who is friends with whom, by name.
func written(t *testing.T, g *gate, format Format) (people, friends []string) {
	t.Helper()
	dir := t.TempDir()
	p, f := filepath.Join(dir, "p"), filepath.Join(dir, "f")
	if _, err := Export(t.Context(), p, f, format, Options{Client: g.client, Workers: 8}); err != nil {
		t.Fatal(err)
	}
	plan, err := Read(Files{People: p, Friends: f, NoMap: true, Keep: 5})
	if err != nil || plan.OddLines() != 0 {
		t.Fatalf("what was exported is odd: %v, %v", plan, err)
	}
	name := map[int32]string{}
	for _, one := range plan.people {
		name[one.who] = one.first + " " + one.last
		people = append(people, name[one.who])
	}
	for _, one := range plan.friendships {
		friends = append(friends, name[one.a]+" → "+name[one.b])
	}
	slices.Sort(people)
	slices.Sort(friends)
	return people, friends
}

func TestWhatWasImportedIsExportedAndReadBackTheSame(t *testing.T) {
	files := network(t, 60)
	var people, friends []string
	for _, format := range []Format{CSV, NDJSON} {
		g := newGate(t)
		r, plan, err := importAll(t.Context(), t, g, files)
		if err != nil || r.PeopleCreated != 60 || r.PeopleBefore != 0 || r.FriendshipsMade != plan.Friendships() || r.FriendshipsBefore != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if err := os.Remove(files.Map); err != nil {
			t.Fatal(err)
		}
		p, f := written(t, g, format)
		if people == nil {
			people, friends = p, f
		}
		if len(p) != 60 || len(f) != r.FriendshipsMade || !slices.Equal(p, people) || !slices.Equal(f, friends) {
			t.Errorf("%s: %d people, %d friendships", format, len(p), len(f))
		}
	}
	if people[0] != "First0 Last0" || !slices.Contains(friends, "First1 Last1 → First0 Last0") {
		t.Errorf("%v %v", people[0], friends)
	}
}

func TestNamesOfEveryKindSurviveARoundTrip(t *testing.T) {
	names := []string{`Ada "A"`, "O'Neil, Jr.", "名前", "😀", " padded ", "{brace", "#hash", "semi;colon", "back\\slash", "a\u2028b"}
	for _, format := range []Format{CSV, NDJSON} {
		g := newGate(t)
		var want []string
		for i, first := range names {
			last := names[len(names)-1-i]
			if _, _, err := g.client.CreateUser(t.Context(), first, last, ""); err != nil {
				t.Fatal(err)
			}
			want = append(want, first+" "+last)
		}
		slices.Sort(want)
		if got, _ := written(t, g, format); !slices.Equal(got, want) {
			t.Errorf("%s: %s", format, cmp.Diff(want, got))
		}
	}
}

func TestImportingTwiceMakesOneOfEach(t *testing.T) {
	g, files := newGate(t), network(t, 40)
	first, _, err := importAll(t.Context(), t, g, files)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := importAll(t.Context(), t, g, files)
	if want := (Result{PeopleBefore: 40, FriendshipsBefore: first.FriendshipsMade}); again != want || err != nil {
		t.Errorf("%+v, %v", again, err)
	}
	// Without the map the keys still know.
	files.Map += ".new"
	again, _, err = importAll(t.Context(), t, g, files)
	if want := (Result{PeopleBefore: 40, FriendshipsBefore: first.FriendshipsMade}); again != want || err != nil {
		t.Errorf("%+v, %v", again, err)
	}
	if people, friends := written(t, g, CSV); len(people) != 40 || len(friends) != first.FriendshipsMade {
		t.Errorf("%d people, %d friendships", len(people), len(friends))
	}
}

// TestAnImportThatIsInterruptedAnywhereGoesOn: it is stopped after every so many
// commands, answers are lost all the time, and the map's last line is torn.
func TestAnImportThatIsInterruptedAnywhereGoesOn(t *testing.T) {
	g, files := newGate(t), network(t, 80)
	g.lose.Store(23)
	plan, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	friendships := plan.Friendships()
	for round := int64(1); ; round++ {
		ctx, cancel := context.WithCancel(t.Context())
		stop := g.posts.Load() + 7*round
		after := func(n int64) {
			if n >= stop {
				cancel()
			}
		}
		g.after.Store(&after)
		_, _, err := importAll(ctx, t, g, files)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || round > 40 {
			t.Fatalf("round %d: %v", round, err)
		}
		tear(t, files.Map)
	}
	people, friends := written(t, g, CSV)
	if len(people) != 80 || len(friends) != friendships || len(slices.Compact(people)) != 80 {
		t.Errorf("%d people, %d friendships, want 80 and %d", len(people), len(friends), friendships)
	}
}

// tear cuts the last line of a file in two, as a crash would.
func tear(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || len(text) < 200 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-3], 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAMapOfSomethingElseIsRefused(t *testing.T) {
	g, files := newGate(t), network(t, 5)
	if _, _, err := importAll(t.Context(), t, g, files); err != nil {
		t.Fatal(err)
	}
	other := newGate(t)
	if _, _, err := importAll(t.Context(), t, other, files); !errors.Is(err, ErrMap) || !strings.Contains(err.Error(), "is user") {
		t.Errorf("an empty system: %v", err)
	}
	for range 9 {
		if _, _, err := other.client.CreateUser(t.Context(), "Somebody", "Else", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := importAll(t.Context(), t, other, files); !errors.Is(err, ErrMap) {
		t.Errorf("a system with people of its own: %v", err)
	}
	if n := other.posts.Load(); n != 9 {
		t.Errorf("%d commands were sent nevertheless", n-9)
	}
	if err := os.WriteFile(files.People, []byte("firstName,lastName\nA,B\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(files); !errors.Is(err, ErrMap) || !strings.Contains(err.Error(), "has changed since then") {
		t.Errorf("another file of people: %v", err)
	}
}

func TestFriendsOfEarlierPeopleAreFoundByTheMap(t *testing.T) {
	g, files := newGate(t), network(t, 5)
	if _, _, err := importAll(t.Context(), t, g, files); err != nil {
		t.Fatal(err)
	}
	later := Files{Friends: file(t, "later", "p4 p0\np0 p4\np0 p9\n"), Map: files.Map, Keep: 5}
	plan, err := Read(later)
	if err != nil || plan.Friendships() != 1 || plan.Odd[0].Of(Unknown) != 1 || plan.Odd[0].Of(Reversed) != 1 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if r, err := Import(t.Context(), plan, Options{Client: g.client}); err != nil || r.FriendshipsMade+r.FriendshipsBefore != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhoIsUnknownToTheTargetIsOdd(t *testing.T) {
	g := newGate(t)
	for range 2 {
		if _, _, err := g.client.CreateUser(t.Context(), "Ada", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := Read(Files{Friends: file(t, "f", "2 1\n1 7\n"), Keep: 5})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import(t.Context(), plan, Options{Client: g.client})
	if want := (Result{FriendshipsMade: 1}); r != want || err != nil || plan.Odd[0].Of(Unknown) != 1 {
		t.Errorf("%+v, %v, %d unknown", r, err, plan.Odd[0].Of(Unknown))
	}
}

func TestATargetThatIsNoneEndsTheImportAtOnce(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "a web shop", http.StatusNotFound)
	}))
	defer server.Close()
	transport := client.Transport(8)
	defer transport.CloseIdleConnections()
	g := &gate{client: client.New(server.URL, &http.Client{Transport: transport})}
	r, _, err := importAll(t.Context(), t, g, network(t, 1000))
	if err == nil || !strings.Contains(err.Error(), "line") || r != (Result{}) || asked.Load() > 16 {
		t.Errorf("%+v after %d requests, %v", r, asked.Load(), err)
	}
}

func TestAnExportIsPrivateAndReplacesNothing(t *testing.T) {
	g := newGate(t)
	dir := t.TempDir()
	p, f := filepath.Join(dir, "p"), filepath.Join(dir, "f")
	if e, err := Export(t.Context(), p, f, CSV, Options{Client: g.client}); err != nil || e != (Exported{}) {
		t.Fatalf("%+v, %v", e, err)
	}
	for _, path := range []string{p, f} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	if _, err := Export(t.Context(), filepath.Join(dir, "p2"), f, CSV, Options{Client: g.client}); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// paged answers the list of people in pages, as it is told.
type paged struct {
	links  []string
	people int
}

func (p *paged) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/friends") {
		_, _ = io.WriteString(w, "[]")
		return
	}
	page := len(r.URL.Query().Get("cursor"))
	if page < len(p.links) && p.links[page] != "" {
		w.Header().Set("Link", p.links[page])
	}
	var users []string
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if limit == 0 {
		limit = 2 // a link says it in its cursor
	}
	for id := 2*page + 1; id <= 2*page+limit && id <= p.people; id++ {
		users = append(users, fmt.Sprintf(`{"id":%d,"firstName":"A","lastName":""}`, id))
	}
	_, _ = io.WriteString(w, "["+strings.Join(users, ",")+"]")
}

func TestAnExportFollowsThePagesAndNeverEndsEarlyInSilence(t *testing.T) {
	for name, c := range map[string]struct {
		links  []string
		people int
		want   int // people; 0 for a refusal
	}{
		"half a page":                  {nil, 1, 1},
		"exactly one page":             {nil, 2, 2},
		"three pages":                  {[]string{`</user/v1/users?cursor=x>; rel="next"`, `</user/v1/users?cursor=xx>; rel=next`}, 6, 6},
		"a list that is cut":           {nil, 3, 0},
		"a link that begins elsewhere": {[]string{`<elsewhere?cursor=x>; rel="next"`}, 3, 0},
		"a link back":                  {[]string{`</user/v1/users?cursor=x>; rel="prev"`}, 3, 0},
	} {
		server := httptest.NewServer(&paged{c.links, c.people})
		transport := client.Transport(4)
		dir := t.TempDir()
		e, err := Export(t.Context(), filepath.Join(dir, "p"), filepath.Join(dir, "f"), CSV,
			Options{Client: client.New(server.URL, &http.Client{Transport: transport}), Page: 2})
		if e.People != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
		transport.CloseIdleConnections()
		server.Close()
	}
}
