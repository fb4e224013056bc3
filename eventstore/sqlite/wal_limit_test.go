package sqlite

import (
	"context"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// stay opens a reader that holds on to the log as it is now.
func (w *world) stay() (leave func()) {
	w.t.Helper()
	conn, err := sqlite.OpenConn(w.path, sqlite.OpenReadOnly)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, sql := range []string{"BEGIN", "SELECT count(*) FROM events"} {
		stmt, _, err := conn.PrepareTransient(sql)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := stmt.Step(); err != nil {
			w.t.Fatal(err)
		}
		if err := stmt.Finalize(); err != nil {
			w.t.Fatal(err)
		}
	}
	return func() {
		if err := conn.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

func TestTheWriteAheadLogStaysBelowItsLimit(t *testing.T) {
	const limit = 128 << 10
	w := newWorld(t, Options{WALLimit: limit})
	w.withoutCheckpoints() // commits alone have to see to it
	for range 60 {
		w.commit(1)
		if size := w.log.WALSize(); size > limit+64<<10 { // a commit more than the limit
			t.Fatalf("the write-ahead log has %d bytes", size)
		}
	}
}

// A reader that stays can't be made to leave: the write-ahead log grows beyond its
// limit, and commits go on. Only a commit that finds it a quarter of the limit larger
// than at the last try waits for the reader; all others do not even try.
func TestAReaderThatStaysDoesNotHoldUpCommits(t *testing.T) {
	const limit = 256 << 10
	w := newWorld(t, Options{WALLimit: limit})
	w.withoutCheckpoints()
	w.commit(1)
	leave := w.stay()
	tries, calm := 0, 0
	for w.log.WALSize() < 3*limit {
		size, enough := w.log.WALSize(), w.log.checkpoint.enough
		w.commit(1)
		switch tried := w.log.checkpoint.enough != enough; {
		case tried && size <= max(limit, enough):
			t.Fatalf("a commit at %d bytes tried to make room, %d are enough", size, max(limit, enough))
		case tried:
			tries++
		case size > limit:
			calm++
		}
	}
	if tries == 0 || tries > 2*limit/(limit/4)+1 || calm < tries {
		t.Fatalf("%d commits tried to make room, %d beyond the limit did not", tries, calm)
	}
	leave()
	for range 100 {
		w.commit(1)
		if w.log.WALSize() <= limit {
			return
		}
	}
	t.Fatalf("the reader has left, the write-ahead log still has %d bytes", w.log.WALSize())
}

func TestTheCheckpointerWorksBehindTheCommits(t *testing.T) {
	w := newWorld(t, optionsOf(64))
	a := newAuthor(t, 2)
	for range 3 {
		for range 10 {
			a.commit(w.log)
		}
		w.log.checkpoint.pending.Store(checkpointEvery)
		w.log.checkpoint.committed(1)
		for w.log.checkpoint.pending.Load() != 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if diff := a.differs(t, w.log); diff != "" {
		t.Fatal(diff)
	}
	w.close()
	if size := len(maybe(w.path + "-wal")); size != 0 {
		t.Fatalf("a closed log leaves %d bytes in its write-ahead log", size)
	}
}

// Tools look at a log while it is written. Whatever the moment they open it, they see
// a whole log, and nothing that looks like damage.
func TestALogCanBeOpenedAndVerifiedAtAnyMomentOfItsWriting(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(5)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if _, err := w.log.Commit(context.Background(), []eventstore.Write{thing(), thing()}); err != nil {
				t.Error(err)
				break
			}
		}
		done <- n
	}()
	seen := eventstore.Position(5)
	for range effort(40, 2000) {
		reader, err := Open(t.Context(), w.path, Options{ReadOnly: true})
		if err != nil {
			t.Errorf("opening says %v", err)
			break
		}
		v, err := reader.Verify(t.Context(), noProgress)
		if err != nil || v.Events < seen || v.Events != eventstore.Position(v.Streams) {
			t.Errorf("verified %+v after %d, %v", v, seen, err)
		}
		seen = v.Events
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	t.Logf("%d commits meanwhile", <-done)
}
