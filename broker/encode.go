package broker

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"ensemble/eventstore"
)

// errRender means that an event can't be written as a record.
var errRender = errors.New("it can't be written as a record")

// encoder renders pages of events, on all cores if they are long.
type encoder struct {
	render  func(*eventstore.Event, eventstore.Lineage) (Record, error)
	records []Record // used again for each page
}

// chunk is how many events are worth another goroutine.
const chunk = 512

// encode returns the events as records, until it is called again.
func (c *encoder) encode(events []eventstore.Event, lineage eventstore.Lineage) ([]Record, error) {
	if cap(c.records) < len(events) {
		c.records = make([]Record, page)
	}
	c.records = c.records[:len(events)]
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for from := 0; from < len(events); from += chunk {
		to := min(from+chunk, len(events))
		group.Go(func() error { return c.part(events[from:to], c.records[from:to], lineage) })
	}
	return c.records, group.Wait()
}

// part renders some of the events.
func (c *encoder) part(events []eventstore.Event, to []Record, lineage eventstore.Lineage) (err error) {
	for i := range events {
		if to[i], err = c.render(&events[i], lineage); err != nil {
			return fmt.Errorf("event %d: %w: %w", events[i].Position, errRender, err)
		}
	}
	return nil
}
