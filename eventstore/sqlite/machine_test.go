package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ensemble/eventstore"
)

// machine is a log to which anything happens that can happen to a log, beside the
// plain list of what it should hold.
type machine struct {
	*author
	w       *world
	few     int      // how many keys the log remembers; 0: all of these tests
	forgot  int      // outcomes before this one may be forgotten
	lineage int      // how many names the log has had
	done    []string // what happened so far
}

func newMachine(t *testing.T, seed uint64) *machine {
	w := openWorld(t, filepath.Join(t.TempDir(), "test.db"), optionsOf(64))
	return &machine{author: newAuthor(t, seed), w: w, lineage: 1}
}

// step does one thing at random.
func (m *machine) step() {
	type action struct {
		name string
		do   func()
	}
	all := []action{
		{"commit", m.write},
		{"commit", m.write},
		{"commit", m.write},
		{"repeat", m.repeat},
		{"repeat with another body", m.reuse},
		{"read", m.readSome},
		{"reopen", m.reopen},
		{"reopen with few keys", m.reopenWithFewKeys},
		{"lose the power", func() { m.crashTo(m.w.snapshot()) }},
		{"lose the power and the heads", m.crashWithoutHeads},
		{"lose the heads", m.loseHeads},
		{"another process looks", m.look},
		{"rebuild", m.rebuild},
		{"clear", func() { clear(m.t, m.w.log) }},
		{"checkpoint", m.w.checkpointNow},
		{"restore a backup", m.restore},
	}
	a := all[m.rnd.IntN(len(all))]
	m.done = append(m.done, a.name)
	a.do()
}

// write commits a batch.
func (m *machine) write() {
	m.commit(m.w.log)
	m.forget()
}

// forget notes what the log need not remember any more.
func (m *machine) forget() {
	if m.few > 0 {
		m.forgot = max(m.forgot, len(m.outcomes)-m.few)
	}
}

// known are the outcomes that the log has to remember.
func (m *machine) known() []told { return m.outcomes[m.forgot:] }

// repeat sends a command again whose key the log has to know: nothing is appended, and
// the answer is the first one.
func (m *machine) repeat() {
	if len(m.known()) == 0 {
		return
	}
	m.sendAgain(m.known()[m.rnd.IntN(len(m.known()))], [8]byte{})
}

// reuse sends another command under a key that was used before: the log gives the old
// outcome with the old fingerprint, by which its caller tells the two apart.
func (m *machine) reuse() {
	if len(m.known()) == 0 {
		return
	}
	m.sendAgain(m.known()[len(m.known())-1], [8]byte{0xff, 0xee})
}

// sendAgain sends a write under a known key, in one batch with a new one.
func (m *machine) sendAgain(o told, fingerprint [8]byte) {
	if fingerprint == ([8]byte{}) {
		fingerprint = o.outcome.Fingerprint
	}
	again := eventstore.Write{
		Stream: eventstore.Stream{Category: "box", ID: "s1"}, Expected: eventstore.Any,
		Events: []eventstore.NewEvent{{Type: "Put", Data: m.data()}},
		Key:    &eventstore.Key{Hash: o.hash, Fingerprint: fingerprint},
	}
	results, err := m.w.log.Commit(m.t.Context(), []eventstore.Write{again})
	if err != nil || len(results) != 1 || results[0].Err != nil || results[0].Previous == nil {
		m.t.Fatalf("a key that is known is answered %+v, %v", results, err)
	}
	got := *results[0].Previous
	if diff := cmp.Diff(o.outcome, got, sameBytes()); diff != "" {
		m.t.Fatalf("a repeated command is answered otherwise: %s", diff)
	}
}

// sameBytes compares no bytes and nil bytes as equal.
func sameBytes() cmp.Option {
	return cmp.Transformer("bytes", func(b []byte) string { return string(b) })
}

// readSome reads pages of the log and of a stream from anywhere.
func (m *machine) readSome() {
	after, limit := m.rnd.IntN(len(m.events)+3), 1+m.rnd.IntN(20)
	got, err := m.w.log.ReadAll(m.t.Context(), eventstore.Position(after), limit)
	want := m.events[min(after, len(m.events)):min(after+limit, len(m.events))]
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		m.t.Fatalf("up to %d events after %d: %v %s", limit, after, err, diff)
	}
	stream := eventstore.Stream{Category: "box", ID: fmt.Sprint("s", m.rnd.IntN(14))}
	all := m.of(stream)
	from := m.rnd.IntN(len(all) + 2)
	got, err = m.w.log.ReadStream(m.t.Context(), stream, eventstore.Version(from), limit)
	want = all[min(from, len(all)):min(from+limit, len(all))]
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		m.t.Fatalf("up to %d events of %s after %d: %v %s", limit, stream, from, err, diff)
	}
}

// reopen closes the log in order and opens it again.
func (m *machine) reopen() {
	m.few, m.w.opts.KeepKeys = 0, 0
	m.w.close()
	m.w.open()
}

