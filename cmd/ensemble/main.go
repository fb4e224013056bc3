// Command ensemble is the whole product in one binary: a social network backend
// whose record is a log of events.
//
//	ensemble up --demo
//
// runs everything in one process, with its data in a folder; --help lists the
// rest. Nothing imports this package.
//
// # How it is wired
//
// Each file is one command; two files say how the parts fit together:
//
//	open.go     which adapters there are: the logs and keys of a data folder
//	system.go   everything in one process: commands to logs, logs to the graph,
//	            paths to services, and in which order all of it starts and stops
//	admin.go    what operators see and order of it
//	snapshots.go, snapshot_folder.go   when the graph is saved, and in which files
//
//	            ┌ user service ────────► log of users ───────┐ subscribe
//	gateway ────┼ friend service ──────► log of friendships ─┤
//	            └ recommendation service ◄── graph ◄─────────┘
//
// # Commands that share a data folder
//
// One process writes a folder; the lock of its logs says so. Commands that only look
// (events verify) open the logs read-only and work beside it. Commands that change
// something ask a running system through its administration (rebuild --admin), or take
// the lock themselves (rebuild on a stopped one), and say which when the other way is
// closed.
//
// # Configuration
//
// A flag, a variable and a member of the file named by --config are the same setting
// under one name. What is set by the flag wins over the variable, the variable over
// the file, and each setting has a default that works on a laptop.
//
// # Starting and stopping
//
// The ports are opened first, so that one in use is known before anything is
// touched; then the keys, the logs, the graph, which is read from its snapshot and
// catches up; then requests are served and the addresses printed. Stopping goes the other way: not ready any
// more, answers ask their clients to leave, what was begun is answered, the
// projections end, the graph is saved, what was queued is committed, the logs are
// closed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli is every command with its flags. Each flag is also a variable
// ENSEMBLE_<FLAG> and a member of the file named by --config.
type cli struct {
	Up             upCmd             `cmd:"" help:"Run everything in this process, with the data in a folder."`
	User           userCmd           `cmd:"" help:"Run the service of people by itself."`
	Friend         friendCmd         `cmd:"" help:"Run the service of friendships by itself."`
	Recommendation recommendationCmd `cmd:"" help:"Run the service of recommendations by itself."`
	Edge           edgeCmd           `cmd:"" help:"Run the gateway by itself, in front of the services."`
	Discovery      discoveryCmd      `cmd:"" help:"Run the registry, in which clients of Eureka register and find each other."`
	Load           loadCmd           `cmd:"" help:"Send people, friendships and questions to a running system, and report."`
	Import         importCmd         `cmd:"" help:"Take people and friendships from files into a running system."`
	Export         exportCmd         `cmd:"" help:"Write the people and friendships of a running system to files."`
	Bench          benchCmd          `cmd:"" help:"Measure this build on this machine, each row with its baseline."`
	Rebuild        rebuildCmd        `cmd:"" help:"Make the read models anew from the logs, stopped or running."`
	Events         eventsCmd         `cmd:"" help:"Look at the logs."`
	Keys           keysCmd           `cmd:"" help:"Back up and restore the keys that open the names in the logs."`
	Doctor         doctorCmd         `cmd:"" help:"Look for what is wrong, or will be, and say what to do."`
	Completion     completionCmd     `cmd:"" help:"Print a script that has your shell complete commands and flags."`
	Complete       completeCmd       `cmd:"" hidden:"" passthrough:"" help:"Print what could come next; for the scripts of 'completion'."`
	Config         configCmd         `cmd:"" help:"Show the configuration that 'up' would run with."`
	Healthcheck    healthcheckCmd    `cmd:"" help:"Ask a running system whether it is up; exit 0 if so."`
	Version        versionCmd        `cmd:"" help:"Show the version."`

	ConfigFile configFile `name:"config" env:"ENSEMBLE_CONFIG" placeholder:"FILE" help:"Read flags from a JSON file, for instance {\"data\":\"/var/lib/ensemble\"}. Variables and the command line win over it."`
	LogLevel   string     `enum:"debug,info,warn,error" default:"info" help:"Log what is at least this important (${enum})."`
	LogFormat  string     `enum:"auto,json,text" default:"auto" help:"Log as ${enum}; auto is coloured text on a terminal and JSON elsewhere."`
}

// console is where a command talks to people.
type console struct {
	out, err io.Writer
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			code = exitCode(r)
		}
	}()
	var c cli
	con := &console{out: out, err: errs}
	parser, err := newParser(&c, con)
	if err != nil {
		return con.fail(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return con.fail(withUsage(err))
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(&c, con, parser, environ(os.Environ())); err != nil {
		return con.fail(err)
	}
	return 0
}

// newParser returns the command line, with variables and files below its flags.
func newParser(c *cli, con *console) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("ensemble"),
		kong.Description("An event-sourced social network backend: people, friendships, and who should befriend whom."),
		kong.Writers(con.out, con.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.DefaultEnvars("ENSEMBLE"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Resolvers(&environment{}),
		kong.UsageOnError(),
	)
}

// exit carries an exit code out of kong, which ends the process after --help.
type exit int

// exitCode returns the code that kong wanted to end the process with; any other
// panic goes on.
func exitCode(r any) int {
	if code, ok := r.(exit); ok {
		return int(code)
	}
	panic(r)
}

// fail tells a person what went wrong and returns the exit code.
func (c *console) fail(err error) int {
	if errors.Is(err, context.Canceled) {
		return 130
	}
	_, _ = fmt.Fprintf(c.err, "ensemble: %v\n", err)
	return 1
}

// withUsage adds where help is to an error about the command line.
func withUsage(err error) error {
	return fmt.Errorf("%w\nRun 'ensemble --help', or 'ensemble COMMAND --help'", err)
}
