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
// Feed it by running [Service.Users] and [Service.Friends] as projections:
//
//	users := projection.New("users", userLog.Subscribe, service.Users(), 0)
//	friends := projection.New("friends", friendLog.Subscribe, service.Friends(), 0)
package recommendation
