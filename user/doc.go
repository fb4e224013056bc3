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
// # Events
//
//	UserCreated   a person begins; its number is the person's id
//	UserRenamed   another name; carries when the person began, so that whoever
//	              sees only this event can tell all there is to tell
//	UserErased    a person ends; the names are gone, the id is never given again
//
// # Names in the log
//
// A name is sealed with a key that belongs to one person (port [Keys]). The event
// holds the key's number and the sealed text. When the key is destroyed, the name
// can't be read any more, in the log or in any copy of it, while the fact that
// somebody was created and renamed stays.
//
// Read it in this order: events.go (what happens), decide.go (what may happen),
// codec.go (how it is stored), service.go (how a command gets there).
package user
