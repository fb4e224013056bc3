package client

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"strconv"

	"ensemble/wire"
)

// AddFriend makes two people friends. Answer.Created is false when the other one
// has added this one before. key as in CreateUser.
func (c *Client) AddFriend(ctx context.Context, id, friendID int64, key string) (f wire.Friend, a Answer, err error) {
	a, err = c.do(ctx, call{method: http.MethodPost, path: commandPath("friend", id, "addFriend", friendID), key: key}, &f)
	return f, a, err
}

// RemoveFriend ends a friendship, from either side. key as in CreateUser.
func (c *Client) RemoveFriend(ctx context.Context, id, friendID int64, key string) (Answer, error) {
	return c.do(ctx, call{method: http.MethodPost, path: commandPath("friend", id, "removeFriend", friendID), key: key}, nil)
}

// Friends returns all friendships of a person, seen from that person.
func (c *Client) Friends(ctx context.Context, id int64) (friends []wire.Friend, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: friendsPath(id)}, &friends)
	return friends, err
}

// EachFriend goes through all friendships of a person by row id, page by page; 0
// means a page of usual size.
func (c *Client) EachFriend(ctx context.Context, id int64, pageSize int) iter.Seq2[wire.Friend, error] {
	return pages[wire.Friend](ctx, c, friendsPath(id)+limitQuery(cmp.Or(pageSize, defaultPage)))
}

// friendsPath returns the path of a person's friendships.
func friendsPath(id int64) string {
	return "/friend/v1/users/" + strconv.FormatInt(id, 10) + "/friends"
}

// Friendship returns the friendship with a row id, seen from who began it.
func (c *Client) Friendship(ctx context.Context, row int64) (f wire.Friend, err error) {
	path := "/friend/v1/friends/" + strconv.FormatInt(row, 10)
	_, err = c.do(ctx, call{method: http.MethodGet, path: path}, &f)
	return f, err
}

// commandPath returns the path of a command or question about two people.
func commandPath(service string, id int64, command string, friendID int64) string {
	return "/" + service + "/v1/users/" + strconv.FormatInt(id, 10) + "/commands/" + command +
		"?friendId=" + strconv.FormatInt(friendID, 10)
}
