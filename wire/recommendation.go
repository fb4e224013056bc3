package wire

import (
	"strconv"

	"ensemble/user"
)

// Recommendation is somebody to befriend; Weight counts the mutual friends.
type Recommendation struct {
	User   User `json:"user"`
	Weight int  `json:"weight"`
}

// AppendRecommendation appends a recommendation as JSON.
func AppendRecommendation(dst []byte, u user.User, weight int) []byte {
	dst = append(dst, `{"user":`...)
	dst = AppendUser(dst, u)
	dst = append(dst, `,"weight":`...)
	dst = strconv.AppendInt(dst, int64(weight), 10)
	return append(dst, '}')
}
