package graph

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// oracle is a graph by brute force: sets of directed pairs and of people.
type oracle struct {
	edges  map[[2]int64]bool
	people map[int64]presence
}

func newOracle() *oracle {
	return &oracle{edges: map[[2]int64]bool{}, people: map[int64]presence{}}
}

func (o *oracle) apply(changes ...Change) (changed int) {
	for _, c := range changes {
		if o.one(c) {
			changed++
		}
	}
	return changed
}

func (o *oracle) one(c Change) bool {
	switch c.Kind {
	case Connect, Disconnect:
		pair, want := [2]int64{c.From, c.To}, c.Kind == Connect
		if c.From == c.To || o.edges[pair] == want {
			return false
		}
		o.edges[pair] = want
		return true
	case AddUser, RemoveUser:
	}
	to := known
	if c.Kind == RemoveUser {
		to = erased
	}
	if o.people[c.From] >= to {
		return false
	}
	o.people[c.From] = to
	return true
}

// connected says whether two people are friends in any direction.
func (o *oracle) connected(a, b int64) bool {
	return o.edges[[2]int64{a, b}] || o.edges[[2]int64{b, a}]
}

func (o *oracle) friends(id int64) (ids []int64) {
	if o.people[id] != known {
		return nil
	}
	for other, p := range o.people {
		if p == known && o.connected(id, other) {
			ids = append(ids, other)
		}
	}
	slices.Sort(ids)
	return ids
}

func (o *oracle) mutual(a, b int64) (ids []int64) {
	if a == b || o.people[b] != known {
		return nil
	}
	for _, id := range o.friends(a) {
		if o.connected(id, b) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (o *oracle) recommend(id int64, limit int) (ranked []Ranked) {
	if o.people[id] != known {
		return nil
	}
	for other, p := range o.people {
		if other == id || p != known || o.connected(id, other) {
			continue
		}
		if weight := len(o.mutual(id, other)); weight > 0 {
			ranked = append(ranked, Ranked{other, weight})
		}
	}
	slices.SortFunc(ranked, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.ID, b.ID))
	})
	if limit > 0 && len(ranked) > limit {
		ranked = ranked[:limit]
	}
	return ranked
}

// must applies changes that have to be possible.
func must(t interface{ Fatal(...any) }, g *Graph, changes ...Change) int {
	changed, err := g.Apply(changes)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// recommend, mutual and friends are queries that can't fail.
func recommend(t interface{ Fatal(...any) }, g *Graph, id int64, limit int) []Ranked {
	ranked, err := g.Recommend(nil, id, limit)
	if err != nil {
		t.Fatal(err)
	}
	return ranked
}

func mutual(t interface{ Fatal(...any) }, g *Graph, a, b int64) []int64 {
	ids, err := g.Mutual(nil, a, b)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func friends(t interface{ Fatal(...any) }, g *Graph, id int64) []int64 {
	ids, err := g.Friends(nil, id)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// realGraphs are the networks with their sizes, and where they are.
func realGraphs() []realGraph {
	return []realGraph{
		{"ego-facebook", "../internal/loadgen/demo/ego-facebook.txt.gz", 4_039, 88_234},
		{"github-social", "../testdata/graphs/github-social.csv.gz", 37_700, 289_003},
		{"deezer-hu", "../testdata/graphs/deezer-hu.csv.gz", 47_538, 222_887},
	}
}

type realGraph struct {
	name, path          string
	people, friendships int
}

// read returns the pairs of the network, with 1 added to the ids, which begin at 0.
func (r realGraph) read(t testing.TB) (pairs [][2]int64) {
	t.Helper()
	file, err := os.Open(filepath.FromSlash(r.path))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(plain); lines.Scan(); {
		a, b, _ := strings.Cut(strings.ReplaceAll(lines.Text(), ",", " "), " ")
		x, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			continue // the header
		}
		y, err := strconv.ParseInt(b, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, [2]int64{x + 1, y + 1})
	}
	return pairs
}

// build returns the graph of the network, and its pairs.
func (r realGraph) build(t testing.TB) (*Graph, [][2]int64) {
	t.Helper()
	pairs := r.read(t)
	changes := make([]Change, 0, len(pairs)+r.people)
	for id := range int64(r.people) {
		changes = append(changes, Change{Kind: AddUser, From: id + 1})
	}
	for _, p := range pairs {
		changes = append(changes, Change{Kind: Connect, From: p[0], To: p[1]})
	}
	g := New()
	must(t, g, changes...)
	return g, pairs
}