// reopenWithFewKeys makes the log remember the last keys only, from now on.
func (m *machine) reopenWithFewKeys() {
	m.few = 5 + m.rnd.IntN(10)
	m.w.opts.KeepKeys = m.few
	m.w.close()
	m.w.open()
	m.forget()
}

// crashTo goes on with a copy of the files, taken while the log was open.
func (m *machine) crashTo(f files) {
	m.w.close()
	m.w = openWorld(m.t, f.lay(m.t), m.w.opts)
}

func (m *machine) crashWithoutHeads() {
	f := m.w.snapshot()
	f.heads = nil
	m.crashTo(f)
}

// loseHeads takes away the saved heads of a log that was closed in order.
func (m *machine) loseHeads() {
	m.w.close()
	if err := os.Remove(m.w.log2index()); err != nil {
		m.t.Fatal(err)
	}
	m.w.open()
}

// look opens the log a second time, for reading, and holds it against the list.
func (m *machine) look() {
	opts := m.w.opts
	opts.ReadOnly = true
	reader, err := Open(m.t.Context(), m.w.path, opts)
	if err != nil {
		m.t.Fatalf("open to look: %v", err)
	}
	if diff := cmp.Diff(m.events, everything(m.t, reader), cmpopts.EquateEmpty()); diff != "" {
		m.t.Fatal("who only looks sees " + diff)
	}
	for _, stream := range m.streams() {
		got, err := reader.FindStream(m.t.Context(), stream, noProgress)
		if diff := cmp.Diff(m.of(stream), got); diff != "" || err != nil {
			m.t.Fatalf("stream %s is found as %v %s", stream, err, diff)
		}
	}
	m.indexed(reader)
	if _, err := reader.Verify(m.t.Context(), noProgress); err != nil {
		m.t.Fatalf("verify: %v", err)
	}
	if v, err := reader.VerifyViews(m.t.Context(), quiet); err != nil || v.Rows != len(m.shelf()) {
		m.t.Fatalf("verify the views: %+v, %v", v, err)
	}
	if _, err := reader.Commit(m.t.Context(), m.batch()); !errors.Is(err, eventstore.ErrClosed) {
		m.t.Fatalf("who only looks may commit: %v", err)
	}
	if err := reader.Close(); err != nil {
		m.t.Fatal(err)
	}
}

// streams are those that have events.
func (m *machine) streams() (list []eventstore.Stream) {
	for _, e := range m.events {
		if e.Version == 1 {
			list = append(list, e.Stream)
		}
	}
	return list
}

// of returns the events of one stream.
func (m *machine) of(stream eventstore.Stream) (events []eventstore.Event) {
	for _, e := range m.events {
		if e.Stream == stream {
			events = append(events, e)
		}
	}
	return events
}

// rebuild makes the views anew; the old ones were right.
func (m *machine) rebuild() {
	found, err := m.w.log.Rebuild(m.t.Context(), eventstore.Rebuild{})
	if err != nil || len(found.Tables) != 1 || found.Tables[0].Differ != 0 || int(found.Tables[0].Rows) != len(m.shelf()) {
		m.t.Fatalf("rebuild: %+v, %v", found, err)
	}
}

// restore goes on with what a backup holds: the same under one more name.
func (m *machine) restore() {
	before := m.w.log.lineage
	w := restored(m.t, m.w.backup(), m.w.opts)
	m.w.close()
	m.w = w
	m.lineage = len(w.log.lineage)
	for p := range len(m.events) {
		at := eventstore.Position(p + 1)
		if before.At(at) != w.log.lineage.At(at) {
			m.t.Fatalf("position %d is known by another name after a restore", at)
		}
	}
	if next := eventstore.Position(len(m.events) + 1); before.At(next) == w.log.lineage.At(next) {
		m.t.Fatal("what comes after a restore has the name of what came after the backup")
	}
}

// whole holds a log against the list, all of it.
func (m *machine) whole(log *Log) {
	m.t.Helper()
	story := m.story
	story.outcomes = m.known()
	if diff := story.differs(m.t, log); diff != "" {
		m.t.Fatal(diff)
	}
	m.forgotten(log)
	m.indexed(log)
	v, err := log.Verify(m.t.Context(), noProgress)
	if err != nil || int(v.Events) != len(m.events) {
		m.t.Fatalf("verified %+v, %v", v, err)
	}
	head, err := log.Head(m.t.Context())
	if err != nil || int(head.Position) != len(m.events) || len(head.Lineage) != m.lineage {
		m.t.Fatalf("the head is %+v, %v", head, err)
	}
}

// forgotten looks for outcomes that the log need not know: what it knows is right.
func (m *machine) forgotten(log *Log) {
	m.t.Helper()
	for _, o := range m.outcomes[:m.forgot] {
		got, found, err := log.Outcome(m.t.Context(), o.hash)
		if err != nil || found && cmp.Diff(o.outcome, got, sameBytes()) != "" {
			m.t.Fatalf("key %x is remembered as %+v, %v", o.hash, got, err)
		}
	}
}

