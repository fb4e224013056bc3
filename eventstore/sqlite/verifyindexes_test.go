package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// shelved is a log with a view that has an index, and ten rows or more in it.
func shelved(t *testing.T, commits int) (*world, *author) {
	t.Helper()
	w := openWorld(t, t.TempDir()+"/test.db", optionsOf(64))
	a := newAuthor(t, 9)
	for len(a.shelf()) < 8 || len(a.ends) < commits {
		a.commit(w.log)
	}
	return w, a
}

// behindTheIndex changes a table while the file says that it has no index. Afterwards
// the index is there again, and as it was.
func (w *world) behindTheIndex(index, script string) {
	w.t.Helper()
	open := func() *sqlite.Conn {
		conn, err := sqlite.OpenConn(w.path, sqlite.OpenReadWrite)
		if err != nil {
			w.t.Fatal(err)
		}
		conn.SetDefensive(false)
		return conn
	}
	run := func(script string) {
		conn := open()
		if err := errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close()); err != nil {
			w.t.Fatal(err)
		}
	}
	var table, sql string
	var root int64
	conn := open()
	err := sqlitex.ExecuteTransient(conn, "SELECT tbl_name, sql, rootpage FROM sqlite_schema WHERE name = '"+index+"'", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			table, sql, root = s.ColumnText(0), s.ColumnText(1), s.ColumnInt64(2)
			return nil
		},
	})
	if err = errors.Join(err, conn.Close()); err != nil || root == 0 {
		w.t.Fatalf("no index %s: %v", index, err)
	}
	run("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = '" + index + "'")
	run(script)
	run(fmt.Sprintf("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('index', '%s', '%s', %d, '%s')", index, table, root, sql))
}

// TestAnIndexThatIsNotWhatItsTableSaysIsFound: the rows of the table are right, what
// the index answers is not.
func TestAnIndexThatIsNotWhatItsTableSaysIsFound(t *testing.T) {
	const undo = "UPDATE shelf SET position = position - 1000000"
	for name, damage := range map[string]struct {
		do   func(w *world, slot int64)
		says string
	}{
		// The row is taken away with its index entry and put back without it.
		"an entry is missing": {func(w *world, slot int64) {
			w.sql(fmt.Sprintf("CREATE TABLE kept AS SELECT * FROM shelf WHERE slot = %d; DELETE FROM shelf WHERE slot = %d", slot, slot))
			w.behindTheIndex("shelf_position", "INSERT INTO shelf SELECT * FROM kept")
		}, "in the index on column position"},
		// The entry of another value: it leads to the right row in the wrong place.
		"an entry has another value": {func(w *world, slot int64) {
			w.sql(fmt.Sprintf("UPDATE shelf SET position = position + 1000000 WHERE slot = %d", slot))
			w.behindTheIndex("shelf_position", fmt.Sprintf("%s WHERE slot = %d", undo, slot))
		}, fmt.Sprintf("row %s of table shelf is not what the log says, in the index on column position", "SLOT")},
		"an entry leads nowhere": {func(w *world, _ int64) {
			w.sql("INSERT INTO shelf VALUES (5000, 'box', 12345, 1)")
			w.behindTheIndex("shelf_position", "DELETE FROM shelf WHERE slot = 5000")
		}, "the index on column position of table shelf leads to rows that are not there"},
		"the index is gone": {func(w *world, _ int64) {
			w.sql("DROP INDEX shelf_position")
		}, "the index on column position of table shelf is missing"},
		"the index is empty": {func(w *world, _ int64) {
			w.sql("CREATE TABLE kept AS SELECT * FROM shelf; DELETE FROM shelf")
			w.behindTheIndex("shelf_position", "INSERT INTO shelf SELECT * FROM kept")
		}, "in the index on column position"},
	} {
		t.Run(name, func(t *testing.T) {
			w, a := shelved(t, 10)
			if v, err := w.log.VerifyViews(t.Context(), quiet); err != nil || v.Rows != len(a.shelf()) {
				t.Fatalf("an index that is well: %+v, %v", v, err)
			}
			var slot int64
			if _, err := fmt.Sscan(a.shelf()[3], &slot); err != nil {
				t.Fatal(err)
			}
			damage.do(w, slot)
			if got := shown(t, w.log); strings.Join(got, "\n") != strings.Join(a.shelf(), "\n") {
				t.Fatalf("the table itself is changed, so this shows nothing:\n%v\n%v", got, a.shelf())
			}
			_, err := w.log.VerifyViews(t.Context(), quiet)
			found, ok := errors.AsType[*eventstore.DamageError](err)
			says := strings.ReplaceAll(damage.says, "SLOT", fmt.Sprint(slot))
			if !ok || !strings.Contains(found.Error(), says) || !strings.Contains(found.Hint, "ensemble rebuild") {
				t.Fatalf("it says %v, not %s", err, says)
			}
			// What it tells people to do is the way out.
			if _, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
				t.Fatalf("rebuild: %v", err)
			}
			if _, err := w.log.VerifyViews(t.Context(), quiet); err != nil {
				t.Fatalf("after the rebuild: %v", err)
			}
		})
	}
}

