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
func (v fileValues) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if set, ok, err := lookup(ctx.Command(), flag, os.LookupEnv); ok || err != nil {
		return set, err
	}
	return v[flag.Name], nil
}

// environment resolves flags from variables, those of the Spring system
// included.
type environment struct{}

// Validate implements kong.Resolver.
func (*environment) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (*environment) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok, err := lookup(ctx.Command(), flag, os.LookupEnv)
	if !ok && err == nil && isSingle(ctx.Command()) {
		value, ok, err = springDefault(ctx.Command(), flag.Name, os.LookupEnv)
	}
	if !ok || err != nil {
		return nil, err
	}
	return value, nil
}

// isSingle says whether a command runs one service by itself.
func isSingle(command string) bool {
	switch command {
	case "user", "friend", "recommendation", "edge", "discovery":
		return true
	}
	return false
}

// lookup returns the variable that sets a flag of a command; the Spring system's names
// count too.
func lookup(command string, flag *kong.Flag, env variables) (value string, ok bool, err error) {
	for _, name := range flag.Envs {
		if v, ok := env(name); ok {
			value = v
		}
		if isSecret(flag.Name) {
			if value, err = secretOf(env, name); err != nil {
				return "", false, err
			}
		}
		if _, set := env(name); set || value != "" {
			return value, true, nil
		}
	}
	if isSingle(command) {
		return springValue(command, flag.Name, env)
	}
	before := ""
	if flag.Name == "edge-addr" { // Spring's variables hold ports
		before = "127.0.0.1:"
	}
	for _, name := range springVariables()[flag.Name] {
		if v, ok := env(name); ok {
			return before + v, true, nil
		}
	}
	return "", false, nil
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

// configCmd shows what a command would run with.
type configCmd struct {
	What string `arg:"" optional:"" default:"up" enum:"up,user,friend,recommendation,edge,discovery" help:"Of which command: ${enum} (${default}). Flags can be given for 'up' alone."`
	upFlags
}

// Run prints the configuration as JSON, in the form that --config reads, but for what is
// secret in it.
func (c *configCmd) Run(cli *cli, con *console) error {
	shown, err := c.flags(cli, con)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(con.out)
	enc.SetIndent("", "  ")
	return enc.Encode(shown)
}

// flags returns the flags of the command, as they would be without any on its line.
func (c *configCmd) flags(from *cli, con *console) (any, error) {
	if c.What == "up" {
		return c.upFlags, nil
	}
	other := new(cli)
	parser, err := newParser(other, con)
	if err != nil {
		return nil, err
	}
	args := []string{c.What}
	if from.ConfigFile != "" {
		args = append(args, "--config", string(from.ConfigFile))
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	switch c.What {
	case "user":
		other.User.Store, other.User.MigrateStore = masked(other.User.Store), masked(other.User.MigrateStore)
		other.User.Broker, other.User.Keys = masked(other.User.Broker), masked(other.User.Keys)
		return other.User.userFlags, nil
	case "friend":
		other.Friend.Store, other.Friend.MigrateStore = masked(other.Friend.Store), masked(other.Friend.MigrateStore)
		other.Friend.Broker = masked(other.Friend.Broker)
		return other.Friend.friendFlags, nil
	case "recommendation":
		other.Recommendation.Broker, other.Recommendation.Graph = masked(other.Recommendation.Broker), masked(other.Recommendation.Graph)
		return other.Recommendation.recommendationFlags, nil
	case "discovery":
		return other.Discovery.discoveryFlags, nil
	}
	return other.Edge.edgeFlags, nil
}
