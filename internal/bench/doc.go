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
// being fast at something else is no achievement. Reading the lists and counting
// nothing is the bound below which no exact answer can be.
//
// Of HTTP: the same gateway with one command at a time, so that each has a commit of
// its own. One on Postgres, which has to be there, is in the benchmarks of cmd/ensemble.
//
// It lies above everything that it measures; only tests and cmd/ensemble import it.
package bench