// TestTheIndexesOfEveryGenerationAreWalked: their names change with each rebuild.
func TestTheIndexesOfEveryGenerationAreWalked(t *testing.T) {
	w, _ := shelved(t, 10)
	for round := range 3 {
		if _, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.log.VerifyViews(t.Context(), quiet); err != nil {
			t.Fatalf("rebuild %d: %v", round, err)
		}
	}
	w.sql("DROP INDEX shelf_position_b")
	if _, err := w.log.VerifyViews(t.Context(), quiet); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Fatalf("without its index: %v", err)
	}
}

// TestAWalkThroughAnIndexUsesIt: SQLite would rather sort or scan the table if the
// statement let it, and would find nothing then.
func TestAWalkThroughAnIndexUsesIt(t *testing.T) {
	w, _ := shelved(t, 10)
	c := viewCheck{log: w.log, index: "position"}
	tab := w.log.views.tables["shelf"]
	err := w.log.readers.read(t.Context(), func(conn *sqlite.Conn) error {
		for _, where := range []string{
			"(position, slot) > (?, ?) ORDER BY position, slot LIMIT ?+0",
			"position = (SELECT position FROM shelf NOT INDEXED WHERE slot = ?) AND slot > ? LIMIT ?+0",
		} {
			sql, err := c.through(conn, tab, where)
			if err != nil {
				return err
			}
			var plan []string
			err = query(conn, "EXPLAIN QUERY PLAN "+sql, func(s *sqlite.Stmt) error {
				plan = append(plan, s.ColumnText(3))
				return nil
			}, 1, 1, 1)
			all := strings.Join(plan, "; ")
			if err != nil || !strings.Contains(all, "USING INDEX shelf_position") || strings.Contains(all, "B-TREE") || strings.Contains(all, "SCAN") {
				t.Errorf("%s is done by %s, %v", where, all, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestIndexesAreCheckedWhileTheyChange: rows move to and fro in their index behind and
// before the walk, and no walk calls that damage.
func TestIndexesAreCheckedWhileTheyChange(t *testing.T) {
	step := int64(1)
	opts := Options{Views: []eventstore.View{crowded{}, tally{&step}}}
	w := newWorld(t, opts)
	w.many(2*eventstore.MaxPage + 900) // three pages
	// So many commits for each check, however slow it is: a log that grows all the time
	// takes ever longer to check.
	const each = 20
	wanted := make(chan struct{}, each)
	var writer sync.WaitGroup
	writer.Go(func() {
		for range wanted {
			batch := make([]eventstore.Write, 50)
			for i := range batch {
				batch[i] = thing()
			}
			if _, err := w.log.Commit(context.Background(), batch); err != nil {
				t.Error(err)
			}
		}
	})
	defer writer.Wait()
	defer close(wanted)
	for range effort(4, 100) {
		for range each {
			wanted <- struct{}{}
		}
		reader, err := Open(t.Context(), w.path, Options{ReadOnly: true, Views: opts.Views, Log: w.opts.Log})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.VerifyViews(t.Context(), quiet); err != nil {
			t.Errorf("a view that is well: %v", err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
}

// crowded is a view whose rows change their place in an index with every event, most
// of them being in the same place at any time.
type crowded struct{}

func (crowded) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "crowded", Columns: []eventstore.Column{
		{Name: "id", Type: eventstore.IntColumn}, {Name: "place", Type: eventstore.IntColumn},
	}, Indexes: []string{"place"}}}
}

func (crowded) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	p := int64(e.Position)
	rows := []eventstore.Row{{Table: "crowded", Values: []eventstore.Value{eventstore.Int(p), eventstore.Int(7)}}}
	if other := p * 31 % 10_000; other > 0 && other < p { // somebody moves
		rows = append(rows, eventstore.Row{Table: "crowded", Values: []eventstore.Value{eventstore.Int(other), eventstore.Int(p % 13)}})
	}
	return rows, nil
}
