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
// Read it in this order: events.go (what happens), decide.go (what may happen),
// codec.go (how it is stored), service.go (how a command gets there).
package friend
