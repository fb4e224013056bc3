package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// tailCmd prints the end of the logs, and goes on with what is appended if asked to.
//
// It looks at the files and not at the system: it works on one that has stopped, needs no
// port, and prints what is on the disk. Following is looking again ten times a second;
// each look is one row by primary key, which costs some ten microseconds.
//
// Positions count in one log, so beginning after one needs to say in which. Times are of
// both, so that what is printed of both comes in the order in which it happened.
type tailCmd struct {
	Data   string   `default:"./ensemble-data" type:"path" help:"Folder with the data; the system may be running."`
	Log    string   `enum:"user,friend,both" default:"both" help:"Which log: user, friend or both (${default})."`
	Last   int      `short:"n" default:"10" help:"Begin so many events before the end of each log (${default})."`
	After  *int64   `placeholder:"N" help:"Begin after this position instead; needs --log."`
	Types  []string `placeholder:"TYPE" help:"Only events of these types, for instance UserCreated,FriendAdded."`
	Follow bool     `short:"f" help:"Go on with what is appended, until Ctrl-C."`
	Output output   `enum:"auto,text,json" default:"auto" help:"Print as ${enum}; auto is text on a terminal and JSON, an object a line, elsewhere."`
}

// Run prints events, oldest first, those of both logs in the order of their times.
func (c *tailCmd) Run(ctx context.Context, con *console) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	names := []string{c.Log}
	if c.Log == "both" {
		names = logNames()
	}
	r, err := openReading(ctx, c.Data, names...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	tails := make([]*tail, len(r.open))
	for i, l := range r.open {
		if tails[i], err = c.begin(ctx, l); err != nil {
			return err
		}
	}
	return c.run(ctx, tails, newPrinter(con.out, c.Output, r))
}

// check refuses flags that don't go together, and types that are never stored.
func (c *tailCmd) check() error {
	switch {
	case c.After != nil && c.Log == "both":
		return errors.New("--after counts in one log; say in which with --log user or --log friend")
	case c.After != nil && *c.After < 0 || c.Last < 0:
		return errors.New("--after and --last have to be at least 0")
	}
	known := append(user.Types(), friend.Types()...)
	for _, name := range c.Types {
		if !slices.Contains(known, name) {
			return fmt.Errorf("--types: there are no events of type %q; the types are %v", name, known)
		}
	}
	return nil
}

// tail is where the printing of one log is. It holds one page at most, however far behind
// it is.
type tail struct {
	namedLog
	lineage eventstore.Lineage
	after   eventstore.Position
	page    []eventstore.Event // read and not printed yet
}

// begin returns where the printing of a log begins.
func (c *tailCmd) begin(ctx context.Context, l namedLog) (*tail, error) {
	head, err := l.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	t := &tail{namedLog: l, lineage: head.Lineage, after: max(0, head.Position-eventstore.Position(c.Last))}
	if c.After == nil {
		return t, nil
	}
	if t.after = eventstore.Position(*c.After); t.after > head.Position {
		return nil, fmt.Errorf("--after %d is beyond the end of the log of %ss, which is at %d", *c.After, l.name, head.Position)
	}
	return t, nil
}

// tailPoll is how often a log is looked at that another process writes.
const tailPoll = 100 * time.Millisecond

// run prints until the end of the logs, or when following until the context ends,
// which is how it is meant to end.
func (c *tailCmd) run(ctx context.Context, tails []*tail, p *printer) error {
	for {
		t, err := next(ctx, tails)
		if err != nil {
			return endOfFollowing(c.Follow, err)
		}
		if t != nil {
			if err := c.show(t, p); err != nil {
				return err
			}
			continue
		}
		if !c.Follow {
			return nil
		}
		select {
		case <-time.After(tailPoll):
		case <-ctx.Done():
			return nil
		}
	}
}

// endOfFollowing turns Ctrl-C into the end that was asked for.
func endOfFollowing(follow bool, err error) error {
	if follow && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// show prints the first event of a tail's page, if its type was asked for.
func (c *tailCmd) show(t *tail, p *printer) error {
	e := t.page[0]
	t.page, t.after = t.page[1:], e.Position
	if len(c.Types) > 0 && !slices.Contains(c.Types, e.Type) {
		return nil
	}
	return p.print(t.name, t.lineage.At(e.Position), e, nil)
}

// next returns the tail with the oldest event that was not printed, nil if there is
// none. Times of two logs come from one clock while one process writes both; so the
// order is the one in which things happened, but for what is committed in the same
// instant, or while the other log is just being read.
func next(ctx context.Context, tails []*tail) (oldest *tail, err error) {
	for _, t := range tails {
		if len(t.page) == 0 {
			if t.page, err = t.log.ReadAll(ctx, t.after, 1000); err != nil {
				return nil, err
			}
		}
		if len(t.page) > 0 && (oldest == nil || t.page[0].Time.Before(oldest.page[0].Time)) {
			oldest = t
		}
	}
	return oldest, nil
}
