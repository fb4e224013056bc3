package postgres

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// reads says whether a role can read the table of a view.
func reads(t *testing.T, url string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return false
	}
	defer hangUp(context.Background(), conn)
	var n int
	return conn.QueryRow(t.Context(), "select count(*) from counted").Scan(&n) == nil && n == 1
}

// TestWhoMayReadAViewMayReadItAfterARebuild: a dashboard's role, and everybody if so; and
// nobody who might not before.
func TestWhoMayReadAViewMayReadItAfterARebuild(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{Views: []eventstore.View{counted{}}})
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("1"), 0, "here")}); err != nil {
		t.Fatal(err)
	}
	dashboard, stranger := role(t, url), role(t, url)
	execute(t, url, "grant usage on schema public to public", "grant select on counted to "+userOf(t, dashboard))
	for range 2 {
		if !reads(t, dashboard) || reads(t, stranger) {
			t.Fatalf("the dashboard reads %v, a stranger reads %v", reads(t, dashboard), reads(t, stranger))
		}
		if _, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, url, "grant select on counted to public")
	if _, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
		t.Fatal(err)
	}
	if !reads(t, dashboard) || !reads(t, stranger) {
		t.Fatal("not everybody reads what everybody may")
	}
}

// TestAViewOfSomebodyElseOnATableIsInTheWayOfTheNextRebuild, which says so; commands and
// queries go on, and once it is gone so does the old table.
func TestAViewOfSomebodyElseOnATableIsInTheWayOfTheNextRebuild(t *testing.T) {
	url := servertest.Postgres(t)
	var text bytes.Buffer
	log := open(t, url, Options{Views: []eventstore.View{counted{}}, Log: slog.New(slog.NewTextHandler(&text, nil))})
	commit := func() {
		t.Helper()
		if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("1"), eventstore.Any, "here")}); err != nil {
			t.Fatal(err)
		}
	}
	commit()
	execute(t, url, "create view theirs as select count(*) from counted")
	if _, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil || !strings.Contains(text.String(), "still there") {
		t.Fatalf("%v, %s", err, text.String())
	}
	commit()
	verified(t, log)
	if _, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err == nil || !strings.Contains(err.Error(), "depend on it") {
		t.Fatalf("the next rebuild says %v", err)
	}
	commit()
	if v := verified(t, log); v.Events != 3 || v.Rows != 1 {
		t.Fatalf("%+v", v)
	}
	execute(t, url, "drop view theirs")
	if _, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
		t.Fatal(err)
	}
	commit()
	verified(t, log)
}

// TestARebuildOfALongLogIsDoneInSlices, each of them reported, and ends where the log does
// though it grows meanwhile.
func TestARebuildOfALongLogIsDoneInSlices(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{Views: []eventstore.View{counted{}}})
	var batch []eventstore.Write
	for i := range 1000 {
		data := "here"
		if i%5 == 0 {
			data = "gone"
		}
		batch = append(batch, one(on(strings.Repeat("1", 1+i%9)), eventstore.Any, data))
	}
	commit := func() {
		t.Helper()
		if _, err := log.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	for range 7 {
		commit()
	}
	var reported []eventstore.Position
	steps := 0
	found, err := log.Rebuild(t.Context(), eventstore.Rebuild{
		Between: func(_ context.Context, step func() error) error {
			if steps++; steps%2 == 0 && steps < 9 {
				commit() // as many as a slice takes at least
			}
			return step()
		},
		Progress: func(done, total eventstore.Position) {
			if len(reported) > 0 && done <= reported[len(reported)-1] || done > total {
				t.Errorf("after %v, %d of %d are reported", reported, done, total)
			}
			reported = append(reported, done)
		},
	})
	if err != nil || found.Tables[0].Differ != 0 || len(reported) < 3 {
		t.Fatalf("%+v, %v, reported %v", found, err, reported)
	}
	if head, err := log.Head(t.Context()); err != nil || found.Position != head.Position || reported[len(reported)-1] > head.Position {
		t.Fatalf("it took over at %d, the log ends at %d, %v", found.Position, head.Position, err)
	}
	verified(t, log)
}

// TestARebuildWithoutViewsHasNothingToDo.
func TestARebuildWithoutViewsHasNothingToDo(t *testing.T) {
	log := open(t, servertest.Postgres(t), Options{})
	if found, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil || len(found.Tables) > 0 {
		t.Fatalf("%+v, %v", found, err)
	}
}
