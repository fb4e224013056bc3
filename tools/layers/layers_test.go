// Package layers tests the linter's configuration: for each layer rule it plants
// an import that the rule forbids, and sees it caught.
package layers

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// violation is an import that must be refused.
type violation struct{ folder, imports string }

// violations has one for each rule of .golangci.yml, by its name.
func violations() map[string]violation {
	return map[string]violation{
		"graph":                   {"graph", "ensemble/eventstore"},
		"internal":                {"internal/telemetry", "ensemble/user"},
		"keyring":                 {"internal/keyring", "ensemble/friend"},
		"guard":                   {"internal/guard", "ensemble/api"},
		"auth":                    {"internal/auth", "ensemble/user"},
		"eventstore":              {"eventstore", "ensemble/user"},
		"eventstore-adapters":     {"eventstore/sqlite", "ensemble/eventstore/memory"},
		"decider-projection":      {"decider", "ensemble/user"},
		"deciders-suite":          {"decider/decidertest", "ensemble/user"},
		"user":                    {"user", "ensemble/friend"},
		"friend":                  {"friend", "ensemble/readmodel"},
		"broker":                  {"broker", "ensemble/user"},
		"broker-adapters":         {"broker/kafka", "ensemble/user"},
		"readmodel":               {"readmodel", "ensemble/api"},
		"recommendation":          {"recommendation", "ensemble/readmodel"},
		"recommendation-adapters": {"recommendation/memory", "ensemble/readmodel"},
		"wire":                    {"wire", "ensemble/readmodel"},
		"client":                  {"client", "ensemble/user"},
		"api":                     {"api", "ensemble/eventstore/sqlite"},
		"discovery":               {"discovery", "ensemble/wire"},
		"discovery-adapters":      {"discovery/eureka", "ensemble/wire"},
		"edge":                    {"edge", "ensemble/api"},
		"console":                 {"console", "ensemble/api"},
		"loadgen-chaos":           {"internal/loadgen", "ensemble/api"},
		"transfer":                {"internal/transfer", "ensemble/friend"},
		"adopt":                   {"internal/adopt", "ensemble/readmodel"},
		"bench":                   {"internal/bench", "ensemble/api"},
		"user knows no HTTP":      {"user", "net/http"},
		"user knows no SQL":       {"user", "database/sql"},
		"friend knows no HTTP":    {"friend", "net/http"},
		"friend knows no SQL":     {"friend", "database/sql"},
	}
}

func TestEachLayerRuleCatchesAViolation(t *testing.T) {
	linter := build(t)
	dir := t.TempDir()
	write(t, dir, "go.mod", "module ensemble\n\ngo 1.26\n")
	copyConfig(t, dir)
	for name, v := range violations() {
		file := strings.NewReplacer(" ", "_", "-", "_").Replace(name) + ".go"
		write(t, filepath.Join(dir, v.folder), file,
			"package "+filepath.Base(v.folder)+"\n\nimport _ \""+v.imports+"\"\n")
		if path, ours := strings.CutPrefix(v.imports, "ensemble/"); ours {
			write(t, filepath.Join(dir, path), "empty.go", "package "+filepath.Base(path)+"\n")
		}
	}
	report := lint(t, linter, dir)
	for name, v := range violations() {
		file := v.folder + "/" + strings.NewReplacer(" ", "_", "-", "_").Replace(name) + ".go"
		if !strings.Contains(report, file) {
			t.Errorf("%s: %s may import %s unseen", name, v.folder, v.imports)
		}
	}
	if t.Failed() {
		t.Log(report)
	}
}

func TestEveryLayerRuleHasAViolation(t *testing.T) {
	config, err := os.ReadFile("../../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	planted := violations()
	for _, line := range strings.Split(string(config), "\n") {
		name, isRule := strings.CutPrefix(line, "        ")
		name, ends := strings.CutSuffix(name, ":")
		if !isRule || !ends || strings.HasPrefix(name, " ") {
			continue
		}
		if _, ok := planted[name]; !ok {
			t.Errorf("no violation is planted for the rule %s", name)
		}
	}
}

// build returns the linter of tools/go.mod.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "golangci-lint")
	out, err := exec.Command("go", "build", "-o", path, "github.com/golangci/golangci-lint/v2/cmd/golangci-lint").CombinedOutput()
	if err != nil {
		t.Fatalf("build the linter: %v\n%s", err, out)
	}
	return path
}

// lint returns what the layer rules alone say of a module.
func lint(t *testing.T, linter, dir string) string {
	t.Helper()
	cmd := exec.Command(linter, "run", "--enable-only=depguard", "--max-same-issues=0", "--max-issues-per-linter=0", "./...")
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err == nil {
		t.Fatalf("nothing was caught\n%s", out.String())
	}
	return out.String()
}

func copyConfig(t *testing.T, dir string) {
	t.Helper()
	config, err := os.ReadFile("../../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".golangci.yml", string(config))
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
