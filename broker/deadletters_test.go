package broker_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"ensemble/broker"
	"ensemble/broker/memory"
)

// setAside has records kept as dead letters in a file: those with the value "?".
func setAside(t *testing.T, path string, values ...string) []broker.Letter {
	t.Helper()
	letters, err := broker.OpenDeadLetters(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLetters(t, letters)
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		b.Make(topic, 1)
		for i, value := range values {
			theirs(b, 0, fmt.Sprint("key", i), value, int64(i))
		}
		startConsumer(t, b, 1, func(c *broker.ConsumerConfig) { c.DeadLetters = letters })
		synctest.Wait()
	})
	return letters.List()
}

// closeLetters closes the file.
func closeLetters(t *testing.T, d *broker.DeadLetters) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// open reads a file of dead letters until the end of the test.
func openLetters(t *testing.T, path string) *broker.DeadLetters {
	t.Helper()
	letters, err := broker.OpenDeadLetters(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLetters(t, letters) })
	return letters
}

func TestDeadLettersOutliveTheirProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead-letters")
	kept := setAside(t, path, "1", "?", "2", "?")
	if len(kept) != 2 || kept[0].ID != "things-0-1" || kept[1].ID != "things-0-3" {
		t.Fatalf("kept are %+v", kept)
	}
	letters := openLetters(t, path)
	for _, want := range kept {
		got, err := letters.Get(want.ID)
		if err != nil || string(got.Record.Key) != string(want.Record.Key) || string(got.Record.Value) != "?" || got.Reason != want.Reason ||
			got.Record.Offset != want.Record.Offset || !got.Added.Equal(want.Added) || got.Topic != topic {
			t.Errorf("%s is read again as %+v, %v", want.ID, got, err)
		}
	}
}

// TestWhatWasDecidedStaysSo: over a restart, and when the record comes again.
func TestWhatWasDecidedStaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead-letters")
	setAside(t, path, "?", "?", "?")
	letters := openLetters(t, path)
	if err := letters.Settle("things-0-1", "nobody needs it"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"things-0-1", "things-0-9", ""} {
		if err := letters.Settle(id, "again"); !errors.Is(err, broker.ErrNoLetter) {
			t.Errorf("deciding on %q: %v", id, err)
		}
		if _, err := letters.Get(id); !errors.Is(err, broker.ErrNoLetter) {
			t.Errorf("asking for %q: %v", id, err)
		}
	}
	if again := setAside(t, path, "?", "?", "?", "?"); len(again) != 3 || again[1].ID != "things-0-2" || again[2].ID != "things-0-3" {
		t.Errorf("kept are %+v", again)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "nobody needs it") {
		t.Errorf("the reason is not in the file: %v", err)
	}
}

// TestATornLineIsNoLetter: it was never said to be kept, and its record comes again.
func TestATornLineIsNoLetter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead-letters")
	setAside(t, path, "?", "?")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		letters, err := broker.OpenDeadLetters(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if want := strings.Count(string(whole[:cut]), "\n"); letters.Count() != want {
			t.Fatalf("cut at %d there are %d", cut, letters.Count())
		}
		closeLetters(t, letters)
	}
	if again := setAside(t, path, "?", "?"); len(again) != 2 {
		t.Errorf("kept are %+v", again)
	}
}

// TestALineThatIsNoLetterIsRefused with its number: somebody has written into the file.
func TestALineThatIsNoLetterIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead-letters")
	if err := os.WriteFile(path, []byte("{\"id\":\"a\"}\nhello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.OpenDeadLetters(path); err == nil || !strings.Contains(err.Error(), "line 2 of "+path) {
		t.Errorf("it is read: %v", err)
	}
}

// TestMoreDeadLettersThanMayBeKeptEndTheConsumer: dropping one would be worse.
func TestMoreDeadLettersThanMayBeKeptEndTheConsumer(t *testing.T) {
	letters := openLetters(t, "")
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		b.Make(topic, 1)
		for i := range 10_002 {
			theirs(b, 0, "k", "?", int64(i))
		}
		r := startConsumer(t, b, 1, func(c *broker.ConsumerConfig) { c.DeadLetters = letters })
		synctest.Wait()
		if err := r.end(t); !errors.Is(err, broker.ErrLettersFull) {
			t.Errorf("it ended with %v", err)
		}
		if r.Progress().Offsets[0] > 10_000 || letters.Count() != 10_000 {
			t.Errorf("it is at %v with %d letters", r.Progress().Offsets, letters.Count())
		}
	})
}
