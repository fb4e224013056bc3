package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/wire"
)

// feed is the log of another service, followed over HTTP. Connections that are lost are
// made again by package client, and go on exactly where they were cut; what is added here
// is that a log which is another one by now is told from one that is away.
type feed struct {
	name   string // of the log
	client *client.Client
	types  []string // of events; none: all
	logger *slog.Logger

	mu      sync.Mutex
	lineage eventstore.Lineage
	away    bool // the log was cut, and no event has come since
}

// errReplaced means that a log is another one than the one that was followed: a backup was
// restored, or an older copy put back. Everything that was made from it is made anew.
var errReplaced = errors.New("the log was replaced")

// How often a service is asked that does not answer.
const (
	askSoon = 100 * time.Millisecond
	askLate = 5 * time.Second
)

// followConnections is how many connections a service keeps to another one.
const followConnections = 64

// newFeed returns the feed of a service at an address.
func newFeed(name, url string, logger *slog.Logger, types ...string) *feed {
	hc := &http.Client{Transport: client.Transport(followConnections)}
	return &feed{name: name, client: client.Direct(url, name, hc), types: types, logger: logger}
}

// open returns where the log ends and which log it is. It asks until it is told.
//
// Errors: the context's, and no other.
func (f *feed) open(ctx context.Context) (eventstore.Head, error) {
	told := false
	for wait := askSoon; ; wait = min(2*wait, askLate) {
		head, err := f.head(ctx)
		if err == nil {
			f.learn(head.Lineage)
			return head, nil
		}
		if ctx.Err() != nil {
			return eventstore.Head{}, ctx.Err()
		}
		if !told {
			f.logger.Warn("a log that is to be followed can't be read; it is asked for until it can", "log", f.name, "error", err)
			told = true
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return eventstore.Head{}, ctx.Err()
		}
	}
}

// head asks once where the log ends.
func (f *feed) head(ctx context.Context) (eventstore.Head, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	told, err := f.client.Head(ctx, f.name)
	if err != nil {
		return eventstore.Head{}, err
	}
	return told.Head()
}

// learn takes a lineage for that of the log.
func (f *feed) learn(lineage eventstore.Lineage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lineage = lineage
}

// known returns the lineage of the log as far as it is known.
func (f *feed) known() eventstore.Lineage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lineage
}

// met notes by which UUID the log was known at a position. A restore while it is followed
// adds an entry behind what was read before.
func (f *feed) met(log [16]byte, at eventstore.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = false
	if len(f.lineage) > 0 && f.lineage.At(at) == log {
		return
	}
	// Whoever reads the slice has the old one.
	f.lineage = append(slices.Clip(f.lineage), eventstore.Fork{UUID: log, First: at})
}

// source is a [projection.Source]: the events after a position, then each new one. Data is
// as it was published.
//
// Errors: [errReplaced], client.ErrFeed, the context's, an event that can't be read.
func (f *feed) source(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		from := client.Feed{After: int64(after), Types: f.types, OnCut: f.cut}
		if lineage := f.known(); after > 0 && len(lineage) > 0 {
			uuid := lineage.At(after)
			from.Lineage = fmt.Sprintf("%x", uuid[:4])
		}
		for published, err := range f.client.Events(ctx, f.name, from) {
			if err != nil {
				yield(eventstore.Event{}, f.why(err))
				return
			}
			event, log, err := published.Recorded()
			if err == nil {
				f.met(log, event.Position)
			}
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// cut is told why a connection was lost. While a service is away that happens again and
// again, and is said once.
func (f *feed) cut(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return
	}
	f.away = true
	f.logger.Info("the feed of a log was cut; it goes on where it was", "log", f.name, "error", err)
}

// why tells a log that was replaced from everything else that ends a feed.
func (f *feed) why(err error) error {
	problem, ok := errors.AsType[*client.ProblemError](err)
	if ok && (problem.Slug() == wire.PositionAhead || problem.Slug() == wire.LogReplaced) {
		return fmt.Errorf("%w: %w", errReplaced, err)
	}
	return err
}

// ahead says where the log ends, and when the first event after a position was recorded.
func (f *feed) ahead(ctx context.Context, at eventstore.Position) (eventstore.Position, time.Time, error) {
	head, err := f.head(ctx)
	if err != nil || head.Position <= at {
		return head.Position, time.Time{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	next, err := f.client.Next(ctx, f.name, int64(at))
	return head.Position, next.Time.Time, err
}

// answers is the check that the service answers.
func (f *feed) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	health, err := f.client.Health(ctx, f.name)
	if err == nil && health.Status != "UP" {
		err = fmt.Errorf("it says that it is %s", health.Status)
	}
	return err
}
