package wire

import (
	"strconv"

	"ensemble/user"
)

// Recommendation is somebody to befriend; Weight counts the mutual friends.
type Recommendation struct {
	User          User    `json:"user"`
	Weight        int     `json:"weight"`
	MutualFriends []int64 `json:"mutualFriends,omitempty" nullable:"false"` // the lowest ids, if they were asked for
}

// AppendRecommendation appends a recommendation as JSON. Without mutual friends
// (nil) there is no such member.
func AppendRecommendation(dst []byte, u user.User, weight int, mutualFriends []int64) []byte {
	return appendWeight(AppendUser(append(dst, beforeUser...), u), weight, mutualFriends)
}

// AppendRecommendationOf is AppendRecommendation of somebody of whom there is the
// JSON already, as AppendUser writes it.
func AppendRecommendationOf(dst []byte, userJSON string, weight int, mutualFriends []int64) []byte {
	return appendWeight(append(append(dst, beforeUser...), userJSON...), weight, mutualFriends)
}

// beforeUser is what a recommendation begins with.
const beforeUser = `{"user":`

// appendWeight appends what follows the person in a recommendation.
func appendWeight(dst []byte, weight int, mutualFriends []int64) []byte {
	dst = strconv.AppendInt(append(dst, `,"weight":`...), int64(weight), 10)
	if mutualFriends != nil {
		dst = appendIDs(append(dst, `,"mutualFriends":`...), mutualFriends)
	}
	return append(dst, '}')
}
