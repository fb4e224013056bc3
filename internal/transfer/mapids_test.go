package transfer

import (
	"maps"
	"path/filepath"
	"testing"
)

// TestIDsThatLookLikeTheHeadOfAMap: whoever is called so stays a person.
func TestIDsThatLookLikeTheHeadOfAMap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map")
	want := map[string]int64{}
	m := begin(t, path)
	for i, id := range []string{
		"# log other", "# people sha256 0", "#", "# ", "externalId", `"`, `""`, `#"a"`, "a,b", "# log a,b", " # log", "x#",
	} {
		want[id] = int64(i + 1)
		if err := m.note(id, want[id], "mine"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	dir := newDirectory()
	again, err := readMap(path, dir)
	if err != nil || again.log != "mine" {
		t.Fatalf("of log %q, %v", again.log, err)
	}
	got := map[string]int64{}
	for i, id := range dir.external {
		got[id] = dir.ids[i]
	}
	if !maps.Equal(got, want) {
		t.Errorf("noted %v, read %v", want, got)
	}
}
