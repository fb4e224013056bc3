package neo4j

import (
	"context"
	"slices"
	"time"

	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/user"
)

// What a batch of people does. Rows are of different people, so their order does not matter.
const (
	// meet makes the node of somebody; each statement after it finds it.
	meet = `UNWIND $rows AS row MERGE (:EnsemblePerson {userId: row.id})`
	// name gives somebody the names of their last event, unless a later one was seen.
	name = `UNWIND $rows AS row MATCH (p:EnsemblePerson {userId: row.id})
WITH p, row WHERE p.erased IS NULL AND (p.modified IS NULL OR p.modified <= row.modified)
SET p.firstName = row.firstName, p.lastName = row.lastName, p.key = row.key,
    p.created = row.created, p.createdAt = row.createdAt, p.modified = row.modified, p.lastModified = row.lastModified`
	// show makes somebody a User.
	show = `UNWIND $rows AS row MATCH (p:EnsemblePerson {userId: row.id}) WHERE p.erased IS NULL SET p:User`
	// erase leaves nothing of somebody but that they were there.
	erase = `UNWIND $rows AS row MATCH (p:EnsemblePerson {userId: row.id})
REMOVE p:User SET p = {userId: row.id, erased: true}`
)

// What a batch of friendships does. Each row is another pair and direction.
const (
	meetBoth = `UNWIND $rows AS row MERGE (:EnsemblePerson {userId: row.by}) MERGE (:EnsemblePerson {userId: row.to})`
	befriend = `UNWIND $rows AS row MATCH (a:EnsemblePerson {userId: row.by}), (b:EnsemblePerson {userId: row.to})
MERGE (a)-[f:FRIEND]->(b) SET f.createdAt = row.at, f.lastUpdated = row.at`
	part = `UNWIND $rows AS row MATCH (:EnsemblePerson {userId: row.by})-[f:FRIEND]->(:EnsemblePerson {userId: row.to}) DELETE f`
)

// ApplyUsers implements [recommendation.Backend].
func (b *Backend) ApplyUsers(ctx context.Context, people []recommendation.Person) error {
	if len(people) == 0 {
		return nil
	}
	last := people[len(people)-1]
	in := batch{position: int64(last.Position), time: micros(last.Event.Time)}
	var named, shown, gone []map[string]any
	for _, f := range foldPeople(people) {
		switch {
		case f.user.Erased:
			gone = append(gone, map[string]any{"id": f.user.ID})
			continue
		case f.created:
			shown = append(shown, map[string]any{"id": f.user.ID})
		}
		named = append(named, row(f.user))
	}
	in.add(meet, slices.Concat(named, gone))
	in.add(name, named)
	in.add(show, shown)
	in.add(erase, gone)
	return b.bring(ctx, &b.users, in)
}

// add adds a statement, unless it is about nobody.
func (in *batch) add(query string, rows []map[string]any) {
	if len(rows) > 0 {
		in.statements = append(in.statements, statement{query, rows})
	}
}

// fate is what a batch makes of somebody.
type fate struct {
	user    user.User
	created bool
}

// foldPeople returns what becomes of each person: one row in the database for however many
// events. Who is erased stays erased, and an older name does not replace a newer one.
func foldPeople(people []recommendation.Person) map[int64]*fate {
	fates := make(map[int64]*fate, len(people))
	for _, p := range people {
		f := fates[p.ID]
		if f == nil {
			f = &fate{}
			fates[p.ID] = f
		}
		if f.user.Erased {
			continue
		}
		after := user.Evolve(f.user, p.Event)
		after.ID = p.ID
		switch e := p.Event.Event.(type) {
		case user.Created:
			f.created = true
		case user.Renamed: // it stands alone: its person may have been created in an earlier batch
			after.Key, after.CreatedAt = e.Key, e.CreatedAt
		case user.Erased:
			f.user = after
			continue
		}
		if !f.user.LastModified.After(after.LastModified) {
			f.user = after
		}
	}
	return fates
}

// row returns somebody as the database keeps them.
func row(u user.User) map[string]any {
	return map[string]any{
		"id": u.ID, "firstName": u.FirstName, "lastName": u.LastName, "key": u.Key,
		"created": micros(u.CreatedAt), "createdAt": millis(u.CreatedAt),
		"modified": micros(u.LastModified), "lastModified": millis(u.LastModified),
	}
}

// direction is who added whom.
type direction struct{ by, to int64 }

// ApplyFriends implements [recommendation.Backend].
func (b *Backend) ApplyFriends(ctx context.Context, events []recommendation.Friendship) error {
	if len(events) == 0 {
		return nil
	}
	last := events[len(events)-1]
	in := batch{position: int64(last.Position), time: micros(last.Event.Time)}
	added, removed := foldFriends(events)
	in.add(meetBoth, added)
	in.add(befriend, added)
	in.add(part, removed)
	return b.bring(ctx, &b.friends, in)
}

// foldFriends returns the last word about each direction of each pair.
func foldFriends(events []recommendation.Friendship) (added, removed []map[string]any) {
	last := make(map[direction]map[string]any, len(events)) // nil: they parted
	for _, event := range events {
		switch e := event.Event.Event.(type) {
		case friend.Added:
			last[direction{e.By, e.To}] = map[string]any{"by": e.By, "to": e.To, "at": millis(event.Event.Time)}
		case friend.Removed:
			last[direction{e.By, e.To}] = nil
		}
	}
	for d, row := range last {
		if row != nil {
			added = append(added, row)
		} else {
			removed = append(removed, map[string]any{"by": d.by, "to": d.to})
		}
	}
	return added, removed
}

// micros returns a time in microseconds since 1970; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// millis returns a time in milliseconds since 1970, nil for the zero time.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
