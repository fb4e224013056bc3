package postgres

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/internal/servertest"
)

// tally is a view with a row for each stream of things: its length, and what its last
// event holds. An event whose data begins with "-" takes the row away.
type tally struct{}

// Tables implements eventstore.View.
func (tally) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "tally", Columns: []eventstore.Column{
		{Name: "id", Type: eventstore.IntColumn},
		{Name: "length", Type: eventstore.IntColumn},
		{Name: "data", Type: eventstore.TextColumn},
	}, Indexes: []string{"length"}}}
}

// Rows implements eventstore.View.
func (tally) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	id, err := strconv.ParseInt(e.Stream.ID, 10, 64)
	if err != nil || e.Stream.Category != "thing" {
		return nil, nil //nolint:nilerr // streams of other things have no row
	}
	return []eventstore.Row{{Table: "tally", Delete: strings.HasPrefix(string(e.Data), "-"), Values: []eventstore.Value{
		eventstore.Int(id), eventstore.Int(int64(e.Version)), eventstore.Text(hex.EncodeToString(e.Data)),
	}}}, nil
}

// drawNumber makes up what an event asks for: mostly the next number or none, at times
// one that an import brings along, and the last that there is.
func drawNumber(t *rapid.T, needed bool) int64 {
	numbers := []int64{eventstore.NextNumber, eventstore.NextNumber, eventstore.NextNumber, 3, 7, 11, 30, math.MaxInt64}
	if !needed {
		numbers = append(numbers, eventstore.NoNumber, eventstore.NoNumber, eventstore.NoNumber, eventstore.NoNumber)
	}
	return rapid.SampledFrom(numbers).Draw(t, "number")
}

// drawAny makes up a write of any kind that a Store lets through: with events or only an
// outcome, on a stream that is named or will be, with a key that was used or not.
func drawAny(t *rapid.T) eventstore.Write {
	w := eventstore.Write{Expected: eventstore.Version(rapid.IntRange(-1, 4).Draw(t, "expected"))}
	w.Stream.Category = rapid.SampledFrom([]string{"thing", "thing", "other"}).Draw(t, "category")
	w.Stream.ID = rapid.SampledFrom([]string{"", "1", "2", "3", "a-b", "9223372036854775807"}).Draw(t, "id")
	events := rapid.IntRange(0, 3).Draw(t, "events")
	if events == 0 || rapid.Bool().Draw(t, "keyed") {
		n := byte(rapid.IntRange(1, 8).Draw(t, "key"))
		w.Key = &eventstore.Key{Hash: [16]byte{n, n}, Fingerprint: [8]byte{n}}
	}
	if events == 0 {
		w.Key.Outcome = rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "outcome")
		if w.Stream.ID == "" || rapid.Bool().Draw(t, "about nothing") {
			w.Stream = eventstore.Stream{}
		}
		return w
	}
	if w.Stream.ID == "" {
		w.Expected = eventstore.NoStream
	}
	for i := range events {
		e := eventstore.NewEvent{Type: "Happened", Number: drawNumber(t, i == 0 && w.Stream.ID == "")}
		e.Data = rapid.SliceOfN(rapid.SampledFrom([]byte{'-', 'x', 0, 0xff, '"'}), 0, 4).Draw(t, "data")
		if rapid.IntRange(0, 4).Draw(t, "meta") == 0 {
			e.Meta = eventstore.Metadata{"who": rapid.SampledFrom([]string{"", "\x00", "ä\u2028<&>", `\u0000"`}).Draw(t, "who")}
		}
		w.Events = append(w.Events, e)
	}
	return w
}

// told is a result as people read it, without its time.
func told(r eventstore.Result) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	if p := r.Previous; p != nil {
		return fmt.Sprintf("before: %v@%d at %d, %d events, %x %x", p.Stream, p.Version, p.Position, p.Events, p.Fingerprint, p.Data)
	}
	return fmt.Sprintf("%v@%d at %d #%d", r.Stream, r.Version, r.Position, r.Number)
}

