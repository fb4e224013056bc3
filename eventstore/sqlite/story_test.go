package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// shelf is a view for these tests: an event of the type Put puts a box with the
// event's position and stream on the shelf, Took takes the box of the same slot away.
// The slot is the first byte of the data.
type shelf struct{}

func (shelf) Tables() []eventstore.Table {
	return []eventstore.Table{{
		Name: "shelf",
		Columns: []eventstore.Column{
			{Name: "slot", Type: eventstore.IntColumn},
			{Name: "owner", Type: eventstore.TextColumn},
			{Name: "position", Type: eventstore.IntColumn},
			{Name: "at", Type: eventstore.TimeColumn},
		},
		Indexes: []string{"position"},
	}}
}

func (shelf) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	slot := eventstore.Int(int64(e.Data[1]))
	if e.Type == "Took" {
		return []eventstore.Row{{Table: "shelf", Delete: true, Values: []eventstore.Value{slot}}}, nil
	}
	return []eventstore.Row{{Table: "shelf", Values: []eventstore.Value{
		slot, eventstore.Text(e.Stream.String()), eventstore.Int(int64(e.Position)), eventstore.Time(e.Time),
	}}}, nil
}

// story is what was acknowledged: the plain truth against which every copy of a log
// is held.
type story struct {
	events   []eventstore.Event
	outcomes []told // in the order of the commits
	ends     []int  // how many events the log had after each commit, the empty log first
	highest  int64
}

// told is a key with its outcome, and the commit that told it.
type told struct {
	hash    [16]byte
	commit  int
	outcome eventstore.Outcome
}

// author commits random batches and writes down what was acknowledged.
type author struct {
	t   *testing.T
	rnd *rand.Rand
	story
	keys int
}

func newAuthor(t *testing.T, seed uint64) *author {
	return &author{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), story: story{ends: []int{0}}}
}

// batch makes up a batch: new streams and old ones, keys and none, conflicts, answers
// without events.
func (a *author) batch() []eventstore.Write {
	batch := make([]eventstore.Write, 1+a.rnd.IntN(4))
	for i := range batch {
		w := &batch[i]
		w.Stream = eventstore.Stream{Category: "box", ID: fmt.Sprint("s", a.rnd.IntN(12))}
		w.Expected = eventstore.Any
		switch a.rnd.IntN(6) {
		case 0:
			w.Stream.ID, w.Expected = "", eventstore.NoStream
			w.Events = append(w.Events, eventstore.NewEvent{Type: "Put", Number: eventstore.NextNumber, Data: a.data()})
		case 1:
			w.Expected = 9999 // always a conflict
			w.Events = append(w.Events, eventstore.NewEvent{Type: "Put", Number: eventstore.NextNumber, Data: a.data()})
		case 2:
			w.Key = a.key()
			w.Key.Outcome = []byte(fmt.Sprint("refused ", a.keys))
			continue
		default:
			for range 1 + a.rnd.IntN(3) {
				kind := []string{"Put", "Put", "Took"}[a.rnd.IntN(3)]
				w.Events = append(w.Events, eventstore.NewEvent{Type: kind, Data: a.data()})
			}
		}
		if a.rnd.IntN(3) == 0 {
			w.Key = a.key()
		}
	}
	return batch
}

// data is JSON whose second byte is a slot between '0' and '9', of a length that makes
// rows of all sizes.
func (a *author) data() []byte {
	return fmt.Appendf(nil, `%q`, fmt.Sprint(a.rnd.IntN(10), string(make([]byte, a.rnd.IntN(300)))))
}

// key returns a key that was not used before.
func (a *author) key() *eventstore.Key {
	a.keys++
	return &eventstore.Key{Hash: [16]byte{byte(a.keys), byte(a.keys >> 8), 1}, Fingerprint: [8]byte{byte(a.keys)}}
}

// commit brings a random batch into a log, and writes down what was acknowledged.
func (a *author) commit(log *Log) {
	a.t.Helper()
	batch := a.batch()
	results, err := log.Commit(a.t.Context(), batch)
	if err != nil {
		a.t.Fatalf("commit: %v", err)
	}
	a.acknowledge(batch, results)
}

// acknowledge writes down what a commit answered.
func (a *author) acknowledge(batch []eventstore.Write, results []eventstore.Result) {
	a.t.Helper()
	for i, r := range results {
		w := &batch[i]
		if w.Expected == 9999 {
			if _, conflict := errors.AsType[*eventstore.ConflictError](r.Err); !conflict {
				a.t.Fatalf("a conflict is answered %+v", r)
			}
			continue
		}
		if r.Err != nil || r.Previous != nil {
			a.t.Fatalf("write %+v is answered %+v", w, r)
		}
		a.record(w, r)
		if w.Key != nil {
			a.outcomes = append(a.outcomes, told{hash: w.Key.Hash, commit: len(a.ends), outcome: eventstore.Outcome{
				Fingerprint: w.Key.Fingerprint, Stream: r.Stream, Version: r.Version, Position: r.Position,
				Events: len(w.Events), Data: w.Key.Outcome,
			}})
		}
	}
	a.ends = append(a.ends, len(a.events))
}

