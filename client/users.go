package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"

	"ensemble/wire"
)

// names is the body of a command about a person.
type names struct {
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
}

// CreateUser makes a person. With a key it makes one person however often it is
// sent; "" sends none.
func (c *Client) CreateUser(ctx context.Context, firstName, lastName, key string) (wire.User, Answer, error) {
	return c.sendUser(ctx, call{method: http.MethodPost, path: "/user/v1/users", key: key}, firstName, lastName)
}

// Rename gives a person another name.
func (c *Client) Rename(ctx context.Context, id int64, firstName, lastName string) (wire.User, Answer, error) {
	return c.sendUser(ctx, call{method: http.MethodPut, path: userPath(id)}, firstName, lastName)
}

// RenameIf is Rename of the version that an earlier Answer.ETag names. If the person
// has changed since, nothing is changed and the error is a ProblemError with the
// slug wire.PreconditionFailed: read again, decide anew.
func (c *Client) RenameIf(
	ctx context.Context, id int64, etag, firstName, lastName string,
) (wire.User, Answer, error) {
	return c.sendUser(ctx, call{method: http.MethodPut, path: userPath(id), ifMatch: etag}, firstName, lastName)
}

// sendUser sends the names of a person and reads the person back.
func (c *Client) sendUser(ctx context.Context, call call, firstName, lastName string) (u wire.User, a Answer, err error) {
	if call.body, err = json.Marshal(names{firstName, lastName}); err != nil {
		return wire.User{}, Answer{}, fmt.Errorf("%s %s: %w", call.method, call.path, err)
	}
	a, err = c.do(ctx, call, &u)
	return u, a, err
}

// Erase erases a person for good.
func (c *Client) Erase(ctx context.Context, id int64) (Answer, error) {
	return c.do(ctx, call{method: http.MethodDelete, path: userPath(id)}, nil)
}

// Erasure returns the receipt of an erasure: whether nothing is left to do, and how
// many friendships are still to end.
func (c *Client) Erasure(ctx context.Context, id int64) (e Erasure, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: userPath(id) + "/erasure"}, &e)
	return e, err
}

// Erasure is what a client needs of a receipt.
type Erasure struct {
	ID            int64     `json:"id"`
	ErasedAt      wire.Time `json:"erasedAt"`
	EventPosition string    `json:"eventPosition"`
	Complete      bool      `json:"complete"`
	Done          struct {
		KeyDestroyed         bool   `json:"keyDestroyed"`
		FilesCleared         bool   `json:"filesCleared"`
		FriendshipsEnded     bool   `json:"friendshipsEnded"`
		FriendshipsRemoved   *int64 `json:"friendshipsRemoved"`
		FriendshipsRemaining int64  `json:"friendshipsRemaining"`
	} `json:"done"`
}

// User returns a person.
func (c *Client) User(ctx context.Context, id int64) (u wire.User, a Answer, err error) {
	a, err = c.do(ctx, call{method: http.MethodGet, path: userPath(id)}, &u)
	return u, a, err
}

// Users returns people by id, up to limit; 0 means as many as the service gives.
func (c *Client) Users(ctx context.Context, limit int) (users []wire.User, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/user/v1/users" + limitQuery(limit)}, &users)
	return users, err
}

// EachUser goes through all people by id, page by page; 0 means a page of usual
// size.
func (c *Client) EachUser(ctx context.Context, pageSize int) iter.Seq2[wire.User, error] {
	return pages[wire.User](ctx, c, "/user/v1/users"+limitQuery(cmp.Or(pageSize, defaultPage)))
}

// maxIDs is how many ids one call of the service takes.
const maxIDs = 500

// UsersByID returns those of the people with some ids who are there, ascending,
// each once. There may be any number of ids.
func (c *Client) UsersByID(ctx context.Context, ids ...int64) (users []wire.User, err error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for some := range slices.Chunk(ids, maxIDs) {
		var page []wire.User
		path := "/user/v1/users?ids=" + joined(some)
		if _, err := c.do(ctx, call{method: http.MethodGet, path: path}, &page); err != nil {
			return nil, err
		}
		users = append(users, page...)
	}
	return users, nil
}

// joined returns ids separated by commas.
func joined(ids []int64) string {
	var b []byte
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}

// userPath returns the path of a person, through the gateway.
func userPath(id int64) string { return "/user/v1/users/" + strconv.FormatInt(id, 10) }

// limitQuery returns the query option limit, "" for 0.
func limitQuery(limit int) string {
	if limit == 0 {
		return ""
	}
	return "?limit=" + strconv.Itoa(limit)
}
