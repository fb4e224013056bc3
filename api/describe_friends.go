package api

import (
	"net/http"
	"slices"

	"ensemble/wire"
)

// describeFriends says what the routes of the service of friendships do.
func describeFriends() map[string]operation {
	pair := []string{"id", "friendId", "Idempotency-Key"}
	return map[string]operation{
		"addFriend": {
			tag: tagFriends, summary: "Befriend somebody",
			text:   "Either of the two may ask; asked back, the friendship that there is is answered. The body is ignored.",
			params: pair,
			answers: []answer{
				{
					status: http.StatusCreated, text: "The new friendship.", body: wire.Friend{},
					headers: []string{"Location", "Event-Position", "Idempotency-Replayed"},
				},
				{
					status: http.StatusOK, text: "They are friends already, because the other one had asked.", body: wire.Friend{},
					headers: []string{"Event-Position", "Idempotency-Replayed"},
				},
			},
			problems: slices.Concat([]wire.Slug{
				wire.InvalidID, wire.InvalidParameter, wire.SelfFriendship, wire.FriendshipExists, wire.UserNotFound, wire.UserErased, wire.UsersUnavailable,
			}, keyed(), recorded()),
		},
		"removeFriend": {
			tag: tagFriends, summary: "End a friendship",
			text:   "Either of the two may. The body is ignored.",
			params: pair,
			answers: []answer{{
				status: http.StatusNoContent, text: "They are no friends any more.",
				headers: []string{"Event-Position", "Idempotency-Replayed"},
			}},
			problems: slices.Concat([]wire.Slug{
				wire.InvalidID, wire.InvalidParameter, wire.SelfFriendship, wire.FriendshipNotFound, wire.UserErased, wire.UsersUnavailable,
			}, keyed(), recorded()),
		},
		"listFriends": fresh(operation{
			tag: tagFriends, summary: "List somebody's friendships",
			text:   "By row id, ascending; `userId` is the person in the path. All of them without `limit`. Nobody has none.",
			params: []string{"id", "direction", "limit", "cursor"}, answers: list("The friendships.", []wire.Friend{}),
			problems: append(listed(), wire.InvalidID),
		}),
		"getFriend": fresh(operation{
			tag: tagFriends, summary: "Look a friendship up",
			text:   "Seen from who began it.",
			params: []string{"rowId"}, answers: []answer{{status: http.StatusOK, text: "The friendship.", body: wire.Friend{}}},
			problems: []wire.Slug{wire.InvalidID, wire.FriendshipNotFound},
		}),
	}
}
