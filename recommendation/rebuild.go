package recommendation

import (
	"context"
	"fmt"

	"ensemble/eventstore"
	"ensemble/projection"
)

// Followers are the runners that feed a service: of Service.Users and of
// Service.Friends.
type Followers struct{ Users, Friends *projection.Runner }

// closeTo is how many events of each log may be left for the moment in which both
// runners are held.
const closeTo = 1000

// Rebuild fills an empty backend from the logs beside the one that answers, then
// lets it take over: at exactly the positions that the followers are at, so that
// nobody who has read something reads an older state. progress is told how many
// events of both logs are in it.
//
// Errors: eventstore.ErrRebuilding, those of the logs and of the backend, the
// context's. The old backend stays.
func (s *Service) Rebuild(
	ctx context.Context, fresh Backend, from Followers, progress func(done, total eventstore.Position),
) error {
	if !s.rebuilding.TryLock() {
		return eventstore.ErrRebuilding
	}
	defer s.rebuilding.Unlock()
	r := &rebuild{beside: newService(fresh, s.reader), from: from, progress: progress}
	for {
		if err := r.catchUp(ctx); err != nil {
			return fmt.Errorf("rebuild the graph: %w", err)
		}
		if from.Users.Position()-r.users <= closeTo && from.Friends.Position()-r.friends <= closeTo {
			break
		}
	}
	err := from.Users.Hold(func() error {
		return from.Friends.Hold(func() error {
			if err := r.catchUp(ctx); err != nil {
				return err
			}
			s.live.Store(&fresh)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("rebuild the graph: %w", err)
	}
	return nil
}

// rebuild is a backend that is being filled.
type rebuild struct {
	beside         *Service // over that backend
	from           Followers
	users, friends eventstore.Position // up to where it is filled
	progress       func(done, total eventstore.Position)
}

// catchUp fills the backend up to where the followers are.
func (r *rebuild) catchUp(ctx context.Context) (err error) {
	report := func() { r.progress(r.users+r.friends, r.from.Users.Position()+r.from.Friends.Position()) }
	r.users, err = r.from.Users.Replay(ctx, r.beside.Users(), r.users, func(at eventstore.Position) { r.users = at; report() })
	if err != nil {
		return err
	}
	r.friends, err = r.from.Friends.Replay(ctx, r.beside.Friends(), r.friends, func(at eventstore.Position) { r.friends = at; report() })
	return err
}
