package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"ensemble/eventstore"
)

// slice is how many events one step of a rebuild brings in.
const slice = 1000

// Rebuild fills new tables from the log and lets them take over, see
// [eventstore.Rebuild].
func (l *Log) Rebuild(ctx context.Context, how eventstore.Rebuild) (found eventstore.Rebuilt, err error) {
	if !l.rebuilding.TryLock() {
		return found, eventstore.ErrRebuilding
	}
	defer l.rebuilding.Unlock()
	green := newTables(l.opts.Views)
	for at, done := 0, false; !done; {
		var total int
		err := how.Step(ctx, func() (err error) {
			at, total, err = l.bringIn(green, at)
			done = at == total
			return err
		})
		if err != nil {
			return found, fmt.Errorf("rebuild the views: %w", err)
		}
		how.Report(eventstore.Position(at), eventstore.Position(total))
	}
	err = how.Step(ctx, func() error { found = l.flip(); return nil })
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.green = nil
	}
	return found, err
}

// bringIn applies the next events to new tables, and registers them when they are
// where the log is: each commit writes them from then on.
func (l *Log) bringIn(green map[string]*table, at int) (reached, total int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	page := l.events[at:min(at+slice, len(l.events))]
	rows, err := l.rows(page)
	if err != nil {
		return at, len(l.events), err
	}
	applyTo(green, rows)
	if at += len(page); at == len(l.events) {
		l.green = green
	}
	return at, len(l.events), nil
}

// flip compares the two generations and lets the green one answer.
func (l *Log) flip() eventstore.Rebuilt {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := eventstore.Rebuilt{Position: eventstore.Position(len(l.events))}
	for _, name := range slices.Sorted(maps.Keys(l.green)) {
		found.Tables = append(found.Tables, l.tables[name].compare(l.green[name]))
	}
	l.tables, l.green = l.green, nil
	return found
}

// compare counts the rows that are not the same in a table and its green
// generation.
func (t *table) compare(green *table) eventstore.RebuiltTable {
	content := eventstore.NewContent()
	differ := int64(0)
	for _, key := range green.keys {
		content.Add(green.rows[key])
		if !slices.Equal(t.rows[key], green.rows[key]) {
			differ++
		}
	}
	for key := range t.rows {
		if green.rows[key] == nil {
			differ++
		}
	}
	return eventstore.RebuiltTable{Name: t.def.Name, Rows: content.Rows(), Differ: differ, Hash: content.Sum()}
}
