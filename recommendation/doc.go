// Package recommendation answers whom somebody should befriend, and which friends
// two people share.
//
// It owns no truth: it follows the logs of users and of friendships into a
// [Backend] and can be thrown away at any time. It guarantees that
//
//   - the two logs may be followed in any interleaving: friendships may come
//     before their people, and the end is the same,
//   - seeing an event again changes nothing,
//   - only people that are there count and appear: the weight of a candidate is
//     the number of people that Mutual returns for the two.
//
// # Two logs, one graph
//
// Users and friendships are recorded in two logs, and nothing says in which order
// their events arrive here. So a friendship with somebody unknown makes a stub that
// is not shown until its person is created, and who was erased stays erased even
// if their creation is seen again. What is left is each pair's own order, which a
// log keeps.
//
// # Names
//
// The graph knows ids. Who they are is kept beside it, from the log of users; a
// query first ranks ids, then looks up the people, and leaves out who was erased in
// between. A backend may keep people as the JSON that answers show ([Profile]), so
// that a long list is copied and not encoded.
//
// # Another graph beside the live one
//
// Whoever doubts the graph can have it made anew ([Service.Rebuild]) while the old one
// answers. Both logs are replayed into an empty backend, up to where the followers
// are; then both are held for the last events, and the pointer to the backend that
// answers is swapped. The followers do not notice: they feed whatever is live.
//
// # Snapshots
//
// Replaying both logs takes as long as they are, so a backend may be saved and read again
// ([Meta], [Origin]). Whoever saves it notes how far the followers are, and then has it
// written; whoever reads it follows the logs from what was noted. What is saved may be
// newer than that, for applying an event again changes nothing in the end: of each pair the
// last word counts, and the order within a pair is the log's. It may never be older.
//
// A snapshot says which logs it is about ([Log.Has]), so that one that was replaced by a
// backup is not taken for the one that was there.
//
// Feed it by running [Service.Users] and [Service.Friends] as projections:
//
//	users := projection.New("users", userLog.Subscribe, service.Users(), 0)
//	friends := projection.New("friends", friendLog.Subscribe, service.Friends(), 0)
package recommendation
