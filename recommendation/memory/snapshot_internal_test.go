package memory

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/user"
)

// Spliced returns a snapshot with the graph of one and the people of another, whose metas
// are the same: what is written while somebody comes looks like that.
func Spliced(t *testing.T, graph, people []byte) []byte {
	t.Helper()
	g, err := readParts(bytes.NewReader(graph), int64(len(graph)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := readParts(bytes.NewReader(people), int64(len(people)))
	if err != nil {
		t.Fatal(err)
	}
	head := appendHead(nil, p.meta)
	data := append(bytes.Clone(head), graph[g.from:g.from+int64(g.graph)]...)
	from := p.from + int64(p.graph)
	data = append(data, people[from:from+int64(p.blocks)]...)
	return foot{graph: g.graph, blocks: p.blocks, people: p.people}.append(data, head)
}

// OpenKeys seals nothing: the text is the name, behind the number of its key.
type OpenKeys struct{ user.Keys }

// Seal implements [user.Keys].
func (OpenKeys) Seal(id int64, plain []byte) ([]byte, error) {
	if id == 13 {
		return nil, user.ErrKeyDestroyed
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(id)), plain...), nil
}

// Open implements [user.Keys].
func (OpenKeys) Open(id int64, sealed []byte) ([]byte, error) {
	switch {
	case id == 13:
		return nil, user.ErrKeyDestroyed
	case len(sealed) < 8 || binary.LittleEndian.Uint64(sealed) != uint64(id):
		return nil, errors.New("the key does not open it")
	}
	return sealed[8:], nil
}

// somePeople are records whom a block may have to hold.
func somePeople() []user.User {
	born := time.Date(2022, 11, 26, 15, 45, 31, 123456000, time.UTC)
	return []user.User{
		{ID: 1, FirstName: "Ada", LastName: "Lovelace", CreatedAt: born, LastModified: born, Key: 1},
		{ID: 2, Erased: true},
		{ID: 7, FirstName: "Žofie", CreatedAt: born, LastModified: born.Add(time.Hour), Key: 1 << 40},
		{ID: 1 << 62, FirstName: "1:x", LastName: "\x00", CreatedAt: born, LastModified: born.Add(-time.Second), Key: 3},
	}
}

// encoded returns people as a block holds them.
func encoded(t testing.TB, users []user.User) (block []byte) {
	t.Helper()
	var last int64
	for _, u := range users {
		var err error
		if block, err = appendRecord(block, last, u, OpenKeys{}); err != nil {
			t.Fatal(err)
		}
		last = u.ID
	}
	return block
}

// TestPeopleAreReadAsTheyWereWritten pins each of their parts.
func TestPeopleAreReadAsTheyWereWritten(t *testing.T) {
	want := somePeople()
	got, err := decodeBlock(nil, encoded(t, want), len(want), OpenKeys{})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("%v %s", err, diff)
	}
	gone, err := decodeBlock(nil, encoded(t, []user.User{{ID: 5, FirstName: "Eve", Key: 13}}), 1, OpenKeys{})
	if diff := cmp.Diff([]user.User{{ID: 5, Erased: true}}, gone); diff != "" || err != nil {
		t.Fatalf("whose key is destroyed: %v %s", err, diff)
	}
}

// TestTheBytesOfASnapshotAreThoseOfItsFormat: what was written once is read for ever. The
// part of the graph has a format of its own.
func TestTheBytesOfASnapshotAreThoseOfItsFormat(t *testing.T) {
	head := appendHead(nil, []byte("{}"))
	b := New()
	b.take(somePeople()[:2])
	var blocks bytes.Buffer
	people, err := b.writePeople(&blocks, checksum(0, head), OpenKeys{})
	if err != nil || people != 2 {
		t.Fatalf("%d people, %v", people, err)
	}
	for part, c := range map[string]struct {
		got  []byte
		want string
	}{
		"head":  {head, "454e535245434f31" + "02000000" + "7b7d" + "a0f69c49"},
		"block": {blocks.Bytes(), "24000000" + "02000000" + "66d7bc60" + "01" + "01" + "01" + "80fc9ff3b098f705" + "00" + "15" + "0100000000000000" + "333a4164614c6f76656c616365" + "01" + "00"},
		"foot": {
			foot{graph: 70, blocks: 54, people: 2}.append(nil, head),
			"4600000000000000" + "3600000000000000" + "0200000000000000" + "396dcbf6" + "454e535245434f2e",
		},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("the %s is\n%s, want\n%s", part, got, c.want)
		}
	}
}

