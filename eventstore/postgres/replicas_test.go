package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// replicas opens so many stores on one log.
func replicas(t *testing.T, n int, url string, opts Options) (stores []*eventstore.Store, logs []*Log) {
	t.Helper()
	for range n {
		log := open(t, url, opts)
		store, err := eventstore.Open(t.Context(), log, eventstore.Options{Poll: 5 * time.Millisecond, Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		stores, logs = append(stores, store), append(logs, log)
	}
	return stores, logs
}

// TestOfAHundredRacersOnTwoReplicasOneWins: for a version of a stream, and with a key.
func TestOfAHundredRacersOnTwoReplicasOneWins(t *testing.T) {
	stores, logs := replicas(t, 2, servertest.Postgres(t), Options{})
	for round := range eventstore.Version(3) {
		var won, lost, repeated atomic.Int64
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				_, err := stores[i%2].Append(context.Background(), one(on("a"), round, fmt.Sprint(i)))
				conflict, ok := errors.AsType[*eventstore.ConflictError](err)
				switch {
				case err == nil:
					won.Add(1)
				case ok && conflict.Actual == round+1:
					lost.Add(1)
				default:
					t.Errorf("racer %d: %v", i, err)
				}
			})
			group.Go(func() {
				r, err := stores[i%2].Append(context.Background(), keyed(one(on(fmt.Sprint(round, "-", i)), 0, "k"), byte(round)))
				if err != nil {
					t.Errorf("racer %d with a key: %v", i, err)
				}
				if r.Previous != nil {
					repeated.Add(1)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 || lost.Load() != 99 || repeated.Load() != 99 {
			t.Fatalf("round %d: %d won, %d lost, %d were told of the first", round, won.Load(), lost.Load(), repeated.Load())
		}
	}
	if v := verified(t, logs[0]); v.Events != 6 {
		t.Fatalf("there are %d events", v.Events)
	}
}

// TestReplicasGiveDensePositionsAndNumbers: whoever commits, and every subscription sees
// each event once and in order, also of the other replica.
func TestReplicasGiveDensePositionsAndNumbers(t *testing.T) {
	const writers, each = 8, 40
	stores, logs := replicas(t, 3, servertest.Postgres(t), Options{})
	var numbers sync.Map
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for range each {
				r, err := stores[w%3].Append(context.Background(), one(eventstore.Stream{Category: "thing"}, 0, "{}"))
				if err != nil {
					t.Error(err)
				}
				if _, twice := numbers.LoadOrStore(r.Number, true); twice {
					t.Errorf("number %d was given twice", r.Number)
				}
			}
		})
	}
	for _, s := range stores {
		group.Go(func() {
			next, last := eventstore.Position(1), time.Time{}
			for e, err := range s.Subscribe(context.Background(), 0) {
				if err != nil || e.Position != next || e.Number != int64(next) || e.Time.Before(last) {
					t.Errorf("got %+v, %v instead of position %d", e, err, next)
					return
				}
				if next, last = next+1, e.Time; next > writers*each {
					return
				}
			}
		})
	}
	group.Wait()
	if v := verified(t, logs[1]); v.Events != writers*each {
		t.Fatalf("there are %d events", v.Events)
	}
}

// counted is a view with a row for each stream: how many events it has.
type counted struct{}

// Tables implements eventstore.View.
func (counted) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "counted", Columns: []eventstore.Column{
		{Name: "id", Type: eventstore.IntColumn},
		{Name: "events", Type: eventstore.IntColumn},
		{Name: "data", Type: eventstore.TextColumn},
		{Name: "at", Type: eventstore.TimeColumn},
	}, Indexes: []string{"events"}}}
}

// Rows implements eventstore.View. A stream is a number; "gone" takes its row away.
func (counted) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	var id int64
	if _, err := fmt.Sscan(e.Stream.ID, &id); err != nil {
		return nil, err
	}
	return []eventstore.Row{{Table: "counted", Delete: string(e.Data) == "gone", Values: []eventstore.Value{
		eventstore.Int(id), eventstore.Int(int64(e.Version)), eventstore.Text(string(e.Data)), eventstore.Time(e.Time),
	}}}, nil
}

// TestARebuildTakesInWhatOtherReplicasWrite: while two write as fast as they can, one of
// them rebuilds, the other is refused a rebuild of its own, and every row is right.
func TestARebuildTakesInWhatOtherReplicasWrite(t *testing.T) {
	url := servertest.Postgres(t)
	stores, logs := replicas(t, 2, url, Options{Views: []eventstore.View{counted{}}})
	stop := make(chan struct{})
	var group sync.WaitGroup
	defer group.Wait()
	for i := range 6 {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				data := "here"
				if n%3 == 2 {
					data = "gone"
				}
				if _, err := stores[i%2].Append(context.Background(), one(on(fmt.Sprint(1+(n+i)%7)), eventstore.Any, data)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer close(stop)
	execute(t, url, "insert into counted values (99, 1, 'wrong', now())")
	refused := 0
	for round := range 4 {
		found, err := logs[0].Rebuild(t.Context(), eventstore.Rebuild{Between: func(ctx context.Context, step func() error) error {
			if _, err := logs[1].Rebuild(ctx, eventstore.Rebuild{}); errors.Is(err, eventstore.ErrRebuilding) {
				refused++
			}
			return stores[0].Between(ctx, step)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if differ := found.Tables[0].Differ; differ != 1 && round == 0 || differ != 0 && round > 0 {
			t.Fatalf("round %d found %+v", round, found)
		}
		verified(t, logs[1])
	}
	if refused < 4 {
		t.Fatalf("the other replica was refused %d times", refused)
	}
}

// TestARebuildWhoseProcessDiedIsTidiedUp by the next start of any replica, but not while
// another rebuild is under way.
func TestARebuildWhoseProcessDiedIsTidiedUp(t *testing.T) {
	url := servertest.Postgres(t)
	opts := Options{Views: []eventstore.View{counted{}}}
	log := open(t, url, opts)
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("1"), 0, "here")}); err != nil {
		t.Fatal(err)
	}
	left := func() (tables []string) {
		conn := connect(t, url)
		defer hangUp(context.Background(), conn)
		err := conn.QueryRow(t.Context(), "select coalesce(array_agg(relname::text order by relname), '{}') from pg_class where relname ~ '^counted(_green|_old)?$'").Scan(&tables)
		if err != nil {
			t.Fatal(err)
		}
		return tables
	}
	steps := 0
	_, err := log.Rebuild(t.Context(), eventstore.Rebuild{Between: func(_ context.Context, step func() error) error {
		steps++
		if steps == 3 { // everything is in the green table, and registered
			_ = open(t, url, opts)
			if got := left(); !slices.Equal(got, []string{"counted", "counted_green"}) {
				t.Errorf("while it is rebuilt, there is %v", got)
			}
			conn := connect(t, url) // nobody is left who could tidy up
			defer hangUp(context.Background(), conn)
			if _, err := conn.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid() and database = (select oid from pg_database where datname = current_database())"); err != nil {
				t.Error(err)
			}
		}
		return step()
	}})
	if err == nil {
		t.Fatal("a rebuild without a connection has succeeded")
	}
	if got := left(); len(got) != 2 {
		t.Fatalf("a rebuild that died left %v", got)
	}
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("2"), 0, "here")}); err != nil {
		t.Fatal(err)
	}
	again := open(t, url, opts)
	if got := left(); !slices.Equal(got, []string{"counted"}) {
		t.Fatalf("after the next start there is %v", got)
	}
	if v := verified(t, again); v.Rows != 2 {
		t.Fatalf("%+v", v)
	}
}
