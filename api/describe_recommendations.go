package api

import "ensemble/wire"

// describeRecommendations says what the routes of the service of recommendations do.
func describeRecommendations() map[string]operation {
	known := func(o operation) operation {
		o = fresh(o)
		o.answers[0].headers = append(o.answers[0].headers, "Projection-Position")
		return o
	}
	return map[string]operation{
		"recommendFriends": known(operation{
			tag: tagRecommendations, summary: "Whom should somebody befriend?",
			text: "Friends of friends, the one with the most mutual friends first, then by id. Exact, and computed when asked. " +
				"Without `limit` the whole list is streamed.",
			params: []string{"id", "limit", "cursor", "minWeight", "explain"}, answers: list("Candidates, the best first.", []wire.Recommendation{}),
			problems: append(listed(), wire.InvalidID),
		}),
		"findMutualFriends": known(operation{
			tag: tagRecommendations, summary: "Which friends do two people share?",
			text:   "By id, ascending.",
			params: []string{"id", "friendId", "limit", "cursor"}, answers: list("The mutual friends.", []wire.User{}),
			problems: append(listed(), wire.InvalidID),
		}),
	}
}
