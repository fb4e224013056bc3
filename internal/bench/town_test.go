package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/graph"
)

// town returns one of so many people.
func town(t *testing.T, people int) *Town {
	t.Helper()
	town, err := NewTown(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	return town
}

// friendships returns all of a graph, as seen from everybody.
func friendships(t *testing.T, g *graph.Graph, people int) (lists [][]int64) {
	t.Helper()
	for id := range int64(people) {
		list, err := g.Friends(nil, id+1)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, list)
	}
	return lists
}

// TestATownIsOneNetworkInEachForm: the graph, the lists and the plain implementation
// have the same friendships.
func TestATownIsOneNetworkInEachForm(t *testing.T) {
	const people = 500
	tw := town(t, people)
	for id, list := range friendships(t, tw.Graph, people) {
		id := int64(id) + 1
		var of []int64
		for _, friend := range tw.Lists.Of(id) {
			of = append(of, int64(friend))
		}
		if !slices.Equal(list, of) || !slices.Equal(tw.Lists.Of(id), tw.Plain.lists[id]) {
			t.Fatalf("friends of %d: %v, %v, %v", id, list, of, tw.Plain.lists[id])
		}
		for _, q := range []Question{tw.Best(10), tw.Best(0), tw.Mutual()} {
			if !q.Same(id) {
				t.Fatalf("the answers about %d differ", id)
			}
		}
	}
	if s := tw.Graph.Stats(); s.People != people || s.Friendships != len(tw.Network.Pairs) || tw.Built <= 0 {
		t.Errorf("%+v in %v", s, tw.Built)
	}
}

// TestTheSamePeopleAreAskedAbout: by the graph, by what it is compared with, and
// when paths are counted.
func TestTheSamePeopleAreAskedAbout(t *testing.T) {
	tw := town(t, 300)
	asked := func(seed uint64, n int) (ids []int64) {
		times := tw.Ask(seed, n, func(id int64) { ids = append(ids, id) })
		if len(times) != n || slices.Min(times) < 0 {
			t.Errorf("%v", times)
		}
		return ids
	}
	first := asked(1, 200)
	if !slices.Equal(first, asked(1, 200)) || !slices.Equal(first[:50], asked(1, 50)) || slices.Equal(first, asked(2, 200)) {
		t.Error("not the same for the same seed, or not others for another")
	}
	paths := 0
	for _, id := range first {
		paths += tw.Lists.Paths(id)
	}
	if got := tw.Paths(1, 200); got != paths || paths == 0 {
		t.Errorf("%d paths, want %d", got, paths)
	}
	if low, high := slices.Min(first), slices.Max(first); low < 1 || low > 30 || high < 270 || high > 300 {
		t.Errorf("from %d to %d", low, high)
	}
}

// TestWhatIsComparedTakesTurns: about the same people, so many of them.
func TestWhatIsComparedTakesTurns(t *testing.T) {
	tw := town(t, 300)
	for _, n := range []int{1, 10, 55, 200} {
		each := max(n/turns, 1)
		var order []byte
		asked := make([][]int64, 3)
		question := func(i int) func(int64) {
			return func(id int64) { order, asked[i] = append(order, byte('a'+i)), append(asked[i], id) }
		}
		times := tw.Turns(n, question(0), question(1), question(2))
		turn := strings.Repeat("a", each) + strings.Repeat("b", each) + strings.Repeat("c", each)
		if string(order) != strings.Repeat(turn, turns) {
			t.Errorf("%d: %s", n, order)
		}
		for i := range asked {
			if !slices.Equal(asked[i], asked[0]) || len(times[i]) != each*turns {
				t.Errorf("%d: %v and %v in %d", n, asked[i], asked[0], len(times[i]))
			}
		}
	}
}

// TestAllocationsAreCounted: two of each question, but not the room of an answer,
// which is as long as the longest of all.
func TestAllocationsAreCounted(t *testing.T) {
	tw := town(t, 300)
	var kept [2][]byte
	var answer []int64
	if got := tw.Allocations(1_000, func(int64) { kept[0], kept[1] = make([]byte, 100), make([]byte, 100) }); got < 2 || got > 2.1 {
		t.Errorf("%.2f for two", got)
	}
	if got := tw.Allocations(1_000, func(id int64) {
		for answer = answer[:0]; len(answer) < int(id); {
			answer = append(answer, id)
		}
	}); got > 0.1 {
		t.Errorf("%.2f for answers of up to %d", got, cap(answer))
	}
	runtime.KeepAlive(kept)
}

