package client

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"ensemble/wire"
)

// Query says which recommendations are wanted, and with what. The zero Query means
// all of them.
type Query struct {
	Limit     int  // at most so many, 1000 in one answer; 0: all
	MinWeight int  // only who shares at least so many friends
	Explain   bool // with MutualFriends
}

// Recommend returns whom a person might befriend, best first, up to limit; 0
// means all of them.
func (c *Client) Recommend(ctx context.Context, id int64, limit int) ([]wire.Recommendation, error) {
	return c.RecommendBy(ctx, id, Query{Limit: limit})
}

// RecommendBy returns those whom a query asks for, best first.
func (c *Client) RecommendBy(ctx context.Context, id int64, q Query) (list []wire.Recommendation, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: q.path(id)}, &list)
	return list, err
}

// EachRecommendation goes through all whom a person might befriend, best first,
// in pages of q.Limit; 0 means a page of usual size. Who gets another weight
// meanwhile may come twice or not at all.
func (c *Client) EachRecommendation(ctx context.Context, id int64, q Query) iter.Seq2[wire.Recommendation, error] {
	q.Limit = cmp.Or(q.Limit, defaultPage)
	return pages[wire.Recommendation](ctx, c, q.path(id))
}

// StreamRecommendations reads one answer while it is written, so that any number
// of recommendations takes the memory of one.
func (c *Client) StreamRecommendations(ctx context.Context, id int64, q Query) iter.Seq2[wire.Recommendation, error] {
	return stream[wire.Recommendation](ctx, c, q.path(id))
}

// path returns what a query is asked by.
func (q Query) path(id int64) string {
	options := url.Values{}
	if q.Limit != 0 {
		options.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.MinWeight != 0 {
		options.Set("minWeight", strconv.Itoa(q.MinWeight))
	}
	if q.Explain {
		options.Set("explain", "true")
	}
	path := "/recommendation/v1/users/" + strconv.FormatInt(id, 10) + "/commands/recommendFriends"
	if len(options) == 0 {
		return path
	}
	return path + "?" + options.Encode()
}

// Mutual returns the friends that two people share, by id.
func (c *Client) Mutual(ctx context.Context, id, friendID int64) (users []wire.User, err error) {
	path := commandPath("recommendation", id, "findMutualFriends", friendID)
	_, err = c.do(ctx, call{method: http.MethodGet, path: path}, &users)
	return users, err
}

// EachMutual goes through the friends that two people share by id, page by page; 0
// means a page of usual size.
func (c *Client) EachMutual(ctx context.Context, id, friendID int64, pageSize int) iter.Seq2[wire.User, error] {
	path := commandPath("recommendation", id, "findMutualFriends", friendID)
	return pages[wire.User](ctx, c, path+"&limit="+strconv.Itoa(cmp.Or(pageSize, defaultPage)))
}
