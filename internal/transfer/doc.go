// Package transfer moves people and friendships from files into a running system
// and back, through the same HTTP calls as any client.
//
// It guarantees that
//
//   - a file is read whole and judged before anything is sent or written,
//   - every line that is not taken in is reported with its number and the reason;
//     blank lines and comments are none,
//   - importing a file again, after it was interrupted anywhere or was finished,
//     makes nobody and no friendship twice, as long as the system knows the keys or
//     the map knows the people,
//   - a file that was exported is read back as it was, spaces and quotes included.
//
// # Exactly once
//
// A command carries an idempotency key made of the file's SHA-256 and the line, so
// a repeated one is answered as the first was. What lasts longer is the map, a file
// in which the id of a person is noted as soon as it is answered:
//
//	plan, err := transfer.Read(transfer.Files{People: "people.csv", Friends: "friends.txt.gz", Map: "people.map"})
//	…plan.Odd, plan.People…
//	result, err := transfer.Import(ctx, plan, transfer.Options{Client: c})
//
// A person noted there is not created again. A friendship that is there already is
// refused or agreed to by the system, whatever the key: that is counted, not an
// error.
//
// # What a kill leaves
//
//   - The import is killed after a command was sent: the person may be there and not
//     be noted. The next import sends the same key, is told the same id and notes it.
//   - The import is killed while it notes: the last line may be torn. It is cut off,
//     and its person is asked for again.
//   - The system is killed: what was acknowledged is there, and so are the keys, which
//     lie in the same commit. What was not answered is sent again.
//   - The machine of the import goes down: notes of the last seconds may be lost, as
//     they are made durable at the end only. The keys make them good.
//
// Keys are remembered for 24 hours, and at most the last 5 million of them. So a
// person who is neither noted nor answered within that time is made a second time:
// an interrupted import has to go on within a day, with the map that it wrote.
//
// # Memory
//
// A plan holds the names and every friendship once; about 100 bytes for each.
package transfer
