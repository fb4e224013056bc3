package client

import (
	"context"
	"net/http"
	"strconv"

	"ensemble/wire"
)

// Recommend returns whom a person might befriend, best first, up to limit; 0
// means all of them.
func (c *Client) Recommend(ctx context.Context, id int64, limit int) (list []wire.Recommendation, err error) {
	path := "/recommendation/v1/users/" + strconv.FormatInt(id, 10) + "/commands/recommendFriends" + limitQuery(limit)
	_, err = c.do(ctx, call{method: http.MethodGet, path: path}, &list)
	return list, err
}

// Mutual returns the friends that two people share, by id.
func (c *Client) Mutual(ctx context.Context, id, friendID int64) (users []wire.User, err error) {
	path := commandPath("recommendation", id, "findMutualFriends", friendID)
	_, err = c.do(ctx, call{method: http.MethodGet, path: path}, &users)
	return users, err
}
