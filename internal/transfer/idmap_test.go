package transfer

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// noted returns who has which id in a map.
func noted(t testing.TB, path string) map[string]int64 {
	t.Helper()
	dir := newDirectory()
	if _, err := readMap(path, dir); err != nil {
		t.Fatal(err)
	}
	ids := map[string]int64{}
	for who, external := range dir.external {
		ids[external] = dir.ids[who]
	}
	return ids
}

// begin opens the map at a path as an import does.
func begin(t testing.TB, path string) *idMap {
	t.Helper()
	m, err := readMap(path, newDirectory())
	if err != nil {
		t.Fatal(err)
	}
	m.people = strings.Repeat("ab", 32)
	if err := m.open(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAMapGoesOnWhereverItWasCut: at every byte, as a crash of the machine may leave
// it, and what is noted then is read with what was whole.
func TestAMapGoesOnWhereverItWasCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map")
	m := begin(t, path)
	for i, external := range []string{"a", "b,c", `d"`, "é"} {
		if err := m.note(external, int64(i+1), "log"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		want := noted(t, path)
		m := begin(t, path)
		if err := m.note("later", 9, "log"); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
		want["later"] = 9
		if got := noted(t, path); !maps.Equal(got, want) {
			t.Fatalf("cut at %d: %v, want %v", cut, got, want)
		}
	}
}

// TestTwoImportsAtOnceDoNotWriteOverEachOther: their keys are the same, so they note
// the same ids.
func TestTwoImportsAtOnceDoNotWriteOverEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map")
	first := begin(t, path)
	if err := first.note("p0", 1, "log"); err != nil {
		t.Fatal(err)
	}
	second := begin(t, path)
	var group sync.WaitGroup
	for _, m := range []*idMap{first, second} {
		group.Go(func() {
			for i := range 200 {
				if err := m.note(fmt.Sprint("p", i), int64(i+1), "log"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(first.close(), second.close()); err != nil {
		t.Fatal(err)
	}
	ids := noted(t, path)
	if len(ids) != 200 || ids["p0"] != 1 || ids["p199"] != 200 {
		t.Errorf("%d people: %v", len(ids), ids)
	}
}

func TestAMapIsOfOneLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map")
	m := begin(t, path)
	if err := m.note("a", 1, "3f2a91c0"); err != nil {
		t.Fatal(err)
	}
	if err := m.note("b", 2, "98f406c0"); !errors.Is(err, ErrMap) || !strings.Contains(err.Error(), `"3f2a91c0", and now in "98f406c0"`) {
		t.Errorf("another log: %v", err)
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	if ids := noted(t, path); len(ids) != 1 {
		t.Errorf("%v", ids)
	}
	// One of a system that does not name its log stays so.
	other := filepath.Join(t.TempDir(), "map")
	m = begin(t, other)
	if err := m.note("a", 1, ""); err != nil {
		t.Fatal(err)
	}
	if err := m.note("b", 2, "98f406c0"); !errors.Is(err, ErrMap) {
		t.Errorf("a log that is named at last: %v", err)
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
}

func TestAMapIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map")
	if err := begin(t, path).close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := (&idMap{}).close(); err != nil {
		t.Errorf("one that was never opened: %v", err)
	}
}

func TestAMapThatCanNotBeUsed(t *testing.T) {
	folder := t.TempDir()
	if _, err := Read(Files{Map: folder}); err == nil || !strings.Contains(err.Error(), "read the map") {
		t.Errorf("a folder: %v", err)
	}
	g, files := newGate(t), network(t, 3)
	plan, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(files.Map, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), plan, Options{Client: g.client}); err == nil || !strings.Contains(err.Error(), "open the map") || g.posts.Load() != 0 {
		t.Errorf("a folder since then: %v after %d commands", err, g.posts.Load())
	}
}

// TestAnyIDsSurviveAMap: whatever a file calls its people.
func TestAnyIDsSurviveAMap(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "map")
		_ = os.Remove(path)
		text := rapid.StringOfN(rapid.RuneFrom([]rune(`ab,"; '#%é名\`)), 1, 6, -1)
		ids := rapid.MapOfN(text, rapid.Int64Min(1), 1, 10).Draw(rt, "ids")
		m := begin(t, path)
		for external, id := range ids {
			if err := m.note(external, id, "log"); err != nil {
				rt.Fatal(err)
			}
		}
		if err := m.close(); err != nil {
			rt.Fatal(err)
		}
		if got := noted(t, path); !maps.Equal(got, ids) {
			rt.Fatalf("%v, want %v", got, ids)
		}
	})
}
