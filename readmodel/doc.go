// Package readmodel is what people ask about users and friendships: the views
// that are written in the same commit as the events, and the queries on them.
//
// It guarantees that a view never lags behind its log: whoever was told that a
// command succeeded finds its effect in the next query, on every replica. Views
// hold nothing that is not in the log; they can be dropped and rebuilt, and the
// rows come out the same.
//
// The views are pure functions from an event to rows ([eventstore.View]); each
// driver of the log stores the rows in its own way and answers the queries
// ([eventstore.Select]), so there is one read model for all of them.
package readmodel
