package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOnlyTheEndOfTheTimeIsForgiven(t *testing.T) {
	for _, c := range []struct {
		output string
		want   bool
	}{
		{"fuzz: elapsed: 5s, execs: 9 (0/sec), new interesting: 1 (total: 5)\n--- FAIL: FuzzA (5.07s)\n    context deadline exceeded\nFAIL\n", true},
		{"--- FAIL: FuzzA (0.01s)\n    --- FAIL: FuzzA (0.00s)\n        a_test.go:9: context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzA/1\n", false},
		{"--- FAIL: FuzzA (5.07s)\n    context deadline exceeded\n    a_test.go:12: not equal\n", false},
		{"--- FAIL: FuzzA (5.07s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\n", false},
		{"panic: boom\n", false},
		{"# ensemble/wire\nbuild failed\n", false},
		{"", false},
	} {
		if got := endedByMistake(c.output); got != c.want {
			t.Errorf("%v, not %v, for\n%s", got, c.want, c.output)
		}
	}
}

func TestATargetThatFindsSomethingFailsAndOneThatDoesNotPasses(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module planted\n\ngo 1.26\n")
	write("good/good_test.go", `package good

import "testing"

func FuzzGood(f *testing.F) { f.Fuzz(func(*testing.T, int) {}) }
`)
	write("bad/bad_test.go", `package bad

import "testing"

func FuzzBad(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) {
		if n != 1 {
			t.Error("found")
		}
	})
}
`)
	targets, err := find(root)
	if err != nil || len(targets) != 2 {
		t.Fatalf("%v, %v", targets, err)
	}
	var said strings.Builder
	if failed := all(t.Context(), targets, time.Second, &said); failed != 1 {
		t.Errorf("%d failed", failed)
	}
	for _, want := range []string{"ok   good", "FAIL bad", "found"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("no %q in\n%s", want, &said)
		}
	}
}

func TestAModuleWithoutTargetsIsAnError(t *testing.T) {
	if targets, err := find(t.TempDir()); err == nil {
		t.Errorf("found %v", targets)
	}
}
