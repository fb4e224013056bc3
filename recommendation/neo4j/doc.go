// Package neo4j keeps people and friendships in a database that speaks Bolt: Neo4j from
// version 5 on.
//
// It guarantees the contract of [recommendation.Backend], and that
//
//   - a batch of events and the checkpoint behind it are one transaction: whatever
//     happens in between, the graph is what the logs were at the checkpoint,
//   - of several replicas on one database one writes a log at a time, and one that was
//     replaced without noticing changes nothing,
//   - a database that is away is waited for by who writes, and said to be away
//     ([recommendation.ErrAway]) to who asks.
//
// # The graph
//
// Somebody is a node as soon as an event speaks of them, and has the label User while
// they are there. So who looks into the database with the label User sees neither those
// that nobody knows yet nor those that are erased, and finds the names, properties and
// directions of the original:
//
//	(:EnsemblePerson:User {userId, firstName, lastName, createdAt, lastModified, …})   there
//	(:EnsemblePerson {userId})                                                         not yet
//	(:EnsemblePerson {userId, erased: true})                                           erased
//	(by)-[:FRIEND {createdAt, lastUpdated}]->(to)                                      by added to
//	(:EnsembleCheckpoint {log, position, time, owner, writes})                         one for each log
//
// Times are milliseconds since 1970; created and modified have them in microseconds, as
// exactly as the log. Nothing of an erased person's name is left in the graph. The
// database's own transaction logs and backups keep it for as long as they are kept.
//
// # Who writes
//
// Each checkpoint says who wrote it last, and how often it was written. Who has events
// that it doesn't hold yet writes them if that was them, and otherwise waits: either the
// other one writes the same events, and they are done, or nothing is written for a while
// ([Config].Lease), and they take over. No clock is compared with another one's.
//
//	lock the checkpoint ─► read it ─► holds the events? ─► done, nothing is written
//	                                  another's, and not as I saw it last? ─► wait again
//	                                  otherwise ─► events, checkpoint, commit
//
// The lock comes first, so between reading and committing nobody else writes. A replica
// that was stopped for an hour in the middle of a batch finds another owner and starts
// over.
//
// # Answers
//
// The database ranks ids, in a transaction that ends before the answer begins; then the
// people behind them are looked up a hundred at a time, while it is being read. How slowly
// that goes does not matter to the database. Who was erased meanwhile is left out.
//
// # Memgraph
//
// The queries keep to what Neo4j and Memgraph both understand; only the constraints
// are written differently, chosen by what the server calls itself. Only Neo4j is tested.
package neo4j
