package recommendation

import (
	"fmt"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// The same events reach this service in two forms, and mean the same in both:
//
//	stored      {"key":7,"sealed":"…"}                       a log of this process
//	published   {"id":1,"firstName":"Ada","lastName":"L",…}  the feed of another service
//
// What is published has no keys: names are open, or null once somebody is erased, as a
// name in the log is empty once its key is destroyed.

// stored reads events as the logs have them.
func stored(keys user.Keys) reader {
	return reader{
		person: func(e *eventstore.Event) (Person, error) {
			id, err := user.PersonOf(e.Stream)
			if err != nil {
				return Person{}, fmt.Errorf("event %d: %w", e.Position, err)
			}
			event, err := user.Decode(keys, *e)
			return personOf(id, event, e), err
		},
		friendship: func(e *eventstore.Event) (Friendship, error) {
			event, err := friend.Decode(*e)
			return friendshipOf(event, e), err
		},
	}
}

// published reads events as feeds have them.
func published() reader {
	return reader{
		person: func(e *eventstore.Event) (Person, error) {
			event, id, err := wire.DecodeUser(e)
			return personOf(id, event, e), err
		},
		friendship: func(e *eventstore.Event) (Friendship, error) {
			event, err := wire.DecodeFriend(e)
			return friendshipOf(event, e), err
		},
	}
}

// personOf returns what happened to somebody. The number of their first event is their
// id; other events have none.
func personOf(id int64, event user.Event, e *eventstore.Event) Person {
	p := Person{ID: id, Event: decider.Recorded[user.Event]{Event: event, Time: e.Time}, Position: e.Position}
	if _, begins := event.(user.Created); begins {
		p.Event.Number = id
	}
	return p
}

// friendshipOf returns what happened between two people.
func friendshipOf(event friend.Event, e *eventstore.Event) Friendship {
	return Friendship{Event: decider.Recorded[friend.Event]{Event: event, Number: e.Number, Time: e.Time}, Position: e.Position}
}
