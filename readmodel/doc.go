// Package readmodel is what people ask about users and friendships: the views
// that are written in the same commit as the events, and the queries on them.
//
// It guarantees that a view never lags behind its log: whoever was told that a
// command succeeded finds its effect in the next query, on every replica. Views
// hold nothing that is not in the log; they can be dropped and rebuilt, and the
// rows come out the same.
//
// # Tables
//
//	users    id, first_name, last_name, created_at, updated_at, version
//	erased   id, erased_at
//	friend   id, user_id, friend_id, created_at, updated_at
//
// The names are those of the Spring system's tables, so that what reads those (a
// dashboard, a report) reads ours; version is what an ETag is made of, and erased
// tells a person who is gone from one who never was.
//
// A friendship is one row, listed for both of its people: by user_id for who began
// it, by friend_id for the other. A list of friends merges the two by row id.
//
// The views are pure functions from an event to rows ([eventstore.View]); each
// driver of the log stores the rows in its own way and answers the queries
// ([eventstore.Select]), so there is one read model for all of them.
package readmodel
