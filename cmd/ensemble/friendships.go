package main

import (
	"context"
	"fmt"
	"net/http"

	"ensemble/api"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/fault"
	"ensemble/projection"
	"ensemble/readmodel"
)

// friendships is the service of friendships on its log: the same in 'up' and in 'friend'.
type friendships struct {
	log      ownLog
	store    *eventstore.Store
	commands *friend.Service
	friends  *readmodel.Friends
	service  *api.Service
}

// newFriendships puts the service on an open log. users says which people there are.
func newFriendships(log ownLog, store *eventstore.Store, users friend.Users) *friendships {
	return &friendships{
		log: log, store: store,
		commands: friend.NewService(store, users), friends: readmodel.NewFriends(store),
	}
}

// serve makes the service answer on the port "friend". ending is that of
// [api.FriendConfig].
func (f *friendships) serve(ctx context.Context, on *process, ending func() eventstore.Position) (http.Handler, error) {
	service, err := api.NewFriend(ctx, api.FriendConfig{
		Config: on.config("friend-service"), Store: f.store, Commands: f.commands, Friends: f.friends, Ending: ending,
	})
	if err != nil {
		return nil, fmt.Errorf("serve friendships: %w", err)
	}
	f.service = service
	on.endStreams = append(on.endStreams, service.EndStreams)
	on.handlers["friend"] = service
	measureStreams(on.metrics, friend.Category, service)
	return service, nil
}

// friendNote is up to where the friendships of the erased were ended: a position of
// one log, by changes to another. If either is not the log it was, all is done anew.
type friendNote struct {
	UserLog, FriendLog [16]byte
	Position           eventstore.Position
	Friends            eventstore.Position // where the log of friendships ended then
}

// trusted says whether a note is about the logs as they are now.
func (n friendNote) trusted(users, friends eventstore.Head) bool {
	return n.UserLog == latest(users.Lineage) && n.FriendLog == latest(friends.Lineage) &&
		n.Position <= users.Position && n.Friends <= friends.Position
}

// refuseNote deletes a note that is not about the logs as they are. It has to come
// before anybody is erased again, which would make an older log longer.
func (f *friendships) refuseNote(ctx context.Context, users eventstore.Head, note notePath) error {
	friends, err := f.store.Head(ctx)
	if err != nil {
		return err
	}
	var known friendNote
	if note.read(&known); known.trusted(users, friends) {
		return nil
	}
	return note.remove()
}

// ending is what ends the friendships of people who were erased.
type ending struct {
	eraser *friend.Eraser
	runner *projection.Runner
}

// end makes what ends the friendships of people who were erased, from the log of people
// that is known as users.
func (f *friendships) end(ctx context.Context, users eventstore.Head, source projection.Source, note notePath) (*ending, error) {
	friends, err := f.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	now := friendNote{UserLog: latest(users.Lineage), FriendLog: latest(friends.Lineage)}
	note.read(&now)
	e := &ending{eraser: friend.NewEraser(friend.EraserConfig{
		Service:     f.commands,
		Friendships: f.ofErased,
		Save: func(p eventstore.Position) error {
			fault.Crash("before the note of friendships")
			done := now
			done.Position, done.Friends = p, f.store.Position()
			return note.save(done)
		},
	}, now.Position)}
	e.runner = projection.New("erasing friendships", source, e.eraser, now.Position)
	return e, nil
}

// ofErased returns friendships of somebody who was erased.
func (f *friendships) ofErased(ctx context.Context, person, after int64, limit int) ([]friend.Friendship, error) {
	if fault.Crashes {
		limit = 2
	}
	if after > 0 {
		fault.Crash("between friendships")
	}
	return f.friends.Of(ctx, person, readmodel.Both, after, limit)
}