// record writes down the events of a write, each with what it has to have.
func (a *author) record(w *eventstore.Write, r eventstore.Result) {
	for i, e := range w.Events {
		number := int64(0)
		if e.Number == eventstore.NextNumber {
			a.highest++
			number = a.highest
		}
		a.events = append(a.events, eventstore.Event{
			Stream: r.Stream, Version: r.Version - eventstore.Version(len(w.Events)-1-i),
			Position: eventstore.Position(len(a.events) + 1), Number: number,
			Type: e.Type, Time: r.Time, Data: e.Data, Meta: e.Meta,
		})
	}
}

// upTo returns the story as it was after so many commits.
func (s *story) upTo(commits int) *story {
	short := &story{events: s.events[:s.ends[commits]], ends: s.ends[:commits+1]}
	for _, o := range s.outcomes {
		if o.commit <= commits {
			short.outcomes = append(short.outcomes, o)
		}
	}
	return short
}

// shelf folds the events by hand.
func (s *story) shelf() []string {
	slots := map[int64]string{}
	for _, e := range s.events {
		delete(slots, int64(e.Data[1]))
		if e.Type == "Put" {
			slots[int64(e.Data[1])] = fmt.Sprint(e.Data[1], " ", e.Stream, " ", e.Position, " ", e.Time.UnixMicro())
		}
	}
	var lines []string
	for _, slot := range slices.Sorted(maps.Keys(slots)) {
		lines = append(lines, slots[slot])
	}
	return lines
}

// differs holds a log against the story and says what is not as it should be, "" if
// nothing is.
func (s *story) differs(t *testing.T, log *Log) string {
	t.Helper()
	events := everything(t, log)
	if diff := cmp.Diff(s.events, events, cmpopts.EquateEmpty()); diff != "" {
		return "events: " + diff
	}
	streams := map[eventstore.Stream][]eventstore.Event{}
	for _, e := range s.events {
		streams[e.Stream] = append(streams[e.Stream], e)
	}
	for stream, want := range streams {
		got, err := log.ReadStream(t.Context(), stream, 0, eventstore.MaxPage)
		if err != nil {
			return fmt.Sprintf("stream %s: %v", stream, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Sprintf("stream %s: %s", stream, diff)
		}
	}
	if diff := cmp.Diff(s.shelf(), shown(t, log), cmpopts.EquateEmpty()); diff != "" {
		return "view: " + diff
	}
	return s.keysDiffer(t, log)
}

// keysDiffer holds the outcomes that a log remembers against the story.
func (s *story) keysDiffer(t *testing.T, log *Log) string {
	t.Helper()
	for _, o := range s.outcomes {
		got, found, err := log.Outcome(t.Context(), o.hash)
		if err != nil || !found {
			return fmt.Sprintf("key %x: found %v, %v", o.hash, found, err)
		}
		if diff := cmp.Diff(o.outcome, got, cmp.Transformer("bytes", func(b []byte) string { return string(b) })); diff != "" {
			return fmt.Sprintf("key %x: %s", o.hash, diff)
		}
	}
	return ""
}

// unknown checks that a log remembers none of the outcomes told after a commit.
func (s *story) unknown(t *testing.T, log *Log, after int) {
	t.Helper()
	for _, o := range s.outcomes {
		if o.commit <= after {
			continue
		}
		if _, found, err := log.Outcome(t.Context(), o.hash); found || err != nil {
			t.Fatalf("key %x of commit %d is known after %d commits, %v", o.hash, o.commit, after, err)
		}
	}
}

// everything returns all events of a log.
func everything(t *testing.T, log *Log) (events []eventstore.Event) {
	t.Helper()
	for {
		page, err := log.ReadAll(t.Context(), eventstore.Position(len(events)), 100)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if len(page) == 0 {
			return events
		}
		events = append(events, page...)
	}
}

// shown returns the rows of the view, as story.shelf does.
func shown(t *testing.T, log *Log) (lines []string) {
	t.Helper()
	rows, err := log.Select(t.Context(), eventstore.Select{Table: "shelf", Limit: 100})
	if err != nil {
		t.Fatalf("select: %v", err)
	}
	for _, r := range rows {
		lines = append(lines, fmt.Sprint(r[0].Int(), " ", r[1].Text(), " ", r[2].Int(), " ", r[3].Int()))
	}
	return lines
}

// withoutCheckpoints ends the checkpointer: only the test makes checkpoints now.
func (w *world) withoutCheckpoints() {
	w.log.checkpoint.stop()
	w.log.checkpoint = &checkpointer{log: w.log, quit: make(chan struct{})}
}

// checkpointNow brings what it can of the write-ahead log into the file.
func (w *world) checkpointNow() {
	w.t.Helper()
	conn, err := openWriteConn(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint(PASSIVE)", nil); err != nil {
		w.t.Fatal(err)
	}
}

// files are what is on the disk at a moment.
type files struct{ db, wal, heads []byte }

// snapshot reads the files as they are.
func (w *world) snapshot() (f files) {
	w.t.Helper()
	f.db = w.read(w.path)
	f.wal, f.heads = maybe(w.path+"-wal"), maybe(w.log2index())
	return f
}

func maybe(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return b
}

// lay puts the files into a folder of their own, as after a loss of power.
func (f files) lay(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	for name, b := range map[string][]byte{path: f.db, path + "-wal": f.wal, path[:len(path)-3] + ".heads": f.heads} {
		if b == nil {
			continue
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// execute runs a script on a file behind its log's back.
func execute(t *testing.T, path, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := sqlitex.ExecuteScript(conn, script, nil); err != nil {
		t.Fatal(err)
	}
}

// sqliteConn is a connection, for tests that look into the file.
type sqliteConn = sqlite.Conn
