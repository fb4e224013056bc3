package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

// FriendConfig is what the service of friendships works with.
type FriendConfig struct {
	Config

	Store    *eventstore.Store // the log of friendships
	Commands *friend.Service
	Friends  *readmodel.Friends
	// Ending says up to which position of the log of people the friendships of those
	// who were erased are ended; lists then say so in Projection-Position. Nil: that
	// log is at hand, and whoever asks looks there.
	Ending func() eventstore.Position
	// Direction is which friendships a list holds when the client does not
	// say. The Spring system lists those that the person began.
	Direction readmodel.Direction
}

// friendAPI answers what is asked of friendships.
type friendAPI struct {
	*Service
	commands  *friend.Service
	friends   *readmodel.Friends
	direction readmodel.Direction
	ending    func() eventstore.Position
	log       logName
	feed      feed
}

// NewFriend returns the service of friendships. It adds the check of its log to
// the health.
//
// Errors: those of the log's Head.
func NewFriend(ctx context.Context, c FriendConfig) (*Service, error) {
	log, err := nameLog(ctx, "friend", c.Store)
	if err != nil {
		return nil, err
	}
	a := &friendAPI{
		Service: newService(c.Config), commands: c.Commands, friends: c.Friends, direction: c.Direction, ending: c.Ending, log: log,
	}
	a.reads(log, c.Store)
	a.feed = feed{Service: a.Service, store: c.Store, log: log, types: friend.Types(), data: appendFriendData}
	a.config.Health.Add("log", logWorks(c.Store))
	return a.with(a.routes()), nil //nolint:contextcheck // a request has its own
}

// routes is the table of the service of friendships.
func (a *friendAPI) routes() []route {
	return append([]route{
		{http.MethodPost, "/v1/users/{id}/commands/addFriend", "addFriend", a.addFriend},
		{http.MethodPost, "/v1/users/{id}/commands/removeFriend", "removeFriend", a.removeFriend},
		{http.MethodGet, "/v1/users/{id}/friends", "listFriends", a.fresh(a.list)},
		{http.MethodGet, "/v1/friends/{rowId}", "getFriend", a.fresh(a.byRow)},
	}, a.feed.routes()...)
}

// addFriend makes two people friends. Adding back somebody who has added one
// before is answered with the friendship there is.
func (a *friendAPI) addFriend(r *request) error {
	id, friendID, err := r.pair()
	if err != nil {
		return err
	}
	return a.onceIgnoringBody(r, func(key *eventstore.Key) error {
		out, err := a.commands.Add(r.Context(), id, friendID, key)
		if out.Replayed {
			r.replayed()
		}
		if err != nil {
			return err
		}
		f, _ := out.State.SeenFrom(id) // they are friends now, so there is one
		a.log.moved(r, out.Position)
		// 200 when the other side had asked before: what was wanted is the case,
		// but not by this command.
		status := http.StatusOK
		if out.Changed {
			status = http.StatusCreated
			r.set("Location", r.prefix+"/v1/friends/"+strconv.FormatInt(f.Row, 10))
		}
		r.out = wire.AppendFriend(r.out, f)
		return r.reply(status, jsonType, r.out)
	})
}

// removeFriend ends a friendship, from either side.
func (a *friendAPI) removeFriend(r *request) error {
	id, friendID, err := r.pair()
	if err != nil {
		return err
	}
	return a.onceIgnoringBody(r, func(key *eventstore.Key) error {
		out, err := a.commands.Remove(r.Context(), id, friendID, key)
		if out.Replayed {
			r.replayed()
		}
		if err != nil {
			return err
		}
		a.log.moved(r, out.Position)
		return r.replyEmpty(http.StatusNoContent)
	})
}

// list answers with a person's friendships. Nobody has none.
func (a *friendAPI) list(r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	direction, err := r.direction(a.direction)
	if err != nil {
		return err
	}
	p, err := r.part(0, filter{"direction", nameOf(direction)})
	if err != nil {
		return err
	}
	if a.ending != nil { // before the list is read: it may know more, and never less
		r.set("Projection-Position", user.Category+":"+strconv.FormatInt(int64(a.ending()), 10))
	}
	friends, err := a.friends.Of(r.Context(), id, direction, p.after.id, p.ask())
	if err != nil {
		return err
	}
	return streamList(r, p, each(slices.Values(friends)), wire.AppendFriend, placeOfFriend)
}

// placeOfFriend says where a friendship stands in a list.
func placeOfFriend(f friend.Friendship) place { return place{id: f.Row} }

// byRow answers with one friendship, seen from who began it.
func (a *friendAPI) byRow(r *request) error {
	row, err := r.pathID()
	if err != nil {
		return err
	}
	f, err := a.friends.ByRow(r.Context(), row)
	if err != nil {
		return err
	}
	r.out = wire.AppendFriend(r.out, f)
	return r.reply(http.StatusOK, jsonType, r.out)
}

// appendFriendData is how the feed tells what happened between two people.
func appendFriendData(dst []byte, e *eventstore.Event) ([]byte, error) {
	event, err := friend.Decode(*e)
	if err != nil {
		return dst, err
	}
	return wire.AppendFriendData(dst, event, e.Number), nil
}
