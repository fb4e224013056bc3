package api

import (
	"context"
	"strconv"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// Limits of readers who wait for a position.
const (
	defaultWait = 2 * time.Second  // without Prefer: wait
	maxWait     = 30 * time.Second // whatever Prefer says
	maxWaiting  = 1024             // readers at once, a service
)

// Followed is a log that recommendations are made from.
type Followed struct {
	Name string // "user"
	// Lineage says which log it is. It may grow: a log that is followed from afar can
	// be restored meanwhile.
	Lineage  func() eventstore.Lineage
	Position func() eventstore.Position                       // up to where it is read
	Wait     func(context.Context, eventstore.Position) error // returns once it is read so far
}

// source is a log on which a service's answers depend.
type source struct {
	name     string
	lineage  func() eventstore.Lineage
	position func(context.Context) (eventstore.Position, error) // up to where answers contain it
	wait     func(context.Context, eventstore.Position) error   // until they do
}

// reads makes a log that the service owns a source. Its views are written with the
// events, so answers contain all that is in the log.
func (s *Service) reads(log logName, store *eventstore.Store) {
	lineage := func() eventstore.Lineage { return log.lineage }
	s.sources = append(s.sources, source{name: log.name, lineage: lineage, wait: store.Wait, position: func(ctx context.Context) (eventstore.Position, error) {
		head, err := store.Head(ctx)
		return head.Position, err
	}})
}

// follows makes a log that is followed a source.
func (s *Service) follows(f Followed) {
	s.sources = append(s.sources, source{
		name: f.Name, lineage: f.Lineage, wait: f.Wait,
		position: func(context.Context) (eventstore.Position, error) { return f.Position(), nil },
	})
}

// is says whether the log is called so at a position. One of which nothing was read yet may
// be.
func (s *source) is(name string, p eventstore.Position) bool {
	return len(s.lineage()) == 0 || s.identity(p) == name
}

// identity returns how the log is called at a position.
func (s *source) identity(p eventstore.Position) string {
	log := logName{lineage: s.lineage()}
	return log.identity(p)
}

// fresh returns a handler whose answers contain the events up to the positions that
// a client names in Min-Event-Position. Nothing is held while it waits for them.
func (s *Service) fresh(serve func(*request) error) func(*request) error {
	return func(r *request) error {
		if header, sent := r.Header["Min-Event-Position"]; sent {
			if err := s.await(r, header); err != nil {
				return err
			}
		}
		return serve(r)
	}
}

// wanted is a position that an answer has to contain.
type wanted struct {
	source   *source
	position eventstore.Position
}

// await returns once the positions of a header are reached, or when the client
// prefers what is there to nothing.
func (s *Service) await(r *request, header []string) error {
	wants, err := s.wanted(header)
	if err != nil {
		return err
	}
	prefer := wire.ParsePrefer(r.Header["Prefer"])
	patience, applied := defaultWait, ""
	if prefer.Wait >= 0 {
		patience = min(time.Duration(prefer.Wait)*time.Second, maxWait)
		applied = "wait=" + strconv.Itoa(int(patience/time.Second))
	}
	if err := s.reach(r, wants, patience); err != nil {
		if !prefer.Lenient || r.Context().Err() != nil {
			return err
		}
		// What the client reads now is older than what it asked for; it is told.
		applied = joined(applied, "handling=lenient")
	}
	if applied != "" {
		r.set("Preference-Applied", applied)
	}
	return nil
}

// joined returns two members of a list as one, the first of which may be missing.
func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// wanted reads the header Min-Event-Position. Positions in logs that the service
// does not read can't make its answers older, so they are left out.
func (s *Service) wanted(header []string) ([]wanted, error) {
	if len(s.sources) == 0 {
		return nil, failure{slug: wire.InvalidPosition, detail: "This service is fed by a system without positions. Leave Min-Event-Position out."}
	}
	positions, err := wire.ParsePositions(header)
	if err != nil {
		return nil, failure{slug: wire.InvalidPosition, detail: "Min-Event-Position is " + err.Error() + ". Correct it, or leave it out."}
	}
	wants := make([]wanted, 0, len(positions))
	for _, p := range positions {
		switch source := s.source(p.Log); {
		case p.Log != user.Category && p.Log != friend.Category:
			return nil, failure{
				slug:   wire.InvalidPosition,
				detail: "There is no log " + p.Log + "; there are " + user.Category + " and " + friend.Category + ". Correct it.",
			}
		case source == nil:
		case p.Lineage != "" && !source.is(p.Lineage, eventstore.Position(p.Position)):
			return nil, failure{
				slug: wire.LogReplaced,
				detail: "The log " + p.Log + " is " + source.identity(eventstore.Position(p.Position)) + " at position " +
					strconv.FormatInt(p.Position, 10) + ", not " + p.Lineage + ". Forget what was read from the other one, and read it anew.",
			}
		default:
			wants = append(wants, wanted{source, eventstore.Position(p.Position)})
		}
	}
	return wants, nil
}

// source returns a log that the service reads, or nil.
func (s *Service) source(name string) *source {
	for i := range s.sources {
		if s.sources[i].name == name {
			return &s.sources[i]
		}
	}
	return nil
}

// reach returns nil once all positions are reached. There is only so much waiting
// at once: who waits costs a connection, and the next one has to find room.
func (s *Service) reach(r *request, wants []wanted, patience time.Duration) error {
	behind, err := lacking(r.Context(), wants)
	if behind == nil || err != nil {
		return err
	}
	if patience > 0 {
		select {
		case s.waiting <- struct{}{}:
			defer func() { <-s.waiting }()
		default:
			return failure{slug: wire.Busy, retry: retrySoon, detail: "As many readers as there may be are waiting for positions. Send it again after Retry-After."}
		}
		// Waiting may be longer than what the server gives a request to arrive in.
		r.extendRead(patience)
		if behind, err = s.waitFor(r, wants, patience); behind == nil || err != nil {
			return err
		}
	}
	return behindFailure(r.Context(), behind)
}

// waitFor waits for all positions within one span of time, and returns the first
// that was not reached.
func (s *Service) waitFor(r *request, wants []wanted, patience time.Duration) (*wanted, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	defer context.AfterFunc(s.live, cancel)()
	for i := range wants {
		if wants[i].source.wait(ctx, wants[i].position) == nil {
			continue
		}
		switch {
		case r.Context().Err() != nil: // the client has gone
			return nil, r.Context().Err()
		case s.live.Err() != nil:
			return nil, failure{slug: wire.ShuttingDown, retry: retryStart}
		}
		return &wants[i], nil
	}
	return nil, nil
}

// behindFailure says how far a log has got instead.
func behindFailure(ctx context.Context, w *wanted) error {
	at, err := w.source.position(ctx)
	if err != nil {
		return err
	}
	return failure{
		slug: wire.ProjectionBehind, retry: retrySoon,
		detail: "This service has read the log " + w.source.name + " up to " + strconv.FormatInt(int64(at), 10) + ", and " +
			strconv.FormatInt(int64(w.position), 10) + " was asked for. Send it again after Retry-After, " +
			"or with Prefer: handling=lenient to take what there is.",
	}
}

// lacking returns the first position that is not reached, nil if all are.
func lacking(ctx context.Context, wants []wanted) (*wanted, error) {
	for i := range wants {
		at, err := wants[i].source.position(ctx)
		if err != nil {
			return nil, err
		}
		if at < wants[i].position {
			return &wants[i], nil
		}
	}
	return nil, nil
}

// stamped returns a handler whose answers say in Projection-Position what they
// contain. The positions are taken before the question is answered, so the answer
// may contain more, and never less.
func (s *Service) stamped(serve func(*request) error) func(*request) error {
	return func(r *request) error {
		b := make([]byte, 0, 64)
		for i := range s.sources {
			at, err := s.sources[i].position(r.Context())
			if err != nil {
				return err
			}
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(append(b, s.sources[i].name...), ':')
			b = strconv.AppendInt(b, int64(at), 10)
		}
		if len(b) > 0 {
			r.set("Projection-Position", string(b))
		}
		err := serve(r)
		if err != nil {
			delete(r.w.Header(), "Projection-Position") // a problem contains nothing
		}
		return err
	}
}
