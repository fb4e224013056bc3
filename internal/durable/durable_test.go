package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// holds says what is in a file, and that nothing else is in its folder.
func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("the file holds %q, %v, not %q", got, err, want)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("beside it are %v, %v", all, err)
	}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note")
	for _, s := range []string{"a long first one", "second", ""} {
		if err := errors.Join(Replace(path, text(s)), SyncFolder(filepath.Dir(path))); err != nil {
			t.Fatal(err)
		}
		holds(t, path, s)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
}

func TestWritingThatFailsLeavesTheOldFileAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note")
	if err := Replace(path, text("old")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	err := Replace(path, func(w io.Writer) error { return errors.Join(text("half of the n")(w), full) })
	if !errors.Is(err, full) {
		t.Errorf("it says %v", err)
	}
	holds(t, path, "old")
}

func TestWhatACrashHasLeftIsUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note")
	if err := os.WriteFile(path+".new", []byte("what was being written, and is longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, text("new")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new")
}

func TestAFolderThatIsNotThereIsSaid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	for what, err := range map[string]error{
		"replace": Replace(filepath.Join(dir, "note"), text("new")),
		"sync":    SyncFolder(dir),
	} {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func ExampleReplace() {
	dir, err := os.MkdirTemp("", "durable")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "note")
	err = errors.Join(Replace(path, text("kept")), SyncFolder(dir))
	kept, _ := os.ReadFile(path)
	fmt.Println(string(kept), err)
	// Output: kept <nil>
}