// TestMixedChangesLeaveTheFriendships: nobody loses or wins a friend in the end,
// though many do on the way, and no change is refused or without effect.
func TestMixedChangesLeaveTheFriendships(t *testing.T) {
	const people, n = 400, 4_000
	tw := town(t, people)
	changes := tw.Mixed(n)
	if len(changes) != n {
		t.Fatalf("%d changes", len(changes))
	}
	kinds := map[graph.Kind]int{}
	for _, c := range changes {
		kinds[c.Kind]++
	}
	if kinds[graph.Connect] != kinds[graph.Disconnect] || kinds[graph.Connect] < n*45/100 || kinds[graph.AddUser] < n/100 {
		t.Errorf("%v", kinds)
	}
	before := friendships(t, tw.Graph, people)
	open := 0
	for turn := range 2 { // and again
		for i, c := range changes {
			changed, err := tw.Graph.Apply([]graph.Change{c})
			if want := turn == 0 || c.Kind != graph.AddUser; err != nil || (changed == 1) != want {
				t.Fatalf("turn %d, change %d %+v: %d, %v", turn, i, c, changed, err)
			}
			open = max(open, tw.Graph.Stats().Friendships-len(tw.Network.Pairs))
		}
	}
	if diff := cmp.Diff(before, friendships(t, tw.Graph, people)); diff != "" {
		t.Error(diff)
	}
	if open != n/4 && open != n/4+1 {
		t.Errorf("%d friendships more at most", open)
	}
}

// TestAWriterKeepsItsRate: a second of a thousand changes a second is a thousand
// changes, in calls of at most 256, and the friendships are as before.
func TestAWriterKeepsItsRate(t *testing.T) {
	const people = 400
	tw := town(t, people)
	before := friendships(t, tw.Graph, people)
	synctest.Test(t, func(t *testing.T) {
		w := &Writer{Graph: tw.Graph, Changes: tw.Mixed(3_000), Rate: 1_000}
		written, err := w.During(t.Context(), func() error {
			time.Sleep(10 * time.Second)
			return nil
		})
		if err != nil || written.Changes < 9_990 || written.Changes > 10_000 || written.Took < 10*time.Second {
			t.Errorf("%+v, %v", written, err)
		}
	})
	if diff := cmp.Diff(before, friendships(t, tw.Graph, people)); diff != "" {
		t.Error(diff)
	}
}

