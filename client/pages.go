package client

import (
	"context"
	"net/http"
	"strconv"

	"ensemble/wire"
)

// UsersPage is a part of the list of people.
type UsersPage struct {
	Users []wire.User
	Next  string // path of the next part; "" after the last
}

// UsersPage returns a part of the list of people, up to limit of them, by id. next
// is the Next of the part before, "" for the first. EachUser does this for callers
// who need not ask for the same part again.
func (c *Client) UsersPage(ctx context.Context, next string, limit int) (page UsersPage, err error) {
	path := next
	if path == "" {
		path = "/user/v1/users" + limitQuery(limit)
	}
	a, err := c.do(ctx, call{method: http.MethodGet, path: path}, &page.Users)
	page.Next = a.Next
	return page, err
}

// FriendsBegun returns the friendships that a person began.
func (c *Client) FriendsBegun(ctx context.Context, id int64) (friends []wire.Friend, err error) {
	path := "/friend/v1/users/" + strconv.FormatInt(id, 10) + "/friends?direction=outgoing"
	_, err = c.do(ctx, call{method: http.MethodGet, path: path}, &friends)
	return friends, err
}
