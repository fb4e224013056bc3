package eventstore

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// plain is a log in the plainest form: what a batch of writes comes to, one write after
// the other, with nothing kept but lists.
type plain struct {
	events []Event
	keys   map[[16]byte]Outcome
	last   time.Time
}

func (p *plain) version(s Stream) (v Version) {
	for _, e := range p.events {
		if e.Stream == s {
			v = e.Version
		}
	}
	return v
}

func (p *plain) highest(category string) (n int64) {
	for _, e := range p.events {
		if e.Stream.Category == category {
			n = max(n, e.Number)
		}
	}
	return n
}

// append does one write and says how it ended.
func (p *plain) append(w Write) (previous, conflict, invalid bool) {
	if w.Key != nil {
		if _, used := p.keys[w.Key.Hash]; used {
			return true, false, false
		}
	}
	numbers, highest := make([]int64, len(w.Events)), p.highest(w.Stream.Category)
	for i, e := range w.Events {
		switch {
		case e.Number == NoNumber:
			continue
		case highest == math.MaxInt64, e.Number != NextNumber && e.Number <= highest:
			return false, false, true
		case e.Number == NextNumber:
			highest++
		default:
			highest = e.Number
		}
		numbers[i] = highest
	}
	stream := w.Stream
	if len(w.Events) > 0 && stream.ID == "" {
		stream.ID = fmt.Sprint(numbers[0])
	}
	version := p.version(stream)
	if stream != (Stream{}) && w.Expected != Any && w.Expected != version {
		return false, true, false
	}
	for i, e := range w.Events {
		version++
		p.events = append(p.events, Event{
			Stream: stream, Version: version, Position: Position(len(p.events) + 1), Number: numbers[i],
			Type: e.Type, Time: p.last, Data: e.Data,
		})
	}
	if w.Key != nil {
		p.keys[w.Key.Hash] = Outcome{
			Fingerprint: w.Key.Fingerprint, Stream: stream, Version: version,
			Position: Position(len(p.events)), Events: len(w.Events), Data: w.Key.Outcome,
		}
	}
	return false, false, false
}

// sequencer returns a Sequencer on top of the plain log.
func (p *plain) sequencer() *Sequencer {
	before := *p
	before.events = slices.Clip(p.events)
	keys := maps.Clone(p.keys)
	return &Sequencer{
		Position: Position(len(before.events)), Last: before.last,
		Version: func(s Stream) (Version, error) { return before.version(s), nil },
		Number:  before.highest,
		Outcome: func(k [16]byte) (Outcome, bool, error) { o, ok := keys[k]; return o, ok, nil },
	}
}

// drawWrite makes up a write over few streams, keys and numbers, so that they meet.
func drawWrite(t *rapid.T) Write {
	w := Write{
		Stream:   Stream{Category: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "category"), ID: rapid.SampledFrom([]string{"", "1", "2", "x"}).Draw(t, "id")},
		Expected: Version(rapid.IntRange(-1, 4).Draw(t, "expected")),
	}
	number := rapid.SampledFrom([]int64{NoNumber, NextNumber, NextNumber, 3, 7, math.MaxInt64})
	for i := range rapid.IntRange(0, 3).Draw(t, "events") {
		w.Events = append(w.Events, NewEvent{Type: "E", Data: fmt.Append(nil, i), Number: number.Draw(t, "number")})
	}
	if rapid.Bool().Draw(t, "keyed") || len(w.Events) == 0 {
		w.Key = &Key{Hash: [16]byte{rapid.Byte().Draw(t, "key") % 6}, Fingerprint: [8]byte{1}}
	}
	if len(w.Events) > 0 && w.Stream.ID == "" {
		w.Expected = NoStream
		if w.Events[0].Number == NoNumber {
			w.Events[0].Number = NextNumber
		}
	}
	if len(w.Events) == 0 && w.Stream.ID == "" {
		w.Stream = Stream{}
	}
	return w
}