// content is everything that a log answers, without times, a line each.
func content(t *rapid.T, d eventstore.Driver) string {
	var b strings.Builder
	events, err := d.ReadAll(t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		fmt.Fprintf(&b, "%d %v@%d #%d %s %q %q\n", e.Position, e.Stream, e.Version, e.Number, e.Type, e.Data, e.Meta)
	}
	head, err := d.Head(t.Context())
	fmt.Fprintln(&b, "head", head.Position, err)
	for key := byte(1); key <= 8; key++ {
		o, found, err := d.Outcome(t.Context(), [16]byte{key, key})
		fmt.Fprintf(&b, "key %d: %v %v@%d at %d, %d, %x %x %v\n", key, found, o.Stream, o.Version, o.Position, o.Events, o.Fingerprint, o.Data, err)
	}
	for _, q := range []eventstore.Select{
		{}, {After: 1}, {Limit: 1}, {Column: "id", Equals: 2}, {Column: "length", Equals: 1}, {Column: "length", Equals: 2, After: 1},
	} {
		if q.Table = "tally"; q.Limit == 0 {
			q.Limit = 10
		}
		rows, err := d.Select(t.Context(), q)
		for _, row := range rows {
			fmt.Fprintf(&b, "%+v: %d %d %s\n", q, row[0].Int(), row[1].Int(), row[2].Text())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestReplicasTogetherAnswerAsOneLogInMemory has three replicas commit random batches by
// turns; one may lose its line, start anew or rebuild the views in between. Every result,
// and at the end every event, outcome and row, is what a log in memory says, and the
// chain of commits is whole.
func TestReplicasTogetherAnswerAsOneLogInMemory(t *testing.T) {
	url, schemas := servertest.Postgres(t), 0
	p, through := newProxy(t, url)
	rapid.Check(t, func(rt *rapid.T) {
		schemas++
		opts := Options{Schema: fmt.Sprint("h", schemas), Views: []eventstore.View{tally{}}, Log: quiet()}
		one := memory.New(memory.Options{Views: opts.Views})
		defer one.Close()
		start := func() *Log {
			log, err := Open(t.Context(), through, opts)
			if err != nil {
				rt.Fatal(err)
			}
			return log
		}
		logs := []*Log{start(), start(), start()}
		defer func() {
			for _, l := range logs {
				_ = l.Close()
			}
		}()
		for range rapid.IntRange(1, 8).Draw(rt, "batches") {
			at := rapid.IntRange(0, 2).Draw(rt, "replica")
			switch rapid.IntRange(0, 9).Draw(rt, "before") {
			case 0:
				_ = logs[at].Close()
				logs[at] = start()
			case 1:
				if found, err := logs[at].Rebuild(t.Context(), eventstore.Rebuild{}); err != nil || found.Tables[0].Differ != 0 {
					rt.Fatalf("a rebuild found %+v, %v", found, err)
				}
			case 2, 3:
				p.budget.Store(rapid.Int64Range(1, 6000).Draw(rt, "bytes until the line is cut"))
			}
			batch := rapid.SliceOfN(rapid.Custom(drawAny), 1, 5).Draw(rt, "batch")
			should, err := one.Commit(t.Context(), batch)
			if err != nil {
				rt.Fatal(err)
			}
			got, err := logs[at].Commit(t.Context(), batch)
			p.budget.Store(0)
			if err != nil {
				rt.Fatal(err)
			}
			for i := range batch {
				if told(got[i]) != told(should[i]) || errors.Is(got[i].Err, eventstore.ErrInvalid) != errors.Is(should[i].Err, eventstore.ErrInvalid) {
					rt.Fatalf("%+v\ngot    %s\nshould %s", batch[i], told(got[i]), told(should[i]))
				}
			}
		}
		for i, l := range logs {
			if got, should := content(rt, l), content(rt, one); got != should {
				rt.Fatalf("replica %d has\n%s\nand should have\n%s", i, got, should)
			}
		}
		verified(t, logs[0])
	})
}
