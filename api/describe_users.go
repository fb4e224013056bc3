package api

import (
	"net/http"
	"slices"

	"ensemble/wire"
)

// namesBody is what clients send of a person.
type namesBody struct {
	_ struct{} `additionalProperties:"true"`

	ID        *int64 `json:"id,omitempty"  doc:"In PUT the id of the path, if present. Not allowed in POST." nullable:"true"`
	FirstName string `json:"firstName"     doc:"Not blank, no control characters."                           minLength:"1"   maxLength:"256" example:"Ada"`
	LastName  string `json:"lastName"      doc:"May be empty, no control characters."                        maxLength:"256" example:"Lovelace"`
}

// describeUsers says what the routes of the service of people do.
func describeUsers() map[string]operation {
	return map[string]operation{
		"getUser": fresh(operation{
			tag: tagUsers, summary: "Look somebody up",
			text:   "Answers with the state after every command that was answered before.",
			params: []string{"id", "If-None-Match"},
			answers: []answer{
				{status: http.StatusOK, text: "The person.", body: wire.User{}, headers: []string{"ETag"}},
				{status: http.StatusNotModified, text: "The client has this version already.", headers: []string{"ETag"}},
			},
			problems: []wire.Slug{wire.InvalidID, wire.UserNotFound, wire.UserErased},
		}),
		"createUser": {
			tag: tagUsers, summary: "Create somebody",
			text: "Ids are given in the order of creation, from 1, and never again. " +
				"Unknown members of the body are ignored; duplicate members and wrong types are refused.",
			params: []string{"Idempotency-Key"}, body: namesBody{},
			answers: []answer{{
				status: http.StatusCreated, text: "The new person.", body: wire.User{},
				headers: []string{"Location", "ETag", "Event-Position", "Idempotency-Replayed"},
			}},
			problems: slices.Concat([]wire.Slug{wire.UserErased}, embodied(), keyed(), recorded()),
		},
		"renameUser": {
			tag: tagUsers, summary: "Rename somebody",
			text:   "Equal names change nothing and record nothing.",
			params: []string{"id", "If-Match"}, body: namesBody{},
			answers: []answer{{
				status: http.StatusOK, text: "The person as they are now.", body: wire.User{},
				headers: []string{"ETag", "Event-Position"},
			}},
			problems: slices.Concat([]wire.Slug{
				wire.InvalidID, wire.UserNotFound, wire.UserErased, wire.IDMismatch, wire.PreconditionFailed,
			}, embodied(), recorded()),
		},
		"listUsers": fresh(operation{
			tag: tagUsers, summary: "List people",
			text:   "By id, ascending; the first hundred without `limit`.",
			params: []string{"limit", "cursor", "ids"}, answers: list("People, erased ones left out.", []wire.User{}),
			problems: append(listed(), wire.InvalidID),
		}),
	}
}
