package transfer

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/client"
	"ensemble/user"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares with a file of testdata/golden.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// awkward are names that the formats have to take care of.
var awkward = [][2]string{
	{"Ada", "Lovelace"},
	{`Ada "A"`, ""},
	{"O'Neil, Jr.", "x;y"},
	{"名前", "😀"},
	{" padded ", "{brace"},
	{"#hash", "%percent"},
	{`back\slash`, "a\u2028b"},
	{"=1+1", "<b>&amp;</b>"},
	{`"`, `""`},
}

// TestExportedFilesByteByByte: what is written today is read by whatever reads it
// tomorrow.
func TestExportedFilesByteByByte(t *testing.T) {
	g := newGate(t)
	for _, name := range awkward {
		if _, _, err := g.client.CreateUser(t.Context(), name[0], name[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]int64{{2, 1}, {1, 3}, {9, 2}} {
		if _, _, err := g.client.AddFriend(t.Context(), pair[0], pair[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range []Format{CSV, NDJSON} {
		dir := t.TempDir()
		people, friends := filepath.Join(dir, "people."+string(format)), filepath.Join(dir, "friends."+string(format))
		if _, err := Export(t.Context(), people, friends, format, Options{Client: g.client}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{people, friends} {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Base(path), text)
		}
	}
}

// TestTheMapByteByByte: a map that was begun by an older build goes on.
func TestTheMapByteByByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map")
	m := &idMap{path: path, people: strings.Repeat("0f", 32)}
	if err := m.open(); err != nil {
		t.Fatal(err)
	}
	for i, external := range []string{"u-17", "a,b", `say "x"`, " padded", "名前", "7"} {
		if err := m.note(external, int64(i+1), "98f406c0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "people.map", text)
}

// anyName draws names that the system takes.
func anyName(t *rapid.T) (first, last string) {
	text := rapid.OneOf(rapid.StringN(0, 20, -1), rapid.SampledFrom([]string{`"`, `,`, `;`, "a\tb", `\`, "{", "#", "\u2028", " x "}))
	for {
		first, last = text.Draw(t, "first"), text.Draw(t, "last")
		if len(user.Validate(first, last)) == 0 {
			return first, last
		}
		first, last = "x"+strings.Map(printable, first), strings.Map(printable, last)
		if len(user.Validate(first, last)) == 0 {
			return first, last
		}
	}
}

// printable keeps what names may hold.
func printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
		return -1
	}
	return r
}

// TestWhatIsWrittenIsReadBack: any people, any number of them, in both formats.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]Format{CSV, NDJSON}).Draw(t, "format")
		people := make([]person, rapid.IntRange(0, 10).Draw(t, "people"))
		path := filepath.Join(dir, "people")
		_ = os.Remove(path)
		err := create(path, format, []string{"id", "firstName", "lastName"}, func(w *recordWriter) error {
			for i := range people {
				p := &people[i]
				p.first, p.last = anyName(t)
				if err := w.write(int64(i)+1, p.first, p.last); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := Read(Files{People: path, NoMap: true, Keep: 9})
		if err != nil || len(plan.people) != len(people) || plan.OddLines() != 0 {
			t.Fatalf("%d of %d came back, %d odd, %v", len(plan.people), len(people), plan.OddLines(), err)
		}
		for i, got := range plan.people {
			if got.first != people[i].first || got.last != people[i].last {
				t.Fatalf("%q %q came back as %q %q", people[i].first, people[i].last, got.first, got.last)
			}
		}
	})
}

// FuzzRecords: whatever the values, a record of NDJSON is an object of them, and one
// of CSV a line.
func FuzzRecords(f *testing.F) {
	f.Add(int64(1), "Ada", "Lovelace")
	f.Add(int64(-7), `"`, ",\\")
	f.Fuzz(func(t *testing.T, id int64, first, last string) {
		if !utf8.ValidString(first) || !utf8.ValidString(last) || len(user.Validate(first, last)) > 0 {
			return
		}
		for _, format := range []Format{CSV, NDJSON} {
			path := filepath.Join(t.TempDir(), "f")
			if err := create(path, format, []string{"id", "firstName", "lastName"}, func(w *recordWriter) error {
				return w.write(id, first, last)
			}); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := 1
			if format == CSV {
				lines = 2
			}
			if got := bytes.Count(text, []byte("\n")); got != lines {
				t.Fatalf("%d lines: %s", got, text)
			}
			var u struct {
				ID                  int64
				FirstName, LastName string
			}
			if format == NDJSON && (json.Unmarshal(text, &u) != nil || u.ID != id || u.FirstName != first || u.LastName != last) {
				t.Fatalf("%s is %+v", text, u)
			}
		}
	})
}

func TestAFileThatCanNotBeWrittenLeavesNothing(t *testing.T) {
	g := newGate(t)
	dir := t.TempDir()
	there := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	p, f := filepath.Join(dir, "p"), filepath.Join(dir, "f")
	if _, err := Export(t.Context(), filepath.Join(dir, "no", "p"), f, CSV, Options{Client: g.client}); err == nil || len(there()) != 0 {
		t.Errorf("no such folder: %v, %v", err, there())
	}
	// A link that leads nowhere is a file that is there, and is not written through.
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), p); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), p, f, CSV, Options{Client: g.client}); !os.IsExist(err) && !strings.Contains(err.Error(), "exists") {
		t.Errorf("through a link: %v", err)
	}
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	// What appears while people are read is kept.
	o := Options{Client: g.client, Progress: func(string, int, int) {
		_ = os.WriteFile(p, []byte("mine"), 0o600)
	}}
	if _, _, err := g.client.CreateUser(t.Context(), "Ada", "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), p, f, CSV, o); err == nil {
		t.Error("another file was replaced")
	}
	if text, err := os.ReadFile(p); err != nil || string(text) != "mine" || len(there()) != 1 {
		t.Errorf("%q, %v, %v", text, there(), err)
	}
}

// TestAnExportShowsWhatClientsSee: nobody who was erased, and friendships from who
// began them.
func TestAnExportShowsWhatClientsSee(t *testing.T) {
	g := newGate(t)
	for _, name := range []string{"Ada", "Grace", "Linus"} {
		if _, _, err := g.client.CreateUser(t.Context(), name, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	befriend(t, g.client, [2]int64{3, 1}, [2]int64{1, 2})
	if _, err := g.client.Erase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	people, friends := written(t, g, NDJSON)
	if diff := cmp.Diff([]string{"Ada ", "Linus "}, people); diff != "" {
		t.Error(diff)
	}
	if len(friends) == 0 || friends[0] != "Linus  → Ada " {
		t.Errorf("%q", friends)
	}
}

// befriend makes friends of pairs.
func befriend(t *testing.T, c *client.Client, pairs ...[2]int64) {
	t.Helper()
	for _, p := range pairs {
		if _, _, err := c.AddFriend(t.Context(), p[0], p[1], ""); err != nil {
			t.Fatal(err)
		}
	}
}
