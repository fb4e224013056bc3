package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// sealed is counted over something that has to be asked for each event, as names are
// sealed with keys that are in another database.
type sealed struct {
	counted
	away *atomic.Int64 // so many questions are not answered; below 0: none ever
}

// Rows implements eventstore.View.
func (s sealed) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	if left := s.away.Load(); left != 0 {
		s.away.Add(-1)
		return nil, fmt.Errorf("the keys: %w", eventstore.ErrAway)
	}
	return s.counted.Rows(e)
}

// TestAViewThatHasToWaitIsWaitedFor: what it needs is away for a moment, and the command
// succeeds; for longer, and the command is refused, with nothing written; the log goes on.
func TestAViewThatHasToWaitIsWaitedFor(t *testing.T) {
	view := sealed{away: new(atomic.Int64)}
	log := open(t, servertest.Postgres(t), Options{Views: []eventstore.View{view}, Patience: 300 * time.Millisecond})
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	append := func(data string) error {
		_, err := store.Append(t.Context(), keyed(one(on("1"), eventstore.Any, data), data[0]))
		return err
	}
	view.away.Store(2)
	if err := append("a moment"); err != nil {
		t.Fatal(err)
	}
	view.away.Store(-1)
	if err := append("long"); !errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrUnknown) {
		t.Fatalf("while it is away: %v", err)
	}
	view.away.Store(0)
	if err := append("back"); err != nil {
		t.Fatal(err)
	}
	if got := all(t, log); !slices.Equal(got, []string{"a moment", "back"}) {
		t.Fatalf("the log has %q", got)
	}
	verified(t, log)
}

// TestAViewThatIsAddedLaterIsFilled from the log, however long that is, and so is one whose
// index was added.
func TestAViewThatIsAddedLaterIsFilled(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	var batch []eventstore.Write
	for i := range 1000 {
		batch = append(batch, one(on(fmt.Sprint(1+i%400)), eventstore.Any, "here"))
	}
	for range 6 { // more than a page
		if _, err := log.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	with := open(t, url, Options{Views: []eventstore.View{counted{}}})
	if v := verified(t, with); v.Events != 6000 || v.Rows != 400 {
		t.Fatalf("%+v", v)
	}
	indexed := open(t, url, Options{Views: []eventstore.View{byTime{}}})
	rows, err := indexed.Select(t.Context(), eventstore.Select{Table: "counted", Column: "id", Equals: 7, Limit: 9})
	if err != nil || len(rows) != 1 || rows[0][1].Int() != 18 {
		t.Fatalf("%v, %v", rows, err)
	}
	rows, err = indexed.Select(t.Context(), eventstore.Select{Table: "counted", Column: "doubled", Equals: 18, After: 150, Limit: 9})
	if err != nil || len(rows) != 9 || rows[0][0].Int() != 151 {
		t.Fatalf("%v, %v", rows, err)
	}
	verified(t, indexed)
}

// byTime is counted with another column, by which rows are selected.
type byTime struct{}

// Tables implements eventstore.View.
func (byTime) Tables() []eventstore.Table {
	tables := counted{}.Tables()
	tables[0].Columns = append(tables[0].Columns, eventstore.Column{Name: "doubled", Type: eventstore.IntColumn})
	tables[0].Indexes = append(tables[0].Indexes, "doubled")
	return tables
}

// Rows implements eventstore.View.
func (byTime) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	rows, err := counted{}.Rows(e)
	for i := range rows {
		rows[i].Values = append(rows[i].Values, rows[i].Values[1])
	}
	return rows, err
}

// TestAViewThatCanNotReadTheLogIsNotMade: opening says which event, and what was there
// stays.
func TestAViewThatCanNotReadTheLogIsNotMade(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("1"), 0, "here"), one(on("a-word"), 0, "here")}); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), url, Options{Views: []eventstore.View{counted{}}, Log: quiet()})
	if err == nil || errors.Is(err, eventstore.ErrAway) {
		t.Fatalf("got %v", err)
	}
	conn := connect(t, url)
	defer hangUp(context.Background(), conn)
	var made bool
	if err := conn.QueryRow(t.Context(), "select to_regclass('counted') is not null").Scan(&made); err != nil || made {
		t.Fatalf("a table was made: %v, %v", made, err)
	}
	if got := all(t, log); len(got) != 2 {
		t.Fatalf("the log has %q", got)
	}
}

// TestOfReplicasThatStartAtOnceOneMakesTheSchema, and all work on it.
func TestOfReplicasThatStartAtOnceOneMakesTheSchema(t *testing.T) {
	url := servertest.Postgres(t)
	opened := make(chan *Log)
	const n = 6
	for range n {
		go func() {
			log, err := Open(context.Background(), url, Options{Views: []eventstore.View{counted{}}, Log: quiet()})
			if err != nil {
				t.Error(err)
			}
			opened <- log
		}()
	}
	var logs []*Log
	for range n {
		if log := <-opened; log != nil {
			logs = append(logs, log)
			t.Cleanup(func() { _ = log.Close() })
		}
	}
	names := map[[16]byte]bool{}
	for i, log := range logs {
		if _, err := log.Commit(t.Context(), []eventstore.Write{one(on(fmt.Sprint(i+1)), 0, "here")}); err != nil {
			t.Error(err)
		}
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names[head.Lineage[0].UUID] = true
	}
	if len(logs) != n || len(names) != 1 {
		t.Fatalf("%d replicas know the log by %d names", len(logs), len(names))
	}
	if v := verified(t, logs[0]); v.Events != n || v.Rows != n {
		t.Fatalf("%+v", v)
	}
}

// TestAReplicaThatIsStoppedByAViewLeavesTheLock: others go on at once.
func TestAReplicaThatIsStoppedByAViewLeavesTheLock(t *testing.T) {
	stores, logs := replicas(t, 2, servertest.Postgres(t), Options{Views: []eventstore.View{counted{}}, Patience: time.Second})
	if _, err := stores[0].Append(t.Context(), one(on("a-word"), 0, "here")); !errors.Is(err, eventstore.ErrUnknown) {
		t.Fatalf("an event that no view can read got %v", err)
	}
	<-stores[0].Done()
	for i := range 3 {
		if _, err := stores[1].Append(t.Context(), one(on("1"), eventstore.Version(i), "here")); err != nil {
			t.Fatal(err)
		}
	}
	if v := verified(t, logs[1]); v.Events != 3 {
		t.Fatalf("%+v", v)
	}
}
