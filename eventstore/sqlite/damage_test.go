package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ensemble/eventstore"
)

// look opens a file that may be damaged and reads all of it. It returns the damage
// that was found, or what is different from the story although none was.
func (s *story) look(t *testing.T, f files) (different string, found error) {
	t.Helper()
	log, err := Open(t.Context(), f.lay(t), optionsOf(64))
	if err != nil {
		return "", err
	}
	defer log.Close()
	if _, err := log.Verify(t.Context(), noProgress); err != nil {
		return "", err
	}
	var events []eventstore.Event
	for {
		page, err := log.ReadAll(t.Context(), eventstore.Position(len(events)), 100)
		if err != nil {
			return "", err
		}
		if len(page) == 0 {
			break
		}
		events = append(events, page...)
	}
	if len(events) != len(s.events) {
		return fmt.Sprintf("%d of %d events are served", len(events), len(s.events)), nil
	}
	for i, e := range events {
		if !sameEvent(e, s.events[i]) {
			return fmt.Sprintf("event %d is served as %+v, it was %+v", i+1, e, s.events[i]), nil
		}
	}
	return "", nil
}

func sameEvent(a, b eventstore.Event) bool {
	return a.Stream == b.Stream && a.Version == b.Version && a.Position == b.Position && a.Number == b.Number &&
		a.Type == b.Type && a.Time.Equal(b.Time) && bytes.Equal(a.Data, b.Data)
}

// flipped returns b with one bit turned.
func flipped(b []byte, at int, bit uint) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1 << bit
	return c
}

// closedLog returns the files of a log that was closed well, and what is in it.
func closedLog(t *testing.T, commits int) (files, *story) {
	t.Helper()
	w := newWorld(t, optionsOf(64))
	a := newAuthor(t, 3)
	for range commits {
		a.commit(w.log)
	}
	w.close()
	return w.snapshot(), &a.story
}

// One bit, anywhere in the file: it is found, or it was in something that is not an
// event. No event is ever served other than it was written.
func TestNoBitOfTheFileCanTurnAnEventIntoAnother(t *testing.T) {
	f, s := closedLog(t, 12)
	rnd := rand.New(rand.NewPCG(2, 2))
	refused := 0
	for range effort(60, 5000) {
		at, bit := rnd.IntN(len(f.db)), uint(rnd.IntN(8))
		different, found := s.look(t, files{db: flipped(f.db, at, bit), heads: f.heads})
		if different != "" {
			t.Errorf("bit %d of byte %d (page %d, byte %d of it): %s", bit, at, at/4096+1, at%4096, different)
		}
		if found != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("not one damage was found")
	}
}

// The last event and its commit are two rows: one without the other is damage, heads
// or no heads.
func TestHalfACommitIsRefused(t *testing.T) {
	for sentence, script := range map[string]string{
		"the last event is gone, its commit is there":   "DELETE FROM events WHERE position = (SELECT max(position) FROM events)",
		"all events are gone, their commits are there":  "DELETE FROM events",
		"all commits are gone, their events are there":  "DELETE FROM commits",
		"the last commit is gone, its events are there": "DELETE FROM commits WHERE first = (SELECT max(first) FROM commits)",
		"a commit of events that never were":            "INSERT INTO commits (first, hash) VALUES (100000, zeroblob(32))",
		"the link of the last commit is cut short":      "UPDATE commits SET hash = substr(hash, 1, 31) WHERE first = (SELECT max(first) FROM commits)",
	} {
		t.Run(sentence, func(t *testing.T) {
			f, s := closedLog(t, 10)
			path := files{db: f.db}.lay(t)
			execute(t, path, script)
			different, found := s.look(t, files{db: maybe(path)})
			if damage, ok := errors.AsType[*eventstore.DamageError](found); !ok || damage.Hint == "" {
				t.Fatalf("found %v, served %q", found, different)
			}
		})
	}
}

func TestALineageThatIsNoneIsRefused(t *testing.T) {
	for sentence, script := range map[string]string{
		"none":                       "DELETE FROM lineage",
		"beginning later":            "UPDATE lineage SET first = 2",
		"a name that is too short":   "UPDATE lineage SET uuid = x'01'",
		"a name that is too long":    "UPDATE lineage SET uuid = zeroblob(17)",
		"a table of something else":  "DROP TABLE lineage; CREATE TABLE lineage (x TEXT)",
		"a position before the log":  "INSERT INTO lineage VALUES (-5, zeroblob(16))",
		"another name, beside heads": "UPDATE lineage SET uuid = zeroblob(16)",
	} {
		t.Run(sentence, func(t *testing.T) {
			f, s := closedLog(t, 3)
			path := f.lay(t)
			execute(t, path, script)
			f.db = maybe(path)
			if sentence != "another name, beside heads" {
				f.heads = nil
			}
			if _, found := s.look(t, f); found == nil {
				t.Fatal("the log was opened")
			}
		})
	}
}

