package decider

import (
	"context"
	"errors"
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"ensemble/eventstore"
)

// ErrKeyReused means that the key came before with another payload. Nothing was
// written.
var ErrKeyReused = errors.New("the idempotency key was used before for something else")

// ErrPrecondition means that the stream is not at a version that the command was
// meant for. Nothing was written.
var ErrPrecondition = errors.New("the stream has changed since")

// attempts is how often a command is decided anew when others are faster. Each
// conflict means that another command got through, so progress is made.
const attempts = 100

// Handler takes commands to the streams of one kind. Its methods may be called
// concurrently.
//
// It keeps the states of the streams used last. A cached state is never taken on
// trust: events are appended at its version, which the log checks, and before a
// command is answered without events the state is brought up to date.
type Handler[S, C, E any] struct {
	store      *eventstore.Store
	decider    Decider[S, C, E]
	codec      Codec[E]
	rejections Rejections

	mu    sync.Mutex
	cache *lru.LRU[eventstore.Stream, snapshot[S]]
}

// snapshot is the state of a stream at a version.
type snapshot[S any] struct {
	state    S
	version  eventstore.Version
	position eventstore.Position // of the last event; 0 if there is none
	cached   bool                // may be behind the log
}

// NewHandler returns a handler over a log that keeps up to cache (at least 1)
// states.
func NewHandler[S, C, E any](
	store *eventstore.Store, d Decider[S, C, E], codec Codec[E], rejections Rejections, cache int,
) *Handler[S, C, E] {
	c, err := lru.NewLRU[eventstore.Stream, snapshot[S]](max(cache, 1), nil)
	if err != nil {
		panic(err) // only for sizes below 1
	}
	return &Handler[S, C, E]{store: store, decider: d, codec: codec, rejections: rejections, cache: c}
}

// Handle decides a command on its stream and appends what it leads to. A stream
// without ID is a new one, named by the number of its first event. key is nil for
// a command without an idempotency key.
//
// Errors: what Decide returns, ErrKeyReused, those of eventstore's Append.
func (h *Handler[S, C, E]) Handle(
	ctx context.Context, stream eventstore.Stream, command C, key *eventstore.Key,
) (Outcome[S], error) {
	if key != nil {
		previous, found, err := h.store.Outcome(ctx, key.Hash)
		if err != nil {
			return Outcome[S]{}, fmt.Errorf("look for the key: %w", err)
		}
		if found {
			return h.replay(ctx, key, previous)
		}
	}
	return h.decide(ctx, stream, command, nil, key)
}

// HandleIf is Handle for a command that is meant for some versions of its stream
// only: the version that holds has accepted is the one the events are appended at,
// however many others are under way. It is asked last, so a command that is
// refused anyway is refused for its own reason.
//
// Errors: ErrPrecondition, and as Handle.
func (h *Handler[S, C, E]) HandleIf(
	ctx context.Context, stream eventstore.Stream, command C, holds Condition,
) (Outcome[S], error) {
	return h.decide(ctx, stream, command, holds, nil)
}

// decide loads, decides and appends, and starts again when somebody else was
// faster.
func (h *Handler[S, C, E]) decide(
	ctx context.Context, stream eventstore.Stream, command C, holds Condition, key *eventstore.Key,
) (Outcome[S], error) {
	current, err := h.load(ctx, stream)
	for range attempts {
		if err != nil {
			return Outcome[S]{}, err
		}
		outcome, err := h.try(ctx, stream, current, command, holds, key)
		if _, conflict := errors.AsType[*eventstore.ConflictError](err); !conflict {
			return outcome, err
		}
		if current, err = h.catchUp(ctx, stream, current); err != nil {
			return Outcome[S]{}, err
		}
	}
	return Outcome[S]{}, fmt.Errorf("%w: stream %s changed %d times in a row", eventstore.ErrBusy, stream, attempts)
}

// try decides once. A ConflictError asks for another try.
func (h *Handler[S, C, E]) try(
	ctx context.Context, stream eventstore.Stream, current snapshot[S], command C, holds Condition, key *eventstore.Key,
) (Outcome[S], error) {
	events, refusal := h.decider.Decide(current.state, command)
	if refusal == nil && holds != nil && !holds(current.version) {
		refusal = ErrPrecondition
	}
	if refusal == nil && len(events) > 0 {
		return h.append(ctx, stream, current, events, key)
	}
	if current.cached {
		latest, err := h.catchUp(ctx, stream, current)
		if err != nil {
			return Outcome[S]{}, err
		}
		if latest.version != current.version {
			return Outcome[S]{}, &eventstore.ConflictError{Stream: stream, Expected: current.version, Actual: latest.version}
		}
	}
	return h.answer(ctx, stream, current, refusal, key)
}

// append records the events that were decided.
func (h *Handler[S, C, E]) append(
	ctx context.Context, stream eventstore.Stream, current snapshot[S], events []E, key *eventstore.Key,
) (Outcome[S], error) {
	write := eventstore.Write{
		Stream: stream, Expected: current.version, Events: make([]eventstore.NewEvent, len(events)), Key: key,
	}
	for i, e := range events {
		var err error
		if write.Events[i], err = h.codec.Encode(e); err != nil {
			return Outcome[S]{}, fmt.Errorf("encode for stream %s: %w", stream, err)
		}
	}
	result, err := h.store.Append(ctx, write)
	if err != nil {
		return Outcome[S]{}, err
	}
	if result.Previous != nil {
		return h.replay(ctx, key, *result.Previous)
	}
	next := h.fold(current, events, write.Events, result)
	h.remember(result.Stream, next)
	return next.outcome(result.Stream, true), nil
}

