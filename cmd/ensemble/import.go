package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ensemble/client"
	"ensemble/internal/transfer"
)

// importCmd takes people and friendships from files into a running system. It is a
// client like any other: what the system promises for commands with idempotency keys
// is all that an import builds on. So it works against any mode of running it, from
// another machine too, while others use it, and nothing has to be locked or stopped.
type importCmd struct {
	Target  string `default:"http://127.0.0.1:9000" help:"Base address of the gateway (${default})."`
	People  string `placeholder:"FILE" type:"existingfile" help:"CSV with a header, or NDJSON, of firstName, lastName and, if friendships refer to it, id."`
	Friends string `placeholder:"FILE" type:"existingfile" help:"Edge list: two ids a line, separated by spaces, a tab, a comma or a semicolon, with or without a header; or NDJSON of userId and friendId."`
	Map     string `placeholder:"FILE" type:"path" help:"Where the id that each person is given is noted; an interrupted import goes on from it."`
	DryRun  bool   `help:"Read everything, say what would be done and what is odd, change nothing."`
	Strict  bool   `help:"Refuse files in which anything is odd; nothing is sent then."`
	Odd     int    `default:"5" help:"How many lines of each oddity to show (${default}); all are counted."`
	Clients int    `default:"64" help:"Requests under way at once (${default})."`

	kafkaImport
}

// Help implements kong's HelpProvider.
func (importCmd) Help() string {
	return `Files may be compressed with gzip. People get ids of the target's choice; friendships
refer to the id column of --people, or without one to the place of a person in the
file, from 1. Without --people they refer to the people of --map, and without that to
user ids of the target.

	ensemble import --people people.csv --friends friends.txt.gz --map people.map --dry-run
	ensemble import --people people.csv --friends friends.txt.gz --map people.map

Interrupted anywhere, it goes on with the same command, within a day: each person and
each friendship is made once. (The system remembers a command for 24 hours; who is in
the map is remembered for good.) What is odd is left out and reported with its line:
friendships with oneself or repeated, unknown people, names that are not allowed, text
that is not UTF-8.

With --from-kafka the topics of another system, one of Spring or of ours, are taken over
with all ids into a data folder that is new; what is odd is reported with what became of
it. Interrupted, begin with another folder.

	ensemble import --from-kafka kafka://127.0.0.1:9092 --dry-run
	ensemble import --from-kafka kafka://127.0.0.1:9092 --into ensemble-data`
}

// Validate implements kong's check of flags.
func (c *importCmd) Validate() error {
	switch {
	case c.FromKafka != "" && (c.People != "" || c.Friends != "" || c.Map != ""):
		return errors.New("--from-kafka takes a whole system over: leave --people, --friends and --map out")
	case c.FromKafka != "" && c.Into == "" && !c.DryRun:
		return errors.New("--from-kafka needs --into DIR, a new data folder")
	case c.FromKafka != "":
		return nil
	case c.People == "" && c.Friends == "":
		return errors.New("nothing to import: name a file with --people, --friends or both")
	case c.People != "" && c.Map == "" && !c.DryRun:
		return errors.New("--people needs --map FILE, where the ids that people are given are noted")
	case c.Clients < 1 || c.Clients > 4096:
		return errors.New("--clients has to be from 1 to 4096")
	case c.Odd < 0 || c.Odd > 1_000_000:
		return errors.New("--odd has to be from 0 to 1000000")
	}
	return nil
}

// Run reads the files, reports what is odd, and sends the rest. Nothing is sent
// before every file was read to its end: what a person has to decide about a file
// (another map, a missing column, --strict) is asked while nothing has happened yet.
func (c *importCmd) Run(ctx context.Context, cli *cli, con *console) error {
	if c.FromKafka != "" {
		return c.takeTopics(ctx, cli, con, c.DryRun, c.Strict)
	}
	plan, err := transfer.Read(transfer.Files{People: c.People, Friends: c.Friends, Map: c.Map, NoMap: c.DryRun, Keep: c.Odd})
	if errors.Is(err, transfer.ErrMap) {
		return fmt.Errorf("%w; another is chosen with --map", err)
	}
	if err != nil {
		return err
	}
	// Otherwise the report comes at the end, with what the target has refused.
	if c.DryRun || c.Strict && plan.OddLines() > 0 {
		if err := writeOdd(con.out, plan); err != nil {
			return err
		}
	}
	switch {
	case c.Strict && plan.OddLines() > 0:
		return fmt.Errorf("%d lines are odd and --strict was given: nothing was sent", plan.OddLines())
	case c.DryRun:
		create, noted := plan.People()
		_, err := fmt.Fprintf(con.out, "would create %d people (%d are in the map) and make %d friendships; nothing was sent\n",
			create, noted, plan.Friendships())
		return err
	}
	return c.send(ctx, con, plan)
}

// send carries the plan out and reports, also what was done before a failure: the
// report of an interrupted import says how much of it the next one need not do.
func (c *importCmd) send(ctx context.Context, con *console, plan *transfer.Plan) error {
	options, done := transferOptions(con, c.Target, c.Clients)
	result, err := transfer.Import(ctx, plan, options)
	done()
	report := writeOdd(con.out, plan)
	if report == nil {
		_, report = fmt.Fprintf(con.out, "people: %d created, %d there before\nfriendships: %d made, %d there before\n",
			result.PeopleCreated, result.PeopleBefore, result.FriendshipsMade, result.FriendshipsBefore)
	}
	switch {
	case errors.Is(err, transfer.ErrMap):
		return fmt.Errorf("%w; another is chosen with --map", err)
	case err != nil:
		return fmt.Errorf("import into %s: %w; the same command goes on from here", c.Target, err)
	}
	return report
}

// transferOptions returns what import and export have in common, and what to call
// at their end, more than once if that is easier. A request that takes a minute is
// given up and sent again: the system is gone, or not itself.
func transferOptions(con *console, target string, clients int) (o transfer.Options, done func()) {
	transport := client.Transport(clients)
	bars := newBars(con)
	o = transfer.Options{
		Client:  client.New(target, &http.Client{Transport: transport, Timeout: time.Minute}),
		Workers: clients, Progress: bars.move,
	}
	return o, func() {
		bars.finish()
		transport.CloseIdleConnections()
	}
}

// writeOdd reports the lines of all files that were not taken in.
func writeOdd(out io.Writer, plan *transfer.Plan) error {
	var b strings.Builder
	for _, odd := range plan.Odd {
		if err := odd.Write(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
