package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// configFile is a JSON object with a member for each flag.
type configFile string

// BeforeResolve makes the file a source of flags, below the environment.
func (f configFile) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFile)) //nolint:forcetypeassert // kong hands us our own flag
	if path == "" {
		return nil // a variable that is set to nothing names no file
	}
	values, err := readFileValues(path, k)
	switch {
	case err == nil:
		ctx.AddResolver(values)
	case ctx.Command() == "doctor": // it says what is wrong, beside all else that is
		return nil
	}
	return err
}

// readFileValues reads the flags in a file.
func readFileValues(path string, k *kong.Kong) (fileValues, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator's file
	if err != nil {
		return nil, fmt.Errorf("read --config: %w", err)
	}
	values := fileValues{}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("read --config %s: %w; it has to be one JSON object", path, err)
	}
	if err := values.Validate(k.Model); err != nil {
		return nil, fmt.Errorf("read --config %s: %w", path, err)
	}
	return values, nil
}

// fileValues are the flags in a file.
type fileValues map[string]any

// Validate implements kong.Resolver: it refuses names that no command has.
func (v fileValues) Validate(app *kong.Application) error {
	known := flagsOf(app)
	for name := range v {
		if known[name] == nil {
			return fmt.Errorf("there is no flag %q; 'ensemble config' shows the names", name)
		}
	}
	return nil
}

// Resolve implements kong.Resolver. The environment wins over the file, and kong
// asks the file last.
func (v fileValues) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if set, ok := lookup(flag); ok {
		return set, nil
	}
	return v[flag.Name], nil
}

// environment resolves flags from variables, those of the Spring system
// included.
type environment struct{}

// Validate implements kong.Resolver.
func (*environment) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (*environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if v, ok := lookup(flag); ok {
		return v, nil
	}
	return nil, nil
}

// lookup returns the variable that sets a flag; the Spring system's names count too.
func lookup(flag *kong.Flag) (string, bool) {
	for _, name := range flag.Envs {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
	}
	before := ""
	if flag.Name == "edge-addr" { // Spring's variables hold ports
		before = "127.0.0.1:"
	}
	for _, name := range springVariables()[flag.Name] {
		if v, ok := os.LookupEnv(name); ok {
			return before + v, true
		}
	}
	return "", false
}

// springVariables are the Spring system's variables that set flags of ours, those
// that win first.
func springVariables() map[string][]string {
	return map[string][]string{
		"edge-addr":               {"SERVER_PORT", "PORT"},
		"environment":             {"SPRING_PROFILES_ACTIVE"},
		"prometheus-url":          {"PROMETHEUS_URL"},
		"prometheus-push-enabled": {"PROMETHEUS_PUSH_ENABLED"},
	}
}

// configCmd shows what 'up' would run with.
type configCmd struct {
	upFlags
}

// Run prints the configuration as JSON, in the form that --config reads.
func (c *configCmd) Run(con *console) error {
	enc := json.NewEncoder(con.out)
	enc.SetIndent("", "  ")
	return enc.Encode(c.upFlags)
}
