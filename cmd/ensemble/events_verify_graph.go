package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/friend"
	"ensemble/graph"
	"ensemble/readmodel"
	"ensemble/recommendation"
	"ensemble/user"
)

// verifyGraph makes the graph of both logs and holds it against brute force: the rows
// that the views say there are at the same positions.
func verifyGraph(ctx context.Context, con *console, data string) (err error) {
	// Friendships first: whoever they speak of is in the log of users by then.
	r, err := openReading(ctx, data, friend.Category, user.Category)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	bar := &steps{con: con}
	defer bar.finish()
	c := newGraphCheck()
	// Before the logs are read: a snapshot holds nothing that came later.
	var bad error
	logs := [2]recommendation.Log{driverLog(user.Category, r.log(user.Category)), driverLog(friend.Category, r.log(friend.Category))}
	if c.saved, bad = savedGraphs(ctx, con, r, logs); ctx.Err() != nil {
		return ctx.Err()
	}
	for _, l := range r.open {
		feed := c.pair
		if l.name == user.Category {
			feed = c.person
		}
		if err := replay(ctx, l.log, sqlite.Progress(bar.move).On("following "+l.name), feed); err != nil {
			return err
		}
	}
	if err := c.compare(); err != nil {
		return err
	}
	s := c.graph.Stats()
	err = con.say("graph: %d people, %d erased, %d friendships are what both logs say\n", s.People, s.Erased, s.Friendships)
	for _, one := range c.saved {
		err = errors.Join(err, con.say("%s: with the events after user:%d and friend:%d it is the same graph\n", one.path, one.users, one.friends))
	}
	return errors.Join(err, bad)
}

// driverLog returns a log that is only read, as snapshots look at it.
func driverLog(name string, log *sqlite.Log) recommendation.Log {
	return recommendation.Log{Name: name, Head: log.Head, ReadAll: log.ReadAll}
}

// graphCheck makes a graph from events, and beside it the rows from which brute force
// makes another. The two know nothing of each other: the graph sees who was connected
// and disconnected, in order; brute force sees only which rows are left in the end.
//
// The running system's own graph can't be looked at from another process. It is made from
// the logs, or from a snapshot and the events after it, by the same package; both ways are
// gone here, with this very data, and have to lead to the same graph.
type graphCheck struct {
	graph  *graph.Graph
	rows   map[int64][2]int64 // friendships by row
	people map[int64]bool     // false: erased
	saved  []*savedGraph
}

// newGraphCheck returns a check that has seen no events yet.
func newGraphCheck() *graphCheck {
	return &graphCheck{graph: graph.New(), rows: map[int64][2]int64{}, people: map[int64]bool{}}
}

// pair takes in what happened between two people.
func (c *graphCheck) pair(e eventstore.Event) error {
	decoded, err := friend.Decode(e)
	if err != nil {
		return err
	}
	change := graph.Change{Kind: graph.Connect}
	switch d := decoded.(type) {
	case friend.Added:
		change.From, change.To = d.By, d.To
	case friend.Removed:
		change = graph.Change{Kind: graph.Disconnect, From: d.By, To: d.To}
	}
	if err := c.change(change, e.Position); err != nil {
		return err
	}
	rows, err := readmodel.FriendView().Rows(e)
	for _, row := range rows {
		if row.Delete {
			delete(c.rows, row.Values[0].Int())
		} else {
			c.rows[row.Values[0].Int()] = [2]int64{row.Values[1].Int(), row.Values[2].Int()}
		}
	}
	return err
}

// person takes in what happened to somebody. Names don't matter here, so no keys are
// needed.
func (c *graphCheck) person(e eventstore.Event) error {
	id, err := user.PersonOf(e.Stream)
	if err != nil {
		return err
	}
	change := graph.Change{Kind: graph.AddUser, From: id}
	if strings.HasSuffix(e.Type, "Erased") {
		change.Kind = graph.RemoveUser
	}
	if err := c.change(change, e.Position); err != nil {
		return err
	}
	rows, err := readmodel.UsersView(noKeys{}).Rows(e)
	for _, row := range rows {
		if row.Delete {
			c.people[row.Values[0].Int()] = false
		} else if row.Table == "users" {
			c.people[row.Values[0].Int()] = true
		}
	}
	return err
}

// change makes a change in the graph, and in those of the snapshots.
func (c *graphCheck) change(change graph.Change, at eventstore.Position) error {
	_, err := c.graph.Apply([]graph.Change{change})
	for _, s := range c.saved {
		err = errors.Join(err, s.follow(change, at))
	}
	if err != nil {
		return fmt.Errorf("event %d: %w", at, err)
	}
	return nil
}

// circle sums up somebody's friends in any order: how many, and a sum of hashes. Two
// circles with the same two are the same but by a chance of one in 2^64, and it takes 16
// bytes a person instead of a list.
type circle struct {
	friends int
	sum     uint64
}

// with returns the circle with one more friend. The multiplier spreads neighbouring
// ids over all bits (the golden ratio, as in Knuth, The Art of Computer Programming,
// volume 3, 6.4), so that sums of different circles differ.
func (c circle) with(id int64) circle {
	h := uint64(id) * 0x9e3779b97f4a7c15
	return circle{c.friends + 1, c.sum + (h^h>>29)*h}
}

// compare holds the graph against the rows, and those of the snapshots.
func (c *graphCheck) compare() error {
	circles, pairs := c.circles()
	if err := c.compareOne(c.graph, circles, pairs); err != nil {
		return err
	}
	for _, s := range c.saved {
		if err := c.compareOne(s.graph, circles, pairs); err != nil {
			return fmt.Errorf("%s: %w; until then delete it, and the graph is made from the logs", s.path, err)
		}
	}
	return nil
}

// compareOne holds one graph against the rows: its size, and each person's friends.
func (c *graphCheck) compareOne(g *graph.Graph, circles map[int64]circle, pairs int) error {
	alive := 0
	for id, there := range c.people {
		if !there {
			continue
		}
		alive++
		found, err := g.Friends(nil, id)
		if err != nil {
			return err
		}
		var in circle
		for _, other := range found {
			in = in.with(other)
		}
		if in != circles[id] {
			return fmt.Errorf("person %d has %d friends in the graph and %d in the rows, or others; "+
				"this is an error of the program, not of the data: please report it", id, in.friends, circles[id].friends)
		}
	}
	if s := g.Stats(); s.People != alive || s.Erased != len(c.people)-alive || s.Friendships != pairs {
		return fmt.Errorf("the graph has %d people, %d erased, %d friendships, the rows have %d, %d, %d; "+
			"this is an error of the program, not of the data: please report it",
			s.People, s.Erased, s.Friendships, alive, len(c.people)-alive, pairs)
	}
	return nil
}

// circles returns the friends of everybody by the rows, and how many pairs there are.
// Two rows in the two directions are one pair; only people who are there count as
// friends.
func (c *graphCheck) circles() (circles map[int64]circle, pairs int) {
	seen := make(map[[2]int64]bool, len(c.rows))
	circles = make(map[int64]circle, len(c.people))
	for _, row := range c.rows {
		pair := [2]int64{min(row[0], row[1]), max(row[0], row[1])}
		if seen[pair] {
			continue
		}
		seen[pair] = true
		if c.people[pair[0]] && c.people[pair[1]] {
			circles[pair[0]] = circles[pair[0]].with(pair[1])
			circles[pair[1]] = circles[pair[1]].with(pair[0])
		}
	}
	return circles, len(seen)
}
