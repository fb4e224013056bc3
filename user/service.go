package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ensemble/decider"
	"ensemble/eventstore"
)

// cacheSize is how many people's states are kept in memory.
const cacheSize = 10_000

// Service takes commands about people to the log.
type Service struct {
	keys    Keys
	handler *decider.Handler[User, Command, Event]
}

// NewService returns a service over a log of people.
func NewService(store *eventstore.Store, keys Keys) *Service {
	codec := decider.Codec[Event]{
		Encode: func(e Event) (eventstore.NewEvent, error) { return Encode(keys, e) },
		Decode: func(e eventstore.Event) (Event, error) { return Decode(keys, e) },
	}
	d := decider.Decider[User, Command, Event]{Decide: decide, Evolve: Evolve}
	return &Service{
		keys: keys,
		handler: decider.NewHandler(store, d, codec,
			decider.Rejections{Encode: encodeRejection, Decode: decodeRejection}, cacheSize),
	}
}

// Create makes a person. With an idempotency key it makes one person however
// often it is called.
//
// Errors: InvalidError, decider.ErrKeyReused, those of the log.
func (s *Service) Create(
	ctx context.Context, firstName, lastName string, key *eventstore.Key,
) (decider.Outcome[User], error) {
	c := Create{FirstName: firstName, LastName: lastName}
	if Validate(firstName, lastName) == nil { // nobody needs a key for a refusal
		var err error
		if c.Key, err = s.keys.New(ctx); err != nil {
			return decider.Outcome[User]{}, fmt.Errorf("create a user: %w", err)
		}
	}
	return s.handler.Handle(ctx, eventstore.Stream{Category: Category}, c, key)
}

// Refuse answers a Create whose body was found wrong before the rules were asked.
// With an idempotency key the refusal is kept, as one by the rules is.
//
// Errors: InvalidError with these fields, decider.ErrKeyReused, those of the log.
func (s *Service) Refuse(
	ctx context.Context, fields []FieldError, key *eventstore.Key,
) (decider.Outcome[User], error) {
	return s.handler.Handle(ctx, eventstore.Stream{Category: Category}, Refuse{Fields: fields}, key)
}

// Rename changes a person's name.
//
// Errors: ErrNotFound, ErrErased, InvalidError, those of the log.
func (s *Service) Rename(ctx context.Context, id int64, firstName, lastName string) (decider.Outcome[User], error) {
	return s.RenameIf(ctx, id, firstName, lastName, nil)
}

// RenameIf is Rename at a version of the person that holds accepts; nil accepts
// every one.
//
// Errors: decider.ErrPrecondition, also for an equal name; those of Rename come
// before it.
func (s *Service) RenameIf(
	ctx context.Context, id int64, firstName, lastName string, holds decider.Condition,
) (decider.Outcome[User], error) {
	out, err := s.handler.HandleIf(ctx, Stream(id), Rename{FirstName: firstName, LastName: lastName}, holds)
	if errors.Is(err, ErrKeyDestroyed) { // erased since the state was looked at
		err = ErrErased
	}
	return out, err
}

// Erase makes the log forget a person: when it returns, the event is recorded and
// the key that opens their names is destroyed. What else there is to do, an [Eraser]
// does. If the key can't be destroyed, the person is erased all the same, and the
// Eraser destroys it.
//
// Errors: ErrNotFound, ErrErased, those of the log and of the keys.
func (s *Service) Erase(ctx context.Context, id int64) (decider.Outcome[User], error) {
	return s.EraseIf(ctx, id, nil)
}

// EraseIf is Erase at a version of the person that holds accepts; nil accepts every
// one.
//
// Errors: decider.ErrPrecondition; those of Erase come before it.
func (s *Service) EraseIf(ctx context.Context, id int64, holds decider.Condition) (decider.Outcome[User], error) {
	out, err := s.handler.HandleIf(ctx, Stream(id), Erase{}, holds)
	if err != nil {
		return out, err
	}
	// From here on the caller may go: what was recorded has to happen.
	if err := s.keys.Destroy(context.WithoutCancel(ctx), out.State.Key); err != nil {
		return out, fmt.Errorf("erase user %d: %w", id, err)
	}
	return out, nil
}

// Mute says whether a key is destroyed, so that nobody can read the names that were
// sealed with it.
func (s *Service) Mute(key int64) (bool, error) {
	_, err := s.keys.Seal(key, nil)
	if errors.Is(err, ErrKeyDestroyed) {
		return true, nil
	}
	return false, err
}

// Forget takes what is known of people out of the memory.
func (s *Service) Forget(ids ...int64) {
	for _, id := range ids {
		s.handler.Forget(Stream(id))
	}
}

// encodeRejection keeps the refusals that are answers; only Create carries keys,
// so only its refusal is kept.
func encodeRejection(err error) ([]byte, bool) {
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		return nil, false
	}
	data, err := json.Marshal(invalid.Fields)
	return data, err == nil
}

// decodeRejection is the inverse of encodeRejection.
func decodeRejection(data []byte) error {
	var fields []FieldError
	if err := json.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("decode a refusal: %w", err)
	}
	return &InvalidError{Fields: fields}
}