// TestRecordsThatMakeNoSenseAreRefused though their checksum may be right.
func TestRecordsThatMakeNoSenseAreRefused(t *testing.T) {
	good := encoded(t, somePeople())
	for name, c := range map[string]struct {
		block  []byte
		people int
	}{
		"one person more than there are":     {good, 5},
		"one person less":                    {good, 3},
		"cut":                                {good[:len(good)-1], 4},
		"nobody":                             {nil, 1},
		"an id that does not go up":          {[]byte{1, 0, 0, 0}, 2},
		"ids beyond the last number":         {append(binary.AppendUvarint(nil, 1<<63-1), 0, 1, 0), 2},
		"an id with its sign turned":         {append(binary.AppendUvarint(nil, 1<<63), 0), 1},
		"a kind that there is not":           {[]byte{1, 9}, 1},
		"a number without an end":            {bytes.Repeat([]byte{0xff}, 11), 1},
		"a name longer than what is left":    {[]byte{1, 1, 1, 0, 0, 0xff, 0xff, 0x03}, 1},
		"a name that its key does not open":  {[]byte{1, 1, 1, 0, 0, 1, 'x'}, 1},
		"two names that can't be told apart": {append([]byte{1, 1, 1, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0}, 'x'), 1},
	} {
		if got, err := decodeBlock(nil, c.block, c.people, OpenKeys{}); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestABlockThatIsMissingOrOfAnotherSnapshotIsFound: each is whole by itself.
func TestABlockThatIsMissingOrOfAnotherSnapshotIsFound(t *testing.T) {
	write := func(sum uint32, each ...[]user.User) (all [][]byte) {
		for _, users := range each {
			b := New()
			b.take(users)
			var out bytes.Buffer
			if _, err := b.writePeople(&out, sum, OpenKeys{}); err != nil {
				t.Fatal(err)
			}
			all = append(all, out.Bytes())
			sum = binary.LittleEndian.Uint32(out.Bytes()[8:])
		}
		return all
	}
	people := somePeople()
	blocks := write(77, people[:1], people[1:2], people[2:])
	others := write(78, people[:1], people[1:2], people[2:])
	count := func(blocks ...[]byte) (n int, err error) {
		err = readBlocks(bytes.NewReader(bytes.Join(blocks, nil)), 77, func(b block) { n += b.people })
		return n, err
	}
	if n, err := count(blocks...); n != 4 || err != nil {
		t.Fatalf("%d people, %v", n, err)
	}
	for name, bad := range map[string][][]byte{
		"without the first":    blocks[1:],
		"without the middle":   {blocks[0], blocks[2]},
		"in another order":     {blocks[1], blocks[0], blocks[2]},
		"one of another":       {blocks[0], others[1], blocks[2]},
		"cut in a head":        {blocks[0], blocks[1][:5]},
		"cut behind a head":    {blocks[0], blocks[1][:blockHeadLen]},
		"a block without end":  {{0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0, 0, 0, 0, 0}},
		"the first once again": {blocks[0], blocks[0]},
	} {
		if _, err := count(bad...); err == nil {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}

// FuzzPeople: whatever a block holds, it is refused or is people that can be written again.
func FuzzPeople(f *testing.F) {
	f.Add(encoded(f, somePeople()), 4)
	f.Add([]byte{1, 0, 1, 0}, 2)
	f.Add([]byte{1, 1, 1, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 'x'}, 1)
	f.Fuzz(func(t *testing.T, block []byte, people int) {
		if people > 10_000 {
			return
		}
		got, err := decodeBlock(nil, block, people, OpenKeys{})
		if err != nil {
			return
		}
		last := int64(0)
		for _, u := range got {
			if u.ID <= last {
				t.Fatalf("person %d comes after %d", u.ID, last)
			}
			last = u.ID
		}
		again, err := decodeBlock(nil, encoded(t, got), len(got), OpenKeys{})
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Fatalf("%v %s", err, diff)
		}
	})
}

// FuzzReadSnapshot: whatever a file holds, it is refused or can be written again. Its
// checksums are made right, or nothing would be looked at behind them.
func FuzzReadSnapshot(f *testing.F) {
	b := New()
	b.take(somePeople())
	var good bytes.Buffer
	if err := b.WriteSnapshot(&good, []byte("meta"), OpenKeys{}); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:40])
	f.Add([]byte(snapshotMagic + "1\xff\xff\xff\xff"))
	keys := func() user.Keys { return OpenKeys{} }
	f.Fuzz(func(t *testing.T, data []byte) {
		read, meta, err := ReadSnapshot(bytes.NewReader(repaired(data)), int64(len(data)), keys)
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var again bytes.Buffer
		if err := read.WriteSnapshot(&again, meta, OpenKeys{}); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if _, _, err := ReadSnapshot(bytes.NewReader(again.Bytes()), int64(again.Len()), keys); err != nil {
			t.Fatalf("nor read again: %v", err)
		}
	})
}

// repaired returns a file with the checksums of its head, its blocks and its foot put
// right, as far as there are any.
func repaired(data []byte) []byte {
	data = bytes.Clone(data)
	if len(data) < headLen+4+footLen {
		return data
	}
	n := int(binary.LittleEndian.Uint32(data[headLen-4:]))
	if n > MaxMeta || len(data) < headLen+n+4+footLen {
		return data
	}
	from := headLen + n + 4
	binary.LittleEndian.PutUint32(data[from-4:], checksum(0, data[:from-4]))
	end := data[len(data)-footLen:]
	sum := checksum(0, data[:from])
	binary.LittleEndian.PutUint32(end[24:], checksum(sum, end[:24]))
	graph := binary.LittleEndian.Uint64(end)
	if graph > uint64(len(data)-footLen-from) {
		return data
	}
	for rest := data[from+int(graph) : len(data)-footLen]; len(rest) >= blockHeadLen; {
		length := int(binary.LittleEndian.Uint32(rest))
		if length > len(rest)-blockHeadLen {
			break
		}
		sum = checksum(sum, rest[blockHeadLen:blockHeadLen+length])
		binary.LittleEndian.PutUint32(rest[8:], sum)
		rest = rest[blockHeadLen+length:]
	}
	return data
}
