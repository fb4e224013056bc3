// Package friend is the rules about friendships: who may befriend whom, and what
// is recorded of it.
//
// It guarantees that
//
//   - a friendship is symmetric: whoever of the two asked first, both are friends,
//     and either may end it,
//   - a pair has one stream, so two people who add each other at once get one
//     friendship,
//   - friendships are numbered 1, 2, 3, … in the order in which they began; the
//     number is the row's id for both sides.
//
// # Events
//
//	FriendAdded     By asked, and the two are friends; its number is the row's id
//	FriendRemoved   the row of By and To is gone, whoever of the two ended it
//
// # One stream for a pair
//
// The stream of 7 and 3 is "friend-3:7", whoever asks. So two people who add each
// other at the same moment are two commands on one stream: one is first, the other
// finds them friends already. With a stream for each person there would be two
// streams to keep in step, and no commit that covers both logs' worth of rules.
//
// # Who is there
//
// The rules about friendships need to know whether people exist, which another
// service records. They ask through the port [Users]; the answer comes with the
// command, so that deciding stays pure. Somebody may be erased right after the
// answer: erasing looks again after every addition that was under way.
//
// Read it in this order: events.go (what happens), decide.go (what may happen),
// codec.go (how it is stored), service.go (how a command gets there).
package friend
