package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// completed returns the words that the hidden command offers.
func completed(t *testing.T, words ...string) (offered []string) {
	t.Helper()
	out := new(lockedBuffer)
	if code := run(t.Context(), append([]string{"complete", "--"}, words...), out, out); code != 0 {
		t.Fatalf("%q: ended with %d: %s", words, code, out)
	}
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		offered = append(offered, word)
	}
	return offered
}

func TestWhatComesNextIsOffered(t *testing.T) {
	for _, c := range []struct {
		words string // the last one, after the last space, is to be completed
		want  string
	}{
		{"ev", "events"},
		{"events ", "backup restore show tail verify"},
		{"events v", "verify"},
		{"--log-level debug events v", "verify"},
		{"--log-level=debug events v", "verify"},
		{"--log-level ", "debug error info warn"},
		{"--log-level w", "warn"},
		{"up --edge", "--edge-addr"},
		{"up --demo --edge", "--edge-addr"}, // a switch waits for nothing
		{"up --data ", ""},                  // a folder: the shell knows
		{"up --data --edge", ""},
		{"doctor --output ", "json text"},
		{"completion ", "bash fish zsh"},
		{"completion f", "fish"},
		{"completion bash ", ""},
		{"nonsense-that-is-no-command", ""},
		{"compl", "completion"}, // and not the hidden one
	} {
		got := strings.Join(completed(t, strings.Split(c.words, " ")...), " ")
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.words, d)
		}
	}
	if all := completed(t); !slices.Contains(all, "up") || slices.Contains(all, "complete") {
		t.Errorf("of nothing: %v", all)
	}
}

// TestEveryFlagOfEveryCommandIsOffered walks down all commands by what is offered.
func TestEveryFlagOfEveryCommandIsOffered(t *testing.T) {
	var walk func(words []string)
	commands := 0
	walk = func(words []string) {
		commands++
		if flags := completed(t, append(slices.Clone(words), "--")...); !slices.Contains(flags, "--log-level") || !slices.Contains(flags, "--help") {
			t.Errorf("%v: %v", words, flags)
		}
		if len(words) > 0 && (words[0] == "completion" || words[0] == "doctor") || len(words) == 2 {
			return
		}
		for _, next := range completed(t, append(slices.Clone(words), "")...) {
			walk(append(slices.Clone(words), next))
		}
	}
	walk(nil)
	if commands < 15 {
		t.Errorf("only %d commands were found", commands)
	}
}

// shellPath makes a folder in which this test's binary is called ensemble.
func shellPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "ensemble"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// TestRealShellsComplete has each shell that is there press its key.
func TestRealShellsComplete(t *testing.T) {
	path := shellPath(t)
	for shell, script := range map[string]string{
		"bash": `source <(ensemble completion bash); COMP_WORDS=(ensemble events ve); COMP_CWORD=2; _ensemble; echo "${COMPREPLY[*]}"`,
		"fish": `ensemble completion fish | source; complete -C "ensemble events ve" | string split -f 1 \t`,
		"zsh": `compdef() { : }; compadd() { shift; print -r -- "${found[*]}" }; eval "$(ensemble completion zsh)"; ` +
			`words=(ensemble events ve); CURRENT=3; _ensemble`,
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip("not here")
			}
			cmd := exec.CommandContext(t.Context(), shell, "-c", script)
			cmd.Env = append(os.Environ(), "PATH="+path)
			out, err := cmd.CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "verify" {
				t.Errorf("%v: %q", err, out)
			}
		})
	}
}