// indexed looks for each row through its index.
func (m *machine) indexed(log *Log) {
	m.t.Helper()
	for _, line := range m.shelf() {
		fields := strings.Fields(line) // slot, owner, position, time
		var slot, position int64
		if _, err := fmt.Sscan(fields[0]+" "+fields[2], &slot, &position); err != nil {
			m.t.Fatal(err)
		}
		rows, err := log.Select(m.t.Context(), eventstore.Select{Table: "shelf", Column: "position", Equals: position, Limit: 3})
		if err != nil || len(rows) != 1 || rows[0][0].Int() != slot {
			m.t.Fatalf("box %s is found as %v, %v", line, rows, err)
		}
	}
}

// TestWhateverHappensToALogItIsWhatWasAcknowledged draws histories of everything that
// may happen to a log, and holds it against a plain list after each step.
func TestWhateverHappensToALogItIsWhatWasAcknowledged(t *testing.T) {
	seed := rand.Uint64()
	for n := range uint64(effort(12, 500)) {
		t.Run(fmt.Sprint(seed+n), func(t *testing.T) {
			m := newMachine(t, seed+n)
			defer func() {
				if t.Failed() {
					t.Logf("after: %s", strings.Join(m.done, ", "))
				}
			}()
			for range 14 {
				m.step()
				m.whole(m.w.log)
			}
			m.reopen()
			m.whole(m.w.log)
			if len(m.events) > 0 && !slices.IsSortedFunc(m.events, func(a, b eventstore.Event) int { return a.Time.Compare(b.Time) }) {
				t.Fatal("time ran backwards")
			}
		})
	}
}

// FuzzDecodeRow: whatever lies in the columns of a row of a log, reading ends with the
// event as it was written or with damage, never with a panic or another event.
func FuzzDecodeRow(f *testing.F) {
	f.Add("thing-1", int64(1), int64(0), int64(1), "ThingMade", int64(1), `{"colour":"red"}`, "", []byte(nil), []byte(nil), int64(0), false)
	f.Add("thing", int64(1), int64(0), int64(1), "ThingMade", int64(1), `{}`, `{"a":"b"}`, []byte("0123456789abcdef"), []byte("01234567"), int64(0), true)
	f.Add("", int64(-1), int64(-1), int64(-1), "", int64(-1<<63), "\x00", "{", []byte("short"), []byte{}, int64(1<<40), true)
	f.Add("-", int64(1<<62), int64(1<<62), int64(0), "-", int64(1<<62), "null", "null", []byte{}, []byte(nil), int64(-1), true)
	path := filepath.Join(f.TempDir(), "test.db")
	log, err := Open(f.Context(), path, Options{})
	if err != nil {
		f.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Commit(f.Context(), []eventstore.Write{thing()}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, stream string, version, previous, number int64, kind string, at int64, data, meta string, key, finger []byte, crc int64, seal bool) {
		if strings.ContainsRune(stream+kind+data+meta, 0) {
			t.Skip("a script can't hold it")
		}
		r := record{
			event: eventstore.Event{
				Position: 1, Version: eventstore.Version(version), Number: number, Type: kind,
				Time: eventstore.Micros(at).Time(), Data: []byte(data),
			},
			stream: stream, meta: meta, previous: eventstore.Position(previous), key: key, finger: finger,
		}
		if seal { // as if the checksum had been made for this row
			check := newChecker()
			crc = int64(check.checksum(&r))
		}
		execute(t, path, fmt.Sprintf("UPDATE events SET stream = %s, version = %d, previous = %d, number = %d, type = %s, time = %d, crc = %d, data = %s, meta = %s, key = %s, fingerprint = %s",
			quoted(stream), version, previous, number, quoted(kind), at, crc, quoted(data), quoted(meta), blob(key), blob(finger)))
		events, err := log.ReadAll(t.Context(), 0, 10)
		if err == nil {
			if len(events) != 1 || events[0].Stream.String() != stream || string(events[0].Data) != data || events[0].Type != kind ||
				events[0].Number != number || events[0].Time.UnixMicro() != r.event.Time.UnixMicro() {
				t.Fatalf("%q was read as %+v", stream, events)
			}
		} else if _, ok := errors.AsType[*eventstore.DamageError](err); !ok {
			t.Fatalf("a row that can't be read is answered %v", err)
		}
		if _, err := log.Verify(t.Context(), noProgress); err != nil {
			if _, ok := errors.AsType[*eventstore.DamageError](err); !ok {
				t.Fatalf("verify says %v", err)
			}
		}
	})
}

// quoted returns a text as SQL.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// blob returns bytes as SQL; nil is NULL.
func blob(b []byte) string {
	if b == nil {
		return "NULL"
	}
	return fmt.Sprintf("x'%x'", b)
}
