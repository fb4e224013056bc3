// Package bench holds the workloads by which the house measures itself. The Go
// benchmarks and 'ensemble bench' run the same ones.
//
// It guarantees that
//
//   - a baseline is measured in the same run, on the same machine, on the same data,
//   - a workload is the same in every run, whoever of its goroutines is faster,
//   - a row with a single request that failed is void, and says so.
//
// What binds is the ratio of a row; absolute figures depend on what else the machine
// does. [Log], [Graph] and [HTTP] each measure one table:
//
//	rows, err := bench.Log(ctx, dir, bench.Size{Events: 200_000})
//	bench.Report{Tables: []bench.Table{{Name: "log", Rows: rows}}}.Markdown(os.Stdout)
//
// # Baselines
//
// Of the log: the same log, driver and tables with one commit for each command, as a
// program does that opens a transaction for a request. It is slow and soon steady, so
// fewer commands are enough for it.
//
// Of one client alone: the driver without the committer before it, by turns with the
// committer, since a disk has moods that last for minutes.
//
// Of the graph: [PlainGraph], what a program would be that was written in an
// afternoon. Its answers are compared too: a row whose answers differ is void, as
// being fast at something else is no achievement. [Lists] are read and nothing is
// counted: that is the bound below which no exact answer can be. Both are asked by
// turns with the graph, about the same people.
//
// Of HTTP: the same gateway with one command at a time, so that each has a commit of
// its own. Postgres, which has to be there, is in the benchmarks of cmd/ensemble: the
// same questions to one connection with a prepared statement that reads nothing but an
// index, and to a handler with a pool.
//
// # The network
//
// [Generated] makes the networks on which the graph is measured. Real ones of that
// size can't be shipped, and a random one would flatter: without communities nobody
// is recommended with a weight worth ranking, and with ids in the order of the
// communities every list would lie beside the next.
//
//	         place   0        c1       c2          c3     people
//	                 |--------|--------|-----------|--------|
//	two thirds:      \_ pairs of one community, by degree
//	the rest:         \______ any two of different ones ____/
//
//	place --shuffled--> id;   friendships --shuffled--> the order of the changes
//
// [Town] is such a network in each form: the changes, the graph, the plain
// implementation, the lists.
//
// # The rows of the graph
//
//   - A path is a way over two friendships. A recommendation counts all that begin at
//     somebody: as many as the friends of their friends, each as often as they are one.
//   - Percentiles are of single questions, timed one by one, about people picked at
//     random: who has many friends is not asked about more often.
//   - Building applies the people and then the friendships in random order, a thousand
//     changes at a time, and counts the time within Apply alone.
//   - Memory is what Stats says, less 40 B for a person, by friendship.
//   - The writer beside the readers makes and takes back friendships of strangers, one
//     change in fifty is a new person, so that the graph stays as large as it is, and
//     readers with and without it are asked the same. It is paced at a million changes
//     a second; the row says what it has reached.
//   - The pause of a snapshot is the longest call of Apply, with 256 changes, while one
//     is written. The same without a snapshot says what of it is the machine's.
//   - A snapshot goes to a file; its fsync is the disk's and is left out. Reading it
//     compares the answers, or the row is void.
//
// The ratio to reading the lists can exceed 1: they are read in plain Go, which can't
// ask for memory ahead, one list after the other. They are in huge pages where the
// system gives them, as a graph may be; the plain implementation is where Go puts it.
//
// # Noise
//
// Nothing here is repeated until it looks well. A machine with other work shows in the
// percentiles first, in the longest call of Apply most, and least in the ratios of what
// took turns. A row that surprises is to be run again, not to be explained.
//
// # The client
//
// The client of HTTP shares the processor with what it measures. [Connection] sends
// bytes that are ready and looks at nothing but the status and the length of the
// answer, which takes a fraction of what net/http does. The benchmarks against
// Postgres put it into a process of its own.
//
// It lies above everything that it measures; only tests and cmd/ensemble import it.
package bench