// fold returns the state after events that were just recorded.
func (h *Handler[S, C, E]) fold(
	current snapshot[S], events []E, written []eventstore.NewEvent, result eventstore.Result,
) snapshot[S] {
	number := result.Number
	for i, e := range events {
		recorded := Recorded[E]{Event: e, Time: result.Time}
		if written[i].Number != eventstore.NoNumber {
			recorded.Number = number
			number++
		}
		current.state = h.decider.Evolve(current.state, recorded)
	}
	return snapshot[S]{state: current.state, version: result.Version, position: result.Position}
}

// answer ends a command that leads to no events. With a key the answer is
// recorded, at the version it was decided on.
func (h *Handler[S, C, E]) answer(
	ctx context.Context, stream eventstore.Stream, current snapshot[S], refusal error, key *eventstore.Key,
) (Outcome[S], error) {
	outcome := current.outcome(stream, false)
	if key == nil {
		return outcome, refusal
	}
	write := eventstore.Write{Stream: stream, Expected: current.version, Key: key}
	if refusal != nil {
		data, keep := h.rejections.Encode(refusal)
		if !keep {
			return outcome, refusal
		}
		write.Key = &eventstore.Key{Hash: key.Hash, Fingerprint: key.Fingerprint, Outcome: data}
	}
	if stream.ID == "" {
		write.Stream, write.Expected = eventstore.Stream{}, eventstore.Any
	}
	result, err := h.store.Append(ctx, write)
	if err != nil {
		return Outcome[S]{}, err
	}
	if result.Previous != nil {
		return h.replay(ctx, key, *result.Previous)
	}
	return outcome, refusal
}

// replay answers a command as it was answered before: from the stream as it was
// then.
func (h *Handler[S, C, E]) replay(
	ctx context.Context, key *eventstore.Key, previous eventstore.Outcome,
) (Outcome[S], error) {
	if previous.Fingerprint != key.Fingerprint {
		return Outcome[S]{}, ErrKeyReused
	}
	if len(previous.Data) > 0 {
		return Outcome[S]{Replayed: true}, h.rejections.Decode(previous.Data)
	}
	var then snapshot[S]
	if previous.Version > 0 { // else there was nothing yet, whatever there is now
		var err error
		if then, err = h.read(ctx, previous.Stream, then, previous.Version); err != nil {
			return Outcome[S]{}, err
		}
	}
	outcome := then.outcome(previous.Stream, previous.Events > 0)
	outcome.Replayed = true
	return outcome, nil
}

// load returns a stream's state, from the cache if it is there.
func (h *Handler[S, C, E]) load(ctx context.Context, stream eventstore.Stream) (snapshot[S], error) {
	if stream.ID == "" {
		return snapshot[S]{}, nil
	}
	h.mu.Lock()
	s, ok := h.cache.Get(stream)
	h.mu.Unlock()
	if ok {
		s.cached = true
		return s, nil
	}
	return h.catchUp(ctx, stream, snapshot[S]{})
}

// catchUp brings a state up to date with the log.
func (h *Handler[S, C, E]) catchUp(
	ctx context.Context, stream eventstore.Stream, s snapshot[S],
) (snapshot[S], error) {
	s, err := h.read(ctx, stream, s, 0)
	if err == nil {
		h.remember(stream, s)
	}
	return s, err
}

// read folds the events after a state, up to a version if last is not 0.
func (h *Handler[S, C, E]) read(
	ctx context.Context, stream eventstore.Stream, s snapshot[S], last eventstore.Version,
) (snapshot[S], error) {
	s.cached = false
	for e, err := range h.store.Stream(ctx, stream, s.version) {
		if err != nil {
			return s, err
		}
		if last > 0 && e.Version > last {
			break
		}
		event, err := h.codec.Decode(e)
		if err != nil {
			return s, fmt.Errorf("fold stream %s: %w", stream, err)
		}
		s.state = h.decider.Evolve(s.state, Recorded[E]{Event: event, Number: e.Number, Time: e.Time})
		s.version, s.position = e.Version, e.Position
	}
	return s, nil
}

// remember caches a state unless a later one is there already.
func (h *Handler[S, C, E]) remember(stream eventstore.Stream, s snapshot[S]) {
	if s.version == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.cache.Peek(stream); !ok || old.version < s.version {
		h.cache.Add(stream, s)
	}
}

// Forget takes a stream's state out of the memory.
func (h *Handler[S, C, E]) Forget(stream eventstore.Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cache.Remove(stream)
}

// outcome returns what a command on this state is answered.
func (s snapshot[S]) outcome(stream eventstore.Stream, changed bool) Outcome[S] {
	return Outcome[S]{State: s.state, Stream: stream, Version: s.version, Position: s.position, Changed: changed}
}
