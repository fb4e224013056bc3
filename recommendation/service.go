package recommendation

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/projection"
	"ensemble/user"
)

// MaxExplained is how many of the shared friends an explanation names.
const MaxExplained = 10

// ErrAway means that the database behind a backend does not answer now. Nothing is known to
// be wrong with it; asking again may help.
var ErrAway = errors.New("the graph's database does not answer")

// ErrEmptied means that a graph in a database lost what it had while its logs were followed.
// Going on would leave a gap; who follows them again from where the graph is now fills it.
var ErrEmptied = errors.New("the graph was emptied while it was followed; start again, and it is made anew")

// Candidate is somebody whom a person might befriend.
type Candidate struct {
	User   Profile
	Weight int // how many friends the two share
	// Shared are the lowest ids of those friends; nil unless a Query asks to Explain.
	// It holds until the next candidate is asked for.
	Shared []int64
}

// Rank is a place in a list of candidates: the higher weight comes first, then the
// lower id. The zero Rank is before all of them.
type Rank struct {
	ID     int64
	Weight int
}

// Query says which candidates are wanted, and with what. The zero Query means all
// of them.
type Query struct {
	Limit     int  // at most so many; <= 0: all
	MinWeight int  // only who shares at least so many friends
	After     Rank // only who ranks behind
	Explain   bool // say whom they share, up to MaxExplained
}

// Person is what happened to somebody.
type Person struct {
	ID    int64
	Event decider.Recorded[user.Event]
	// Position is where that stands in the log of users, for a backend that keeps a
	// checkpoint with what it is fed. 0: nobody says.
	Position eventstore.Position
}

// Friendship is what happened between two people.
type Friendship struct {
	Event    decider.Recorded[friend.Event]
	Position eventstore.Position // in the log of friendships; 0: nobody says
}

// Backend keeps people and friendships and answers questions about them. Methods
// that answer may be called concurrently with all others; ApplyUsers and
// ApplyFriends each by one goroutine at a time. An answer that is read slowly holds
// nobody up. The JSON of a profile is that of its user, or empty.
//
// Package backendtest tests this contract sentence by sentence.
type Backend interface {
	// ApplyUsers takes in what happened to people, in order. Seeing it again
	// changes nothing; who is erased stays erased.
	ApplyUsers(ctx context.Context, people []Person) error
	// ApplyFriends takes in what happened between people, in order. Seeing all
	// of a pair's events again, from the first, changes nothing in the end.
	ApplyFriends(ctx context.Context, events []Friendship) error
	// Recommend returns whom a person might befriend: highest weight first, then
	// lowest id. Somebody who is not there gets none. There are fewer than the
	// limit only if no more rank behind, also while people are being erased.
	// An explanation is as of when its candidate is reached, or one of a hundred
	// before it.
	Recommend(ctx context.Context, id int64, q Query) iter.Seq2[Candidate, error]
	// Mutual returns the friends with an id above after that two people share,
	// lowest id first; none if they are one, or one of them is not there.
	Mutual(ctx context.Context, a, b, after int64) iter.Seq2[Profile, error]
}

// Service follows the logs into a backend and answers from it.
type Service struct {
	live       atomic.Pointer[Backend]
	reader     reader
	rebuilding sync.Mutex // one rebuild at a time
}

// reader says how the events of both logs are read.
type reader struct {
	person     func(*eventstore.Event) (Person, error)
	friendship func(*eventstore.Event) (Friendship, error)
}

// New returns a service over a backend that follows the logs themselves. keys opens the
// names in them.
func New(backend Backend, keys user.Keys) *Service { return newService(backend, stored(keys)) }

// NewPublished returns a service over a backend that follows the feeds of both logs, in
// which everything stands as it was published.
func NewPublished(backend Backend) *Service { return newService(backend, published()) }

// newService returns a service that reads events in some way.
func newService(backend Backend, reader reader) *Service {
	s := &Service{reader: reader}
	s.live.Store(&backend)
	return s
}

// backend returns the backend that answers now.
func (s *Service) backend() Backend { return *s.live.Load() }

// Recommend returns whom a person should befriend: highest weight first, then
// lowest id. Nobody is recommended to somebody who is not there.
func (s *Service) Recommend(ctx context.Context, id int64, q Query) iter.Seq2[Candidate, error] {
	return s.backend().Recommend(ctx, id, q)
}

// Mutual returns the friends with an id above after that two people share, lowest
// id first.
func (s *Service) Mutual(ctx context.Context, a, b, after int64) iter.Seq2[Profile, error] {
	return s.backend().Mutual(ctx, a, b, after)
}

// Users returns the projection of the log of users.
func (s *Service) Users() projection.Projection { return users{s} }

// Friends returns the projection of the log of friendships.
func (s *Service) Friends() projection.Projection { return friends{s} }

// users follows the log of users.
type users struct{ *Service }

// Apply implements [projection.Projection].
func (u users) Apply(ctx context.Context, events []eventstore.Event) error {
	people := make([]Person, len(events))
	for i := range events {
		var err error
		if people[i], err = u.reader.person(&events[i]); err != nil {
			return err
		}
	}
	return u.backend().ApplyUsers(ctx, people)
}

// friends follows the log of friendships.
type friends struct{ *Service }

// Apply implements [projection.Projection].
func (f friends) Apply(ctx context.Context, events []eventstore.Event) error {
	friendships := make([]Friendship, len(events))
	for i := range events {
		var err error
		if friendships[i], err = f.reader.friendship(&events[i]); err != nil {
			return err
		}
	}
	return f.backend().ApplyFriends(ctx, friendships)
}
