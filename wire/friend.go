package wire

import (
	"strconv"

	"ensemble/friend"
)

// Friend is a friendship as clients read it: seen from UserID.
type Friend struct {
	ID        int64 `json:"id"`
	UserID    int64 `json:"userId"`
	FriendID  int64 `json:"friendId"`
	CreatedAt Time  `json:"createdAt"`
	UpdatedAt Time  `json:"updatedAt"`
}

// AppendFriend appends a friendship as JSON, seen from f.By.
func AppendFriend(dst []byte, f friend.Friendship) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, f.Row, 10)
	dst = append(dst, `,"userId":`...)
	dst = strconv.AppendInt(dst, f.By, 10)
	dst = append(dst, `,"friendId":`...)
	dst = strconv.AppendInt(dst, f.To, 10)
	dst = append(dst, `,"createdAt":`...)
	dst = AppendTime(dst, f.CreatedAt)
	dst = append(dst, `,"updatedAt":`...)
	dst = AppendTime(dst, f.CreatedAt) // a friendship never changes
	return append(dst, '}')
}
