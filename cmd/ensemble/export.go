package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"ensemble/internal/transfer"
)

// exportCmd writes the people and friendships of a running system to files. It asks
// through the gateway and not the data folder, so that it works from anywhere and
// shows what clients see: no erased people, no keys.
type exportCmd struct {
	Target  string          `default:"http://127.0.0.1:9000" help:"Base address of the gateway (${default})."`
	People  string          `required:"" placeholder:"FILE" type:"path" help:"Where to write the people: id, firstName, lastName."`
	Friends string          `required:"" placeholder:"FILE" type:"path" help:"Where to write the friendships: userId, who began it, and friendId."`
	Format  transfer.Format `enum:"csv,ndjson" default:"csv" help:"Write ${enum} (${default})."`
	Clients int             `default:"64" help:"Requests under way at once (${default})."`
}

// Help implements kong's HelpProvider.
func (exportCmd) Help() string {
	return `Reads everybody and every friendship through the gateway, and writes what 'import'
reads. The files hold names, which are personal data: only their owner may read them
(mode 0600), and neither replaces a file that is there. Changes made meanwhile may or
may not be in them; for a copy of one moment, stop writing first.

	ensemble export --people people.csv --friends friends.csv`
}

// Validate implements kong's check of flags.
func (c *exportCmd) Validate() error {
	if c.Clients < 1 || c.Clients > 4096 {
		return errors.New("--clients has to be from 1 to 4096")
	}
	return nil
}

// Run writes both files. Each appears when it is whole; after a failure there may be
// the people without the friendships.
func (c *exportCmd) Run(ctx context.Context, con *console) error {
	options, done := transferOptions(con, c.Target, c.Clients)
	defer done()
	exported, err := transfer.Export(ctx, c.People, c.Friends, c.Format, options)
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%w; remove it, or name another file with --people or --friends", err)
	case err != nil:
		return fmt.Errorf("export %s: %w", c.Target, err)
	}
	done()
	_, err = fmt.Fprintf(con.out, "%d people, %d friendships\n", exported.People, exported.Friendships)
	return err
}
