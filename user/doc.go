// Package user is the rules about people: who may be created and renamed, and
// what is recorded of it.
//
// It guarantees that
//
//   - people are numbered 1, 2, 3, … in the order of their creation, and a
//     number is never given twice,
//   - a name is stored as it was sent, and only sealed with the person's own key,
//   - equal content changes nothing and records nothing,
//   - once erased a person stays erased.
//
// Read it in this order: events.go (what happens), decide.go (what may happen),
// codec.go (how it is stored), service.go (how a command gets there).
package user
