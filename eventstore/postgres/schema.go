package postgres

import (
	_ "embed" // the schema
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lockClass is "ENSB": the upper half of the number of every advisory lock of ours. The
// lower half is the number that Postgres gave to a table of the log, so that two logs
// in one database do not wait for each other.
const lockClass = 0x454e5342

// migrations returns what makes version n+1 of the schema out of version n. They are run
// by the owner, in one transaction, and never changed once released. {s} is the name of
// the schema.
//
// A program works on the version that they come to and on the next one: a migration only
// adds what an older program does not mind (expand), and takes away in the version after
// that (contract). So the replicas of two releases can run beside each other while one
// takes the place of the other.
func migrations() []string { return []string{firstVersion} }

//go:embed schema.sql
var firstVersion string

// in puts the name of the schema into a script.
func in(schema, script string) string {
	name := pgx.Identifier{schema}.Sanitize()
	literal := "'" + strings.ReplaceAll(schema, "'", "''") + "'"
	return strings.NewReplacer("{s}", name, "{q}", literal, "{class}", strconv.Itoa(lockClass)).Replace(script)
}

// ownTables lists the tables of a log that are not those of its views.
func ownTables() []string {
	return []string{"schema_version", "lineage", "events", "commits", "counters", "outcomes", "views", "history"}
}
