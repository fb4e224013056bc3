package readmodel

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"ensemble/eventstore"
	"ensemble/user"
)

const (
	usersTable  = "users"
	erasedTable = "erased"
)

// usersView fills users and erased.
type usersView struct{ keys user.Keys }

// UsersView returns the view of the people in a log: the table users with those
// that are there, and erased with those that are not any more.
func UsersView(keys user.Keys) eventstore.View { return usersView{keys} }

// Tables implements [eventstore.View].
func (usersView) Tables() []eventstore.Table {
	return []eventstore.Table{
		{Name: usersTable, Columns: []eventstore.Column{
			{Name: "id", Type: eventstore.IntColumn},
			{Name: "first_name", Type: eventstore.TextColumn},
			{Name: "last_name", Type: eventstore.TextColumn},
			{Name: "created_at", Type: eventstore.TimeColumn},
			{Name: "updated_at", Type: eventstore.TimeColumn},
			{Name: "version", Type: eventstore.IntColumn},
		}},
		{Name: erasedTable, Columns: []eventstore.Column{
			{Name: "id", Type: eventstore.IntColumn},
			{Name: "erased_at", Type: eventstore.TimeColumn},
			{Name: "position", Type: eventstore.IntColumn},
			{Name: "key_id", Type: eventstore.IntColumn},
		}},
	}
}

// Rows implements [eventstore.View].
func (v usersView) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	decoded, err := user.Decode(v.keys, e)
	if err != nil {
		return nil, err
	}
	switch d := decoded.(type) {
	case user.Created:
		return []eventstore.Row{userRow(e.Number, d.FirstName, d.LastName, eventstore.Time(e.Time), e)}, nil
	case user.Renamed:
		id, err := personOf(e)
		return []eventstore.Row{userRow(id, d.FirstName, d.LastName, eventstore.Time(d.CreatedAt), e)}, err
	case user.Erased:
		id, err := personOf(e)
		return []eventstore.Row{
			{Table: usersTable, Delete: true, Values: []eventstore.Value{eventstore.Int(id)}},
			{Table: erasedTable, Values: []eventstore.Value{
				eventstore.Int(id), eventstore.Time(e.Time), eventstore.Int(int64(e.Position)), eventstore.Int(d.Key),
			}},
		}, err
	}
	return nil, fmt.Errorf("no rows for %T", decoded)
}

// userRow returns the row of a person after an event.
func userRow(id int64, firstName, lastName string, createdAt eventstore.Value, e eventstore.Event) eventstore.Row {
	return eventstore.Row{Table: usersTable, Values: []eventstore.Value{
		eventstore.Int(id), eventstore.Text(firstName), eventstore.Text(lastName),
		createdAt, eventstore.Time(e.Time), eventstore.Int(int64(e.Version)),
	}}
}

// personOf returns whose stream an event is in.
func personOf(e eventstore.Event) (int64, error) {
	id, err := user.PersonOf(e.Stream)
	if err != nil {
		return 0, fmt.Errorf("event %d: %w", e.Position, err)
	}
	return id, nil
}

// User is a person together with the version of their stream.
type User struct {
	user.User
	Version eventstore.Version
}

// Users answers questions about people.
type Users struct{ store *eventstore.Store }

// NewUsers returns the queries on a log that has the view of people.
func NewUsers(store *eventstore.Store) *Users { return &Users{store} }

// ByID returns a person.
//
// Errors: user.ErrNotFound, user.ErrErased, those of the log.
func (u *Users) ByID(ctx context.Context, id int64) (User, error) {
	row, err := one(ctx, u.store, usersTable, id)
	if err != nil || row != nil {
		return userOf(row), err
	}
	erased, err := one(ctx, u.store, erasedTable, id)
	switch {
	case err != nil:
		return User{}, err
	case erased != nil:
		return User{}, user.ErrErased
	}
	return User{}, user.ErrNotFound
}

// List returns up to limit (at most eventstore.MaxPage) people with an id above
// after, ascending.
func (u *Users) List(ctx context.Context, after int64, limit int) ([]User, error) {
	rows, err := u.store.Select(ctx, eventstore.Select{Table: usersTable, After: after, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	users := make([]User, len(rows))
	for i, row := range rows {
		users[i] = userOf(row)
	}
	return users, nil
}

// ByIDs returns those of the people with some ids who are there, ascending, each
// once.
func (u *Users) ByIDs(ctx context.Context, ids []int64) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			row, err := one(ctx, u.store, usersTable, id)
			if (err != nil || row != nil) && !yield(userOf(row), err) || err != nil {
				return
			}
		}
	}
}

// Missing returns those of the ids that nobody has or whose person was erased,
// ascending, each once.
func (u *Users) Missing(ctx context.Context, ids ...int64) (missing []int64, err error) {
	ids = slices.Clone(ids) // which are the caller's
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		row, err := one(ctx, u.store, usersTable, id)
		if err != nil {
			return nil, err
		}
		if row == nil {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// userOf reads a row, whose columns are in the order of Tables; nil is nobody.
func userOf(row []eventstore.Value) User {
	if row == nil {
		return User{}
	}
	return User{
		User: user.User{
			ID: row[0].Int(), FirstName: row[1].Text(), LastName: row[2].Text(),
			CreatedAt: row[3].Time(), LastModified: row[4].Time(),
		},
		Version: eventstore.Version(row[5].Int()),
	}
}

// one returns the row with a primary key, or nil.
func one(ctx context.Context, store *eventstore.Store, table string, id int64) ([]eventstore.Value, error) {
	rows, err := store.Select(ctx, eventstore.Select{Table: table, After: id - 1, Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("look for %d in %s: %w", id, table, err)
	}
	if len(rows) == 0 || rows[0][0].Int() != id {
		return nil, nil
	}
	return rows[0], nil
}
