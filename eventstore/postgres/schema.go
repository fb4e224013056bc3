package postgres

import (
	_ "embed" // the schema
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

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
	return strings.NewReplacer(
		"{s}", name, "{q}", literal(schema), "{events}", literal(name+".events"), "{class}", strconv.Itoa(lockClass),
	).Replace(script)
}

// literal returns a text as SQL writes it.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// checkSchema refuses names that Postgres would cut off or keeps for itself, and those
// that would end the text of a function ($) or look like a mark in a script ({).
func checkSchema(name string) error {
	strange := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune("${}", r) }
	if name == "" || len(name) > 63 || !utf8.ValidString(name) || strings.ContainsFunc(name, strange) || strings.HasPrefix(name, "pg_") {
		return fmt.Errorf("%q can't be the name of the schema: use 1 to 63 bytes without $, {, } and control characters, and not pg_ at the beginning", name)
	}
	return nil
}

// ownTables lists the tables of a log that are not those of its views.
func ownTables() []string {
	return []string{"schema_version", "lineage", "events", "commits", "counters", "outcomes", "views", "history"}
}
