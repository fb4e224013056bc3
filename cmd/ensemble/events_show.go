package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// showCmd prints one stream: what happened to a person or between two people, and what
// they were after each event. The state is folded by the domain's own Evolve, so that
// what is printed is what a command would be decided on.
type showCmd struct {
	Stream string `arg:"" help:"A person, for instance user-7, or a pair, for instance friend-1:2."`
	Data   string `default:"./ensemble-data" type:"path" help:"Folder with the data; the system may be running."`
	Output output `enum:"auto,text,json" default:"auto" help:"Print as ${enum}; auto is text on a terminal and JSON, an object a line, elsewhere."`
}

// Run prints each event of the stream and what it made of the person or the pair.
func (c *showCmd) Run(ctx context.Context, con *console) (err error) {
	stream, err := parseStream(c.Stream)
	if err != nil {
		return err
	}
	r, err := openReading(ctx, c.Data, stream.Category)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	log := r.log(stream.Category)
	bar := newProgress(con.err, "looking for "+stream.String())
	events, err := log.FindStream(ctx, stream, bar.set)
	bar.finish()
	if err != nil {
		return err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return fmt.Errorf("there is no stream %s in the log of %ss, which ends at position %d", stream, stream.Category, head.Position)
	}
	return r.showAll(newPrinter(con.out, c.Output, r), head.Lineage, events)
}

// showAll prints the events of a stream with the state after each.
func (r *reading) showAll(p *printer, lineage eventstore.Lineage, events []eventstore.Event) error {
	fold := friendState()
	if events[0].Stream.Category == user.Category {
		fold = userState(r.keys)
	}
	for _, e := range events {
		state, err := fold(e)
		if err != nil {
			return err
		}
		if err := p.print(e.Stream.Category, lineage.At(e.Position), e, state); err != nil {
			return err
		}
	}
	return nil
}

// parseStream reads the name of a stream. The two of a pair may come in any order.
func parseStream(name string) (eventstore.Stream, error) {
	wrong := fmt.Errorf("%q is not a stream; a person is user-7, a pair is friend-1:2", name)
	category, id, _ := strings.Cut(name, "-")
	switch category {
	case user.Category:
		n, err := parseID(id)
		if err != nil {
			return eventstore.Stream{}, wrong
		}
		return user.Stream(n), nil
	case friend.Category:
		one, other, _ := strings.Cut(id, ":")
		a, errA := parseID(one)
		b, errB := parseID(other)
		if errA != nil || errB != nil || a == b {
			return eventstore.Stream{}, wrong
		}
		return friend.Stream(a, b), nil
	}
	return eventstore.Stream{}, wrong
}

// parseID reads the id of a person.
func parseID(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n < 1 {
		err = strconv.ErrRange
	}
	return n, err
}
