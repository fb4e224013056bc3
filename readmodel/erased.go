package readmodel

import (
	"context"
	"errors"
	"fmt"

	"ensemble/eventstore"
	"ensemble/user"
)

// Erased returns up to limit (at most eventstore.MaxPage) of those who are erased,
// with an id above after, ascending.
func (u *Users) Erased(ctx context.Context, after int64, limit int) ([]user.Erasure, error) {
	rows, err := u.store.Select(ctx, eventstore.Select{Table: erasedTable, After: after, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("list who is erased: %w", err)
	}
	erased := make([]user.Erasure, len(rows))
	for i, row := range rows {
		erased[i] = erasureOf(row)
	}
	return erased, nil
}

// ErrNotErased means that a person is there.
var ErrNotErased = errors.New("the user is not erased")

// Erasure returns how a person was erased.
//
// Errors: user.ErrNotFound, ErrNotErased, those of the log.
func (u *Users) Erasure(ctx context.Context, id int64) (user.Erasure, error) {
	row, err := one(ctx, u.store, erasedTable, id)
	if err != nil {
		return user.Erasure{}, err
	}
	if row != nil {
		return erasureOf(row), nil
	}
	if _, err := u.ByID(ctx, id); err != nil {
		return user.Erasure{}, err
	}
	return user.Erasure{}, ErrNotErased
}

// erasureOf reads a row of erased.
func erasureOf(row []eventstore.Value) user.Erasure {
	return user.Erasure{
		ID: row[0].Int(), At: row[1].Time(), Position: eventstore.Position(row[2].Int()), Key: row[3].Int(),
	}
}
