// Package wire is the published language of the HTTP API: what a user, a
// friendship, a recommendation, a problem and a health look like as JSON, and
// how times and ids are written.
//
// It guarantees that
//
//   - the Append functions write exactly the documented members, in the
//     documented order, nulls included, without reflection,
//   - times are UTC, cut to milliseconds, and end in +00:00, never in Z,
//   - a body is read strictly: members match case-exactly, nothing is coerced,
//     duplicate members and trailing data are refused.
//
// Servers append ([AppendUser], [AppendFriend], [AppendRecommendation],
// [AppendProblem]) and decode ([DecodeUserBody], [ParseID]); clients unmarshal
// into [User], [Friend], [Recommendation], [Problem] and [Health]. Every function
// here is pure.
package wire