// TestAWriterThatFailsSaysSo: and what is done meanwhile comes first.
func TestAWriterThatFailsSaysSo(t *testing.T) {
	impossible := &Writer{Graph: graph.New(), Changes: []graph.Change{{Kind: graph.AddUser, From: -1}}, Rate: 1_000_000}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if written, err := impossible.Run(ctx); !errors.Is(err, graph.ErrID) || written.Changes != 1 {
		t.Errorf("%+v, %v", written, err)
	}
	broken := errors.New("broken")
	if _, err := impossible.During(ctx, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestReadersAreAskedTheSameByTurns(t *testing.T) {
	tw := town(t, 300)
	w := &Writer{Graph: tw.Graph, Changes: tw.Mixed(1_000), Rate: 1_000_000}
	r, err := tw.Readers(t.Context(), w, 3, 20)
	if err != nil || len(r.Alone) != 60 || len(r.Writing) != 60 || r.Written.Took <= 0 {
		t.Errorf("%d, %d, %+v, %v", len(r.Alone), len(r.Writing), r.Written, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tw.Readers(ctx, w, 3, 20); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestAnswersAreRightAfterAWriter: the plain implementation, which was not told of
// what was written, answers as the graph does.
func TestAnswersAreRightAfterAWriter(t *testing.T) {
	const people = 300
	tw := town(t, people)
	w := &Writer{Graph: tw.Graph, Changes: tw.Mixed(5_000), Rate: 3_000_000}
	r, err := tw.Readers(t.Context(), w, 2, 100)
	if err != nil || len(r.Writing) != 200 {
		t.Fatalf("%d, %v", len(r.Writing), err)
	}
	for _, q := range []Question{tw.Best(10), tw.Best(0), tw.Mutual()} {
		for id := range int64(people) {
			if !q.Same(id + 1) {
				t.Fatalf("the answers about %d differ", id+1)
			}
		}
	}
}

// TestAWriterThatFailsEndsWhatIsMeasured: and a snapshot that was begun is removed.
func TestAWriterThatFailsEndsWhatIsMeasured(t *testing.T) {
	tw, dir := town(t, 300), t.TempDir()
	impossible := &Writer{Graph: tw.Graph, Changes: []graph.Change{{Kind: graph.AddUser, From: -1}}, Rate: 1 << 40}
	for name, measure := range map[string]func(context.Context) error{
		"readers": func(ctx context.Context) error {
			_, err := tw.Readers(ctx, impossible, 1_000, 1_000)
			return err
		},
		"snapshots": func(ctx context.Context) error {
			_, err := tw.Snapshots(ctx, dir, impossible, 1_000)
			return err
		},
	} {
		if err := measure(t.Context()); !errors.Is(err, graph.ErrID) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestTogetherEachAsksSoMany: the graph is asked by several at once, each about
// people of their own, and all answers are those that one alone gets.
func TestTogetherEachAsksSoMany(t *testing.T) {
	tw := town(t, 300)
	for _, goroutines := range []int{1, 2, 7} {
		if took, err := tw.Together(t.Context(), goroutines, 50); err != nil || took <= 0 {
			t.Errorf("%d: %v, %v", goroutines, took, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tw.Together(ctx, 2, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := NewTown(ctx, 300); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWrittenIsTheSumOfItsTurns(t *testing.T) {
	var all Written
	all.add(Written{Changes: 5, Took: time.Second, Longest: time.Millisecond})
	all.add(Written{Changes: 7, Took: time.Minute, Longest: time.Microsecond})
	if want := (Written{Changes: 12, Took: 61 * time.Second, Longest: time.Millisecond}); all != want {
		t.Errorf("%+v, want %+v", all, want)
	}
}

func TestASnapshotIsWrittenReadAndRemoved(t *testing.T) {
	tw, dir := town(t, 300), t.TempDir()
	w := &Writer{Graph: tw.Graph, Changes: tw.Mixed(1_000), Rate: 1_000_000}
	s, err := tw.Snapshots(t.Context(), dir, w, 2)
	var b bytes.Buffer
	if err := tw.Graph.WriteSnapshot(&b, []byte("bench")); err != nil {
		t.Fatal(err)
	}
	if err != nil || s.Wrong != "" || s.Bytes != int64(b.Len()) || s.Write <= 0 || s.Read <= 0 || s.Quiet.Took <= 0 || s.Written.Took <= 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := tw.Snapshots(t.Context(), filepath.Join(dir, "nowhere"), w, 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestASnapshotOfAnotherGraphIsWrong: one with a friendship less, one with a pair of
// friends exchanged, and one with other notes.
func TestASnapshotOfAnotherGraphIsWrong(t *testing.T) {
	tw := town(t, 100)
	first := tw.Network.Pairs[0]
	cut := graph.Change{Kind: graph.Disconnect, From: int64(first[0]), To: int64(first[1])}
	other := graph.Change{Kind: graph.Connect, From: cut.From, To: cut.From%100 + 1}
	for other.To == other.From || tw.Lists.Friends(other.From, other.To) {
		other.To = other.To%100 + 1
	}
	for says, changes := range map[string][]graph.Change{"friendships were written": {cut}, "the answers about": {cut, other}} {
		g := built(t, tw.Network)
		if _, err := g.Apply(changes); err != nil {
			t.Fatal(err)
		}
		if wrong := tw.wrong(g, "bench"); !strings.Contains(wrong, says) {
			t.Errorf("%+v: %q", changes, wrong)
		}
	}
	if wrong := tw.wrong(tw.Graph, "else"); !strings.Contains(wrong, `"else"`) {
		t.Errorf("%q", wrong)
	}
	if wrong := tw.wrong(built(t, tw.Network), "bench"); wrong != "" {
		t.Errorf("the same: %q", wrong)
	}
}

// TestAGraphThatAnswersOtherwiseIsVoid: being fast at something else counts nothing.
func TestAGraphThatAnswersOtherwiseIsVoid(t *testing.T) {
	right := graphMeasure{Town: town(t, 200), size: small()}
	right.built = right.Graph
	other := *right.Town
	other.Plain = NewPlainGraph(NewLists(200, right.Network.Pairs[:len(right.Network.Pairs)/2]))
	wrong := graphMeasure{Town: &other, built: other.Graph, size: small()}
	for name, measure := range map[string]func(*graphMeasure, context.Context) ([]Row, error){
		"the best": (*graphMeasure).ten, "everybody": (*graphMeasure).everybody, "mutual friends": (*graphMeasure).mutual,
	} {
		if rows, err := measure(&right, t.Context()); err != nil || rows[0].Void != "" || rows[0].Ratio <= 0 {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
		if rows, err := measure(&wrong, t.Context()); err != nil || !strings.Contains(rows[0].Void, "differ") {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
}

func TestEveryRowOfTheGraphIsMeasuredAndRight(t *testing.T) {
	dir := t.TempDir()
	rows, err := Graph(t.Context(), dir, small())
	if names := whats(t, rows); err != nil || len(names) != 14 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 14 {
		t.Errorf("%q, %v", names, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
