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
	dst = append(dst, `{"user":`...)
	dst = AppendUser(dst, u)
	dst = append(dst, `,"weight":`...)
	dst = strconv.AppendInt(dst, int64(weight), 10)
	if mutualFriends != nil {
		dst = appendIDs(append(dst, `,"mutualFriends":`...), mutualFriends)
	}
	return append(dst, '}')
}
