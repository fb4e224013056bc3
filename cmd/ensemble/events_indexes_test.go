package main

import (
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// indexes returns the tables and columns of all indexes of a log.
func indexes(t *testing.T, path string) (found map[string][2]string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	found = map[string][2]string{}
	const sql = "SELECT s.name, s.tbl_name, i.name FROM sqlite_schema s, pragma_index_info(s.name) i WHERE s.type = 'index' AND s.sql IS NOT NULL"
	err = sqlitex.ExecuteTransient(conn, sql, &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		found[s.ColumnText(0)] = [2]string{s.ColumnText(1), s.ColumnText(2)}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestVerifyNamesEachIndexThatIsWrongAndWhatItSaysToDoIsTheWayOut: every index there is,
// gone or leading nowhere; then a rebuild, of a stopped system or a running one.
func TestVerifyNamesEachIndexThatIsWrongAndWhatItSaysToDoIsTheWayOut(t *testing.T) {
	right := dump(t, filled(t))
	seen := 0
	for _, log := range logNames() {
		for index, of := range indexes(t, filepath.Join(filled(t), log+".db")) {
			seen++
			for name, damage := range map[string]string{
				"is gone": "DROP INDEX " + index,
				"has none of the rows": "CREATE TABLE kept AS SELECT * FROM " + of[0] + "; DROP INDEX " + index + "; " +
					"CREATE INDEX " + index + " ON " + of[0] + " (" + of[1] + ") WHERE 0; DROP TABLE kept",
			} {
				t.Run(index+" "+name, func(t *testing.T) {
					data := filled(t)
					change(t, filepath.Join(data, log+".db"), damage)
					said, code := command(t, "events", "verify", "--data", data)
					if code != 1 || !strings.Contains(said, of[0]) || !strings.Contains(said, "verify "+log) {
						t.Fatalf("it ends with %d and says %s", code, said)
					}
					if name == "is gone" && (!strings.Contains(said, "the index on column "+of[1]) || !strings.Contains(said, "ensemble rebuild")) {
						t.Fatalf("it says %s", said)
					}
					rebuildEither(t, data, name == "is gone")
					verified(t, data)
					if after := dump(t, data); withoutTimes(after) != withoutTimes(right) {
						t.Fatalf("the rows are\n%s\nand should be\n%s", after, right)
					}
				})
			}
		}
	}
	if seen < 2 {
		t.Fatalf("only %d indexes were met", seen)
	}
}

// rebuildEither rebuilds a stopped system, or one that runs on the folder.
func rebuildEither(t *testing.T, data string, running bool) {
	t.Helper()
	args := []string{"rebuild", "--data", data}
	if running {
		r := start(t, data)
		defer r.end()
		args = []string{"rebuild", "--admin", "http://" + r.admin}
	}
	if said, code := command(t, args...); code != 0 {
		t.Fatalf("rebuild: %s", said)
	}
}

// withoutTimes leaves of each row what two folders made at two times have in common:
// the numbers up to a year's count of microseconds, and the names.
func withoutTimes(rows string) string {
	fields := strings.Fields(rows)
	kept := fields[:0]
	for _, f := range fields {
		if len(strings.Trim(f, "{}[]")) < 15 {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, " ")
}
