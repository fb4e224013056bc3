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
// # Why not encoding/json for answers
//
// The order of members, nulls and the form of times are part of the contract, and a
// list may have tens of thousands of people. Appending is shorter than describing
// the contract in tags, exact by construction, and costs no reflection. Clients, who
// read what they know and skip the rest, use the structs and encoding/json.
//
// # Why reading is strict
//
// Two programs that read one body differently are a hole: one checks the first of
// two members with the same name, the other uses the second. So what is ambiguous
// is refused, and what is unknown is ignored, because a newer client may send more.
//
// Servers append ([AppendUser], [AppendFriend], [AppendRecommendation],
// [AppendProblem]) and decode ([DecodeUserBody], [ParseID]); clients unmarshal
// into [User], [Friend], [Recommendation], [Problem] and [Health]. Every function
// here is pure.
package wire
