package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"ensemble/internal/telemetry"
)

// doctorCmd looks for what is wrong, or will be, and says what to do.
type doctorCmd struct {
	upFlags
	Target string `placeholder:"URL" help:"Also ask this gateway or service how it is."`
	Admin  string `placeholder:"URL" help:"Also ask this administration how far everything is behind."`
	Output string `enum:"text,json" default:"text" help:"Report as ${enum}."`
}

// Help implements kong's HelpProvider.
func (doctorCmd) Help() string {
	return `Looks at the configuration, the ports, the disk, the clock, permissions, versions,
the logs and the keys, beside a running system too, and with --target, --admin or
--ready-file at that system. Takes the flags that 'up' takes. It changes nothing: it
measures the disk with a file that it removes. Ends with 1 only if there is a problem.`
}

// The outcomes of a check.
const (
	fine    = "ok"
	hint    = "hint"    // it works; somebody may want to know
	problem = "problem" // it does not work, or will not
)

// A report for people has a line for each finding and one below it with what to do:
//
//	ok       ports          127.0.0.1:9000 is free for edge
//	problem  ports          127.0.0.1:8120 for user is in use by nginx (process 812)
//	                        → Stop it, or choose another port with --user-addr.
//
// For programs there is the same as a JSON array:
//
//	{"area":"ports","status":"problem","found":"127.0.0.1:8120 …","do":"Stop it, …"}
//
// How to add a check:
//
//  1. find the area, or add one to the list in run; its order is the order of the report,
//  2. call ok with what was looked at, also when all is well: silence looks like a check
//     that was forgotten,
//  3. call add with one sentence of what is, and one of what to do that begins with a
//     verb; whoever reads it has not read the documentation,
//  4. break something so that it shows, in the table of the tests.

// finding is the outcome of one check.
type finding struct {
	Area   string `json:"area"`
	Status string `json:"status"`
	Found  string `json:"found"`
	Do     string `json:"do,omitempty"` // what to do about it, one sentence
}

// findings collects what is found in one area.
type findings struct {
	area string
	list []finding
}

// ok notes what is as it should be.
func (f *findings) ok(format string, args ...any) {
	f.list = append(f.list, finding{f.area, fine, fmt.Sprintf(format, args...), ""})
}

// add notes something to do.
func (f *findings) add(status, do, format string, args ...any) {
	f.list = append(f.list, finding{f.area, status, fmt.Sprintf(format, args...), do})
}

// What is looked at, and where the limits come from:
//
//	versions       which build runs where; nothing to judge
//	configuration  the file, variables and flags 'up' would run with: names that set
//	               nothing, values that can't be, two flags that contradict
//	ports          whether each could be listened on, and who is in the way
//	disk           room, kind of file system, time of a sync: each command waits for one
//	permissions    whether others may read the logs or, which is worse, the keys
//	logs           the checks that opening makes, where each ends, its saved heads, its
//	               write-ahead log, and the clock against its last event
//	keys           whether they are there and open the last names
//	system         what a running one says of itself, if it is known where it is
//
// A hint is what works today. A problem keeps 'up' from starting, or loses or shows
// what should be kept; only problems make the exit code 1, so that the command can
// stand in front of a start.
//
// Nothing is judged twice: what one check has said, the next ones pass over. No check
// ends the others, for somebody who mends one thing at a time is slow.

// examination is what the checks know of each other.
type examination struct {
	flags  doctorCmd
	model  *kong.Application
	config string // the file, "" for none
	env    []string
	proc   string // where Linux tells of processes
	holder string // who has the logs open, "" for nobody
}

// Run looks at everything, however much is wrong.
func (c *doctorCmd) Run(ctx context.Context, cli *cli, con *console, k *kong.Kong, env environ) error {
	e := &examination{flags: *c, model: k.Model, config: string(cli.ConfigFile), env: env, proc: "/proc"}
	return con.report(e.run(ctx), c.Output)
}

// run makes all checks. Who holds the logs comes first, for a port in use by the same
// system is no problem.
func (e *examination) run(ctx context.Context) []finding {
	e.holder = e.holderOf(e.flags.Data)
	var all []finding
	for _, area := range []struct {
		name  string
		check func(context.Context, *findings)
	}{
		{"versions", e.checkVersions},
		{"configuration", e.checkConfiguration},
		{"ports", e.checkPorts},
		{"disk", e.checkDisk},
		{"permissions", e.checkPermissions},
		{"logs", e.checkLogs},
		{"keys", e.checkKeys},
		{"system", e.checkSystem},
	} {
		found := &findings{area: area.name}
		area.check(ctx, found)
		all = append(all, found.list...)
	}
	return all
}

// report prints the findings. The error counts the problems.
func (c *console) report(found []finding, output string) error {
	problems := 0
	for _, f := range found {
		if f.Status == problem {
			problems++
		}
	}
	if output == "json" {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(found); err != nil {
			return err
		}
	} else if err := c.printFindings(found); err != nil {
		return err
	}
	switch problems {
	case 0:
		return nil
	case 1:
		return errors.New("there is a problem")
	}
	return fmt.Errorf("there are %d problems", problems)
}

// printFindings prints a line for each finding, and one for what to do.
func (c *console) printFindings(found []finding) error {
	colours := map[string]string{fine: "\x1b[32m", hint: "\x1b[33m", problem: "\x1b[31m"}
	plain := "\x1b[0m"
	if !telemetry.IsTerminal(c.out) {
		colours, plain = nil, ""
	}
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s%-8s%s %-14s %s\n", colours[f.Status], f.Status, plain, f.Area, f.Found)
		if f.Do != "" {
			fmt.Fprintf(&b, "%-23s → %s\n", "", f.Do)
		}
	}
	_, err := fmt.Fprint(c.out, b.String())
	return err
}
