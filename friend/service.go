package friend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/user"
)

// cacheSize is how many pairs' states are kept in memory.
const cacheSize = 10_000

// ErrUsersAway means that who knows which people there are does not answer.
var ErrUsersAway = errors.New("nobody says which people there are")

// Users knows which people there are.
type Users interface {
	// Missing returns those of the ids that nobody has or whose person was
	// erased, ascending. Errors: ErrUsersAway when that is not known now.
	Missing(ctx context.Context, ids ...int64) ([]int64, error)
}

// Service takes commands about friendships to the log.
type Service struct {
	users    Users
	underway underway
	handler  *decider.Handler[State, Command, Event]
}

// NewService returns a service over a log of friendships.
func NewService(store *eventstore.Store, users Users) *Service {
	d := decider.Decider[State, Command, Event]{Decide: decide, Evolve: Evolve}
	return &Service{
		users: users,
		handler: decider.NewHandler(store, d, decider.Codec[Event]{Encode: Encode, Decode: Decode},
			decider.Rejections{Encode: encodeRejection, Decode: decodeRejection}, cacheSize),
	}
}

// Add makes by and to friends. If to has added by before, they are friends
// already and nothing changes.
//
// Errors, in this order: ErrSelf, ErrUsersAway, ErrExists, UnknownUsersError;
// decider.ErrKeyReused, user.ErrErased for a repeated command about somebody who was
// erased since, those of the log.
func (s *Service) Add(
	ctx context.Context, by, to int64, key *eventstore.Key,
) (out decider.Outcome[State], err error) {
	// Erasing waits for those that began before it, for they may have been told
	// that both are there.
	adding := s.underway.begin(by, to)
	defer func() { s.underway.end(adding, err, err == nil && out.Changed && !out.Replayed) }()
	c := Add{By: by, To: to}
	if by != to {
		if c.Missing, err = s.missing(ctx, by, to); err != nil {
			return out, err
		}
	}
	out, err = s.handler.Handle(ctx, Stream(by, to), c, key)
	if err == nil && out.Replayed && len(c.Missing) > 0 { // both were there then
		err = user.ErrErased
	}
	return out, err
}

// missing returns who of the two is not there. Whoever is known to be erased is
// not, whatever a cache of the port may say.
func (s *Service) missing(ctx context.Context, by, to int64) ([]int64, error) {
	missing, err := s.users.Missing(ctx, by, to)
	if err != nil {
		return nil, fmt.Errorf("look for users %d and %d: %w", by, to, err)
	}
	for _, id := range []int64{by, to} {
		if s.underway.isErased(id) && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// Remove ends the friendship of by and to, whoever of them began it.
//
// Errors: ErrSelf, ErrNotFriends, decider.ErrKeyReused, user.ErrErased for a repeated
// command about somebody who was erased since, those of the log.
func (s *Service) Remove(ctx context.Context, by, to int64, key *eventstore.Key) (decider.Outcome[State], error) {
	out, err := s.handler.Handle(ctx, Stream(by, to), Remove{By: by, To: to}, key)
	if err != nil || !out.Replayed {
		return out, err
	}
	missing, err := s.missing(ctx, by, to)
	if err == nil && len(missing) > 0 {
		err = user.ErrErased
	}
	return out, err
}

// rejection is how a refusal is kept under a key.
type rejection struct {
	Refusal string  `json:"refusal"`
	Missing []int64 `json:"missing,omitempty"`
}

// The refusals that are answers. ErrSelf is not one: the command can't be right
// in any state.
const (
	refusalExists     = "exists"
	refusalNotFriends = "not-friends"
	refusalUnknown    = "unknown-users"
)

// encodeRejection keeps the refusals that are answers.
func encodeRejection(err error) ([]byte, bool) {
	var r rejection
	var unknown *UnknownUsersError
	switch {
	case errors.Is(err, ErrExists):
		r.Refusal = refusalExists
	case errors.Is(err, ErrNotFriends):
		r.Refusal = refusalNotFriends
	case errors.As(err, &unknown):
		r.Refusal, r.Missing = refusalUnknown, unknown.Missing
	default:
		return nil, false
	}
	data, err := json.Marshal(r)
	return data, err == nil
}

// decodeRejection is the inverse of encodeRejection.
func decodeRejection(data []byte) error {
	var r rejection
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("decode a refusal: %w", err)
	}
	switch r.Refusal {
	case refusalExists:
		return ErrExists
	case refusalNotFriends:
		return ErrNotFriends
	case refusalUnknown:
		return &UnknownUsersError{Missing: r.Missing}
	}
	return fmt.Errorf("decode a refusal: %q is unknown", r.Refusal)
}
