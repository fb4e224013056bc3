package readmodel

import (
	"context"
	"errors"
	"fmt"
	"math"

	"ensemble/eventstore"
	"ensemble/friend"
)

const friendTable = "friend"

// ErrUnknownRow means that no friendship has this row id now.
var ErrUnknownRow = errors.New("there is no such friendship")

// friendView fills friend.
type friendView struct{}

// FriendView returns the view of the friendships in a log: the table friend with
// a row for each.
func FriendView() eventstore.View { return friendView{} }

// Tables implements [eventstore.View].
func (friendView) Tables() []eventstore.Table {
	return []eventstore.Table{{
		Name: friendTable,
		Columns: []eventstore.Column{
			{Name: "id", Type: eventstore.IntColumn},
			{Name: "user_id", Type: eventstore.IntColumn},
			{Name: "friend_id", Type: eventstore.IntColumn},
			{Name: "created_at", Type: eventstore.TimeColumn},
			{Name: "updated_at", Type: eventstore.TimeColumn},
		},
		Indexes: []string{"user_id", "friend_id"},
	}}
}

// Rows implements [eventstore.View].
func (friendView) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	decoded, err := friend.Decode(e)
	if err != nil {
		return nil, err
	}
	switch d := decoded.(type) {
	case friend.Added:
		return []eventstore.Row{{Table: friendTable, Values: []eventstore.Value{
			eventstore.Int(e.Number), eventstore.Int(d.By), eventstore.Int(d.To),
			eventstore.Time(e.Time), eventstore.Time(e.Time),
		}}}, nil
	case friend.Removed:
		return []eventstore.Row{{Table: friendTable, Delete: true, Values: []eventstore.Value{eventstore.Int(d.Row)}}}, nil
	}
	return nil, fmt.Errorf("no rows for %T", decoded)
}

// Direction says which of a person's friendships a list holds.
type Direction int

// The directions.
const (
	Both     Direction = iota // all friendships
	Outgoing                  // those that the person began
)

// Friends answers questions about friendships.
type Friends struct{ store *eventstore.Store }

// NewFriends returns the queries on a log that has the view of friendships.
func NewFriends(store *eventstore.Store) *Friends { return &Friends{store} }

// ByRow returns a friendship, seen from who began it.
//
// Errors: ErrUnknownRow, those of the log.
func (f *Friends) ByRow(ctx context.Context, row int64) (friend.Friendship, error) {
	r, err := one(ctx, f.store, friendTable, row)
	if err != nil {
		return friend.Friendship{}, err
	}
	if r == nil {
		return friend.Friendship{}, ErrUnknownRow
	}
	return friendshipOf(r), nil
}

// Of returns up to limit of a person's friendships with a row id above after,
// ascending, each seen from that person. limit <= 0 means all of them.
func (f *Friends) Of(
	ctx context.Context, person int64, d Direction, after int64, limit int,
) ([]friend.Friendship, error) {
	if limit <= 0 {
		limit = math.MaxInt
	}
	began, err := f.by(ctx, "user_id", person, after, limit)
	if err != nil || d == Outgoing {
		return began, err
	}
	joined, err := f.by(ctx, "friend_id", person, after, limit)
	if err != nil {
		return nil, err
	}
	return merge(began, joined, limit), nil
}

// by returns the friendships with the person in one column.
func (f *Friends) by(
	ctx context.Context, column string, person, after int64, limit int,
) (list []friend.Friendship, err error) {
	for limit > len(list) {
		page := min(limit-len(list), eventstore.MaxPage)
		rows, err := f.store.Select(ctx, eventstore.Select{
			Table: friendTable, Column: column, Equals: person, After: after, Limit: page,
		})
		if err != nil {
			return nil, fmt.Errorf("list the friends of %d: %w", person, err)
		}
		for _, r := range rows {
			friendship := friendshipOf(r)
			after = friendship.Row
			list = append(list, friendship.SeenFrom(person))
		}
		if len(rows) < page {
			break
		}
	}
	return list, nil
}

// merge merges two ascending lists into one of at most limit.
func merge(a, b []friend.Friendship, limit int) []friend.Friendship {
	merged := make([]friend.Friendship, 0, min(len(a)+len(b), limit))
	for len(merged) < limit && len(a)+len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].Row < b[0].Row {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return merged
}

// friendshipOf reads a row, whose columns are in the order of Tables.
func friendshipOf(r []eventstore.Value) friend.Friendship {
	return friend.Friendship{Row: r[0].Int(), By: r[1].Int(), To: r[2].Int(), CreatedAt: r[3].Time()}
}
