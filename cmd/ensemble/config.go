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
	file, err := os.Open(path)                             //nolint:gosec // the operator's file
	if err != nil {
		return fmt.Errorf("read --config: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	resolver, err := kong.JSON(file)
	if err != nil {
		return fmt.Errorf("read --config %s: %w; it has to be one JSON object", path, err)
	}
	ctx.AddResolver(below{resolver})
	return nil
}

// below lets the environment win over a file: kong would ask the file last.
type below struct{ kong.Resolver }

// Resolve implements kong.Resolver.
func (b below) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if v, ok := lookup(flag); ok {
		return v, nil
	}
	return b.Resolver.Resolve(ctx, parent, flag)
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

// lookup returns the variable that sets a flag. SERVER_PORT and PORT are the
// Spring system's names; they move the gateway.
func lookup(flag *kong.Flag) (string, bool) {
	for _, name := range flag.Envs {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
	}
	if flag.Name != "edge-addr" {
		return "", false
	}
	for _, name := range []string{"SERVER_PORT", "PORT"} {
		if v, ok := os.LookupEnv(name); ok {
			return "127.0.0.1:" + v, true
		}
	}
	return "", false
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