// The saved heads are a shortcut. Whatever is wrong with them, the log is read without
// them or refused; a head is never wrong.
func TestNoDamageToTheSavedHeadsMakesAHeadWrong(t *testing.T) {
	f, s := closedLog(t, 15)
	rnd := rand.New(rand.NewPCG(6, 6))
	check := func(what string, heads []byte) {
		log, err := Open(t.Context(), files{db: f.db, heads: heads}.lay(t), optionsOf(64))
		if err != nil {
			if _, ok := errors.AsType[*eventstore.DamageError](err); !ok {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		if diff := s.differs(t, log); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
	check("as saved", f.heads)
	check("empty", []byte{})
	check("longer", append(bytes.Clone(f.heads), 0))
	for range effort(6, 200) {
		check("cut", f.heads[:rnd.IntN(len(f.heads))])
		check("a bit", flipped(f.heads, rnd.IntN(len(f.heads)), uint(rnd.IntN(8))))
		noise := bytes.Clone(f.heads)
		for i := range noise[8:] {
			noise[8+i] = byte(rnd.Uint32())
		}
		check("noise behind the magic", noise)
	}
}

// Every cut and every flipped bit of the saved heads is noticed by its checksum.
func TestTheChecksumOfTheSavedHeadsMissesNothing(t *testing.T) {
	f, _ := closedLog(t, 5)
	options := optionsOf(64).withDefaults()
	if _, err := decodeIndex(bytes.NewReader(f.heads), int64(len(f.heads)), options); err != nil {
		t.Fatal(err)
	}
	for cut := range f.heads {
		if _, err := decodeIndex(bytes.NewReader(f.heads[:cut]), int64(cut), options); err == nil {
			t.Errorf("cut after %d bytes it is read", cut)
		}
	}
	for at := range f.heads {
		if _, err := decodeIndex(bytes.NewReader(flipped(f.heads, at, uint(at%8))), int64(len(f.heads)), options); err == nil {
			t.Errorf("with a bit of byte %d flipped it is read", at)
		}
	}
}

func TestWhatIsNoLogIsRefusedAndLeftAlone(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.db")
	execute2(t, other, "CREATE TABLE cats (name TEXT); INSERT INTO cats VALUES ('Tom')")
	for sentence, content := range map[string][]byte{
		"another program's database": maybe(other),
		"text":                       bytes.Repeat([]byte("no log at all\n"), 500),
		"half a header":              []byte("SQLite format 3\x00\x10\x00"),
		"zeros":                      make([]byte, 8192),
	} {
		t.Run(sentence, func(t *testing.T) {
			path := files{db: content}.lay(t)
			for _, readOnly := range []bool{true, false} {
				log, err := Open(t.Context(), path, Options{ReadOnly: readOnly})
				if err == nil {
					t.Errorf("it was opened (read-only: %v)", readOnly)
					_ = log.Close()
				}
			}
			if !bytes.Equal(maybe(path), content) {
				t.Error("it was changed")
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "folder.db")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, Options{}); err == nil {
			t.Error("it was opened")
		}
	})
	t.Run("nothing, to be read only", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none.db")
		if _, err := Open(t.Context(), path, Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("looking made it")
		}
	})
}

// An empty file is what is left when a crash comes between making the file and the
// schema. It becomes a log.
func TestAnEmptyFileBecomesALog(t *testing.T) {
	path := files{db: []byte{}}.lay(t)
	log, err := Open(t.Context(), path, optionsOf(64))
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// A log that is reached by two names is one log: two writers would tear it apart.
func TestALinkToALogIsLockedAsTheLog(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(2)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(w.path, link); err != nil {
		t.Skip("no links here:", err)
	}
	if log, err := Open(t.Context(), link, Options{}); err == nil {
		_ = log.Close()
		t.Fatal("a second writer has come in by another name")
	} else if _, ok := errors.AsType[*LockedError](err); !ok {
		t.Fatalf("opening says %v", err)
	}
	w.close()
	log, err := Open(t.Context(), link, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if n := len(everything(t, log)); n != 2 {
		t.Fatalf("by its other name the log has %d events", n)
	}
}

// execute2 is execute for a file that is not there yet.
func execute2(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, path, script)
}
