package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/user"
)

// verifyCmd checks the logs from beginning to end, and what is made from them.
type verifyCmd struct {
	Data string `default:"./ensemble-data" type:"path" help:"Folder with the data; the system may be running."`
}

// Help implements kong's HelpProvider.
func (verifyCmd) Help() string {
	return `Checks, of each log: every checksum, the chain of commits, positions, versions and
times; that the read models hold what the log says, row by row; that the names can be
read with the keys; and that the graph made from both logs, and from each snapshot of
it, is the one that the rows describe. Ends with 0 if all is well, and with 1 and a sentence for each kind of damage.`
}

// Run checks everything, also when something is damaged, and says what it has checked.
//
//	log        what it was when it was written                 eventstore/sqlite
//	names      open with the keys, or their person was erased  user.Decode
//	views      each row is what the log says                   readmodel
//	graph      each circle of friends is what the rows say     graph, readmodel
//	snapshots  lead to the same graph                          recommendation/memory
//
// Each line leans on those above it: views are computed from a log that was found whole,
// the graph is held against rows that were found right.
func (c *verifyCmd) Run(ctx context.Context, con *console) error {
	var errs []error
	for _, name := range logNames() {
		if err := verifyLog(ctx, con, c.Data, name); err != nil {
			errs = append(errs, fmt.Errorf("verify %s: %w", name, err))
		}
	}
	if len(errs) == 0 { // a graph of damaged logs says nothing
		if err := verifyGraph(ctx, con, c.Data); err != nil {
			errs = append(errs, fmt.Errorf("verify the graph: %w", err))
		}
	}
	return errors.Join(errs...)
}

// verifyLog checks one log with its views and names. Without the keys the names can't be
// opened, and the rows of people, which hold names, can't be computed: it says so and is
// content, for a copy of the logs without the keys is a thing to have.
func verifyLog(ctx context.Context, con *console, data, name string) (err error) {
	r, err := openReading(ctx, data, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	bar := &steps{con: con}
	defer bar.finish()
	log := r.log(name)
	v, err := log.Verify(ctx, sqlite.Progress(bar.move).On("verifying "+name))
	if err != nil {
		return err
	}
	if err := con.say("%s: %d events in %d streams and %d commits are as they were written\n",
		name, v.Events, v.Streams, v.Commits); err != nil {
		return err
	}
	if name == user.Category {
		if r.mute != nil {
			return con.say("%s: names and read models were not checked, for the keys can't be read: %v\n", name, r.mute)
		}
		if err := verifyNames(ctx, con, r, bar.move); err != nil {
			return err
		}
	}
	return verifyViews(ctx, con, namedLog{name, log}, bar.move)
}

// verifyViews checks the read models of a log.
func verifyViews(ctx context.Context, con *console, l namedLog, progress sqlite.Progress) error {
	views, err := l.log.VerifyViews(ctx, progress)
	if err != nil {
		return err
	}
	if len(views.Unmade) > 0 {
		return con.say("%s: the next start makes the read models %s\n", l.name, strings.Join(views.Unmade, ", "))
	}
	return con.say("%s: %d rows of the read models are what the log says at position %d\n", l.name, views.Rows, views.Until)
}

// verifyNames opens every name in the log of users.
func verifyNames(ctx context.Context, con *console, r *reading, progress sqlite.Progress) error {
	log := r.log(user.Category)
	var n nameCheck
	err := replay(ctx, log, progress.On("opening names"), func(e eventstore.Event) error { return n.event(r.keys, e) })
	if err != nil {
		return err
	}
	lost := 0
	for _, gone := range n.gone {
		if gone {
			lost++
		}
	}
	if err := con.say("user: %d names can be read, %d of erased people can't any more\n", n.readable, n.mute-lost); err != nil {
		return err
	}
	if lost == 0 {
		return nil
	}
	return con.say("user: the keys of %d people are destroyed, who are not erased by this log: "+
		"it is older than their erasure. Their names are lost, as they wished\n", lost)
}

// nameCheck counts whose names can be read. A name whose key was destroyed belongs to
// somebody who was erased; if the log does not say so, it is older than the erasure,
// which a restored backup may be. Keys outlive no erasure, so the name stays lost.
type nameCheck struct {
	readable, mute int
	gone           map[eventstore.Stream]bool // whose name can't be read; true while no erasure was met
}

// event takes in an event. A name that neither opens nor was destroyed is an error,
// which names the key and the repair.
func (n *nameCheck) event(keys user.Keys, e eventstore.Event) error {
	decoded, err := user.Decode(keys, e)
	if err != nil {
		return err
	}
	var first string
	switch d := decoded.(type) {
	case user.Created:
		first = d.FirstName
	case user.Renamed:
		first = d.FirstName
	case user.Erased:
		if n.gone[e.Stream] {
			n.gone[e.Stream] = false
		}
		return nil
	}
	if first != "" {
		n.readable++
		return nil
	}
	if n.gone == nil {
		n.gone = map[eventstore.Stream]bool{}
	}
	n.mute++
	n.gone[e.Stream] = true
	return nil
}

// replay calls fn for every event up to where the log ends when it begins.
func replay(
	ctx context.Context, log *sqlite.Log, progress func(done, total eventstore.Position), fn func(eventstore.Event) error,
) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	for at := eventstore.Position(0); at < head.Position; progress(at, head.Position) {
		page, err := log.ReadAll(ctx, at, int(min(eventstore.MaxPage, head.Position-at)))
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := fn(e); err != nil {
				return err
			}
			at = e.Position
		}
	}
	return nil
}

// say prints a line of a report.
func (c *console) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}