// TestABatchIsItsWritesOneAfterTheOther: numbering a batch at once gives what a plain
// log gives for each write alone.
func TestABatchIsItsWritesOneAfterTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &plain{keys: map[[16]byte]Outcome{}}
		now := time.Unix(1000, 0).UTC()
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			now = now.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "seconds")) * time.Second)
			batch := rapid.SliceOfN(rapid.Custom(drawWrite), 1, 6).Draw(t, "batch")
			first := len(p.events)
			got, err := p.sequencer().Sequence(batch, now)
			if err != nil {
				t.Fatal(err)
			}
			if now.After(p.last) {
				p.last = now
			}
			for i, w := range batch {
				from := len(p.events)
				previous, conflict, invalid := p.append(w)
				r := got.Results[i]
				_, isConflict := errors.AsType[*ConflictError](r.Err)
				if (r.Previous != nil) != previous || isConflict != conflict || errors.Is(r.Err, ErrInvalid) != invalid {
					t.Fatalf("write %d, %+v: %+v, want previous %v, conflict %v, invalid %v", i, w, r, previous, conflict, invalid)
				}
				if previous {
					if diff := cmp.Diff(p.keys[w.Key.Hash], *r.Previous); diff != "" {
						t.Fatalf("write %d: %s", i, diff)
					}
				}
				if got.First[i] != from-first || got.First[i+1] != len(p.events)-first {
					t.Fatalf("write %d has events %d to %d", i, got.First[i], got.First[i+1])
				}
			}
			if diff := cmp.Diff(append([]Event{}, p.events[first:]...), got.Events); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestASequencerThatCanNotReadSaysSo(t *testing.T) {
	broken := errors.New("broken")
	q := (&plain{}).sequencer()
	q.Version = func(Stream) (Version, error) { return 0, broken }
	if _, err := q.Sequence([]Write{{Stream: Stream{"a", "1"}, Events: []NewEvent{{Type: "E"}}}}, time.Now()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	q = (&plain{}).sequencer()
	q.Outcome = func([16]byte) (Outcome, bool, error) { return Outcome{}, false, broken }
	if _, err := q.Sequence([]Write{{Key: &Key{}}}, time.Now()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestWhatAWriteMayBe(t *testing.T) {
	one := []NewEvent{{Type: "E", Data: []byte("{}")}}
	long := strings.Repeat("x", MaxName+1)
	stream := Stream{"a", "1"}
	numbered := []NewEvent{{Type: "E", Number: NextNumber}}
	for sentence, c := range map[string]struct {
		write Write
		fine  bool
	}{
		"one event":                            {Write{Stream: stream, Events: one}, true},
		"any version":                          {Write{Stream: stream, Expected: Any, Events: one}, true},
		"a version below any":                  {Write{Stream: stream, Expected: -2, Events: one}, false},
		"nothing at all":                       {Write{}, false},
		"a key alone":                          {Write{Key: &Key{}}, true},
		"a key alone, about a stream":          {Write{Stream: stream, Key: &Key{}}, true},
		"a key alone, about half a stream":     {Write{Stream: Stream{Category: "a"}, Key: &Key{}}, false},
		"an outcome at its limit":              {Write{Key: &Key{Outcome: make([]byte, MaxOutcome)}}, true},
		"an outcome beyond it":                 {Write{Key: &Key{Outcome: make([]byte, MaxOutcome+1)}}, false},
		"a category of other letters":          {Write{Stream: Stream{"ä", "1"}, Events: one}, false},
		"a category with the mark of streams":  {Write{Stream: Stream{"a-b", "1"}, Events: one}, false},
		"no category":                          {Write{Stream: Stream{"", "1"}, Events: one}, false},
		"a long category":                      {Write{Stream: Stream{long, "1"}, Events: one}, false},
		"an ID with a space":                   {Write{Stream: Stream{"a", "1 2"}, Events: one}, false},
		"an ID with a line break":              {Write{Stream: Stream{"a", "1\n"}, Events: one}, false},
		"an ID that is not UTF-8":              {Write{Stream: Stream{"a", "\xff"}, Events: one}, false},
		"an ID of other letters":               {Write{Stream: Stream{"a", "é-😀"}, Events: one}, true},
		"a long ID":                            {Write{Stream: Stream{"a", long}, Events: one}, false},
		"the longest ID":                       {Write{Stream: Stream{"a", long[1:]}, Events: one}, true},
		"a new stream named by its number":     {Write{Stream: Stream{Category: "a"}, Events: numbered}, true},
		"the same, but not new":                {Write{Stream: Stream{Category: "a"}, Expected: Any, Events: numbered}, false},
		"the same, without a number":           {Write{Stream: Stream{Category: "a"}, Events: one}, false},
		"a type that is none":                  {Write{Stream: stream, Events: []NewEvent{{}}}, false},
		"a type with a dot":                    {Write{Stream: stream, Events: []NewEvent{{Type: "a.b"}}}, false},
		"data at the limit":                    {Write{Stream: stream, Events: []NewEvent{{Type: "E", Data: make([]byte, MaxData)}}}, true},
		"data beyond it":                       {Write{Stream: stream, Events: []NewEvent{{Type: "E", Data: make([]byte, MaxData+1)}}}, false},
		"metadata beyond its limit":            {Write{Stream: stream, Events: []NewEvent{{Type: "E", Meta: Metadata{"a": strings.Repeat("x", MaxMeta)}}}}, false},
		"metadata that is not UTF-8":           {Write{Stream: stream, Events: []NewEvent{{Type: "E", Meta: Metadata{"a": "\xff"}}}}, false},
		"a name of metadata that is not UTF-8": {Write{Stream: stream, Events: []NewEvent{{Type: "E", Meta: Metadata{"\xff": "a"}}}}, false},
		"metadata of other letters":            {Write{Stream: stream, Events: []NewEvent{{Type: "E", Meta: Metadata{"<é>": "&😀\x00"}}}}, true},
		"a number below all":                   {Write{Stream: stream, Events: []NewEvent{{Type: "E", Number: -2}}}, false},
		"as many events as a commit takes":     {Write{Stream: stream, Events: repeat(NewEvent{Type: "E"}, MaxBatch)}, true},
		"one more":                             {Write{Stream: stream, Events: repeat(NewEvent{Type: "E"}, MaxBatch+1)}, false},
		"as many bytes as a commit takes":      {Write{Stream: stream, Events: repeat(NewEvent{Type: "E", Data: make([]byte, MaxData)}, 16)}, true},
		"more of them":                         {Write{Stream: stream, Events: repeat(NewEvent{Type: "E", Data: make([]byte, MaxData)}, 17)}, false},
		"one bad event among good ones":        {Write{Stream: stream, Events: append(repeat(one[0], 5), NewEvent{})}, false},
	} {
		if err := c.write.validate(); (err == nil) != c.fine || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func repeat(e NewEvent, n int) []NewEvent {
	events := make([]NewEvent, n)
	for i := range events {
		events[i] = e
	}
	return events
}

// FuzzValidate: a stream that may be written is read back from its name, and its name
// can be shown on a line.
func FuzzValidate(f *testing.F) {
	f.Add("user", "7")
	f.Add("a-b", "c")
	f.Add("friend", "1:2")
	f.Add("a", "\u2028")
	f.Fuzz(func(t *testing.T, category, id string) {
		s := Stream{category, id}
		if validateName(s) != nil {
			return
		}
		if back, err := ParseStream(s.String()); err != nil || back != s {
			t.Fatalf("%q came back as %+v, %v", s, back, err)
		}
		if strings.ContainsAny(s.String(), " \n\r\t\x00\x7f") {
			t.Fatalf("%q is accepted", s)
		}
	})
}
