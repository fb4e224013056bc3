package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"

	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// remoteUsers is friend.Users over HTTP.
type remoteUsers struct{ *client.Directory }

// Missing implements [friend.Users].
func (u remoteUsers) Missing(ctx context.Context, ids ...int64) ([]int64, error) {
	missing, err := u.Directory.Missing(ctx, ids...)
	if errors.Is(err, client.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", friend.ErrUsersAway, err)
	}
	return missing, err
}

// remoteEnding ends the friendships of people who were erased, as the feed of another
// service tells it. When that log is replaced it begins anew: what was done is not there
// any more, so nothing happens twice.
type remoteEnding struct {
	friendships *friendships
	directory   *client.Directory
	feed        *feed
	note        notePath
	logger      *slog.Logger
	live        atomic.Pointer[ending] // nil before the other service has answered
}

// position returns up to where it is done; 0 before it has begun.
func (r *remoteEnding) position() eventstore.Position {
	if live := r.live.Load(); live != nil {
		return live.runner.Position()
	}
	return 0
}

// run follows the log of people until the context ends, or an event can't be read.
func (r *remoteEnding) run(ctx context.Context) error {
	for {
		users, err := r.feed.open(ctx)
		if err != nil {
			return err
		}
		if err := r.friendships.refuseNote(ctx, users, r.note); err != nil {
			return err
		}
		live, err := r.friendships.end(ctx, users, r.source, r.note)
		if err != nil {
			return err
		}
		r.live.Store(live)
		if err := live.runner.Run(ctx); !errors.Is(err, errReplaced) {
			return err
		}
		r.logger.Warn("the log of users is another one by now; friendships of people who are erased in it are looked for anew")
	}
}

// source is that of the feed, and takes whoever was erased out of the memory first.
func (r *remoteEnding) source(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for event, err := range r.feed.source(ctx, after) {
			if err == nil {
				if id, err := user.ErasedPerson(&event); err == nil && id != 0 {
					r.directory.Forget(id)
				}
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

// remoteErasing asks the other services how far an erasure has got there. What is not
// asked, or not answered, is not said to be done.
type remoteErasing struct {
	people                  *people
	friends, recommendation *client.Client // nil: not asked
}

// erasing is that of [elsewhere].
func (r remoteErasing) erasing(ctx context.Context, erased user.Erasure) (wire.Erasing, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var w wire.Erasing
	r.people.cleanup(erased, &w)
	if r.recommendation != nil {
		at, err := r.recommendation.Followed(ctx, "recommendation")
		w.Followed = err == nil && at >= int64(erased.Position)
	}
	if r.friends == nil {
		return w, nil
	}
	at, err := r.friends.Followed(ctx, "friend") // before the list, so that "ended" is never early
	if err != nil {
		return w, nil // a receipt says what is known to be done
	}
	left, err := r.friends.Friends(ctx, erased.ID)
	if err != nil {
		return w, nil
	}
	w.Remaining, w.FriendshipsEnded = int64(len(left)), at >= int64(erased.Position) && len(left) == 0
	return w, nil
}
