package sqlite

import (
	"math/rand/v2"
	"time"

	"ensemble/eventstore"
)

// index is what is kept in memory so that the events table needs no index but
// its primary key: where each stream ends, the highest number of each counter,
// and where the outcome of each idempotency key is.
//
// Streams and keys are known by a keyed 64-bit hash. Hashes may collide, so a
// hit is a hint: the row it points to says whose it is. A stream or key that
// finds its hash taken by another lives in an overflow map under its full name.
type index struct {
	seed     uint64 // makes the hashes unpredictable from outside
	mask     uint64
	streams  heads
	overflow map[string]tail
	numbers  map[string]int64
	keys     keys
}

// tail is a position and a version in one word: 40 bits and 24 bits.
type tail uint64

const (
	versionBits = 24
	maxVersion  = 1<<versionBits - 1
	maxPosition = 1<<(64-versionBits) - 1
)

// newTail packs a position and a version, which have to fit.
func newTail(p eventstore.Position, v eventstore.Version) tail {
	return tail(uint64(p)<<versionBits | uint64(v))
}

// fits says whether a tail can hold the numbers.
func fits(p eventstore.Position, v eventstore.Version) bool {
	return p <= maxPosition && v <= maxVersion
}

// position returns where the stream's last event is.
func (t tail) position() eventstore.Position {
	return eventstore.Position(t >> versionBits)
}

// version returns the stream's version.
func (t tail) version() eventstore.Version {
	return eventstore.Version(t & maxVersion)
}

// newIndex returns an empty index with a seed of its own.
func newIndex(o Options) *index {
	return &index{
		seed:     rand.Uint64(), //nolint:gosec // collisions cost time, never correctness
		mask:     ^uint64(0) >> (64 - o.hashBits),
		overflow: map[string]tail{},
		numbers:  map[string]int64{},
		keys:     newKeys(o),
	}
}

// hashName is FNV-1a over a seeded start, with the finalizer of MurmurHash3 so that
// every input bit reaches every output bit.
func hashName[T string | []byte](seed uint64, name T) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// find returns where a stream ends. With sure it is known to be this stream's
// end; without, the row there has to be asked whose it is.
func (x *index) find(stream string) (t tail, found, sure bool) {
	if t, ok := x.overflow[stream]; ok {
		return t, true, true
	}
	t, ok := x.streams.find(hashName(x.seed, stream) & x.mask)
	return t, ok, false
}

// advance notes an event. Events have to come in order of their positions.
func (x *index) advance(stream string, p eventstore.Position, v eventstore.Version) {
	t := newTail(p, v)
	if _, ok := x.overflow[stream]; ok {
		x.overflow[stream] = t
		return
	}
	h := hashName(x.seed, stream) & x.mask
	if _, taken := x.streams.find(h); taken && v == 1 {
		x.overflow[stream] = t
		return
	}
	x.streams.put(h, t)
}

// raise notes a number.
func (x *index) raise(category string, number int64) {
	if number > x.numbers[category] {
		x.numbers[category] = number
	}
}

// keys remembers where the outcomes of the latest idempotency keys are.
type keys struct {
	most     int
	age      time.Duration
	refs     map[uint64]ref
	overflow map[[16]byte]ref
	order    []keyEntry // the oldest first, from first on
	first    int
}

// ref says where an outcome is: in an event's row, by its position, or in a row
// of outcomes, by its id with the sign turned.
type ref int64

// keyEntry is a key in the order of its commit. Its hash is kept in full only
// in the row.
type keyEntry struct {
	hash uint64
	ref  ref
	time int64 // microseconds since 1970: those of one commit have the same
}

// newKeys returns an empty memory of keys.
func newKeys(o Options) keys {
	return keys{most: o.KeepKeys, age: o.KeepKeysFor, refs: map[uint64]ref{}, overflow: map[[16]byte]ref{}}
}

// find returns where a key's outcome may be; the row has to be asked.
func (k *keys) find(seed uint64, key [16]byte) (ref, bool) {
	if r, ok := k.overflow[key]; ok {
		return r, true
	}
	r, ok := k.refs[hashName(seed, key[:])]
	return r, ok
}

// add remembers a key.
func (k *keys) add(seed uint64, key []byte, r ref, at time.Time) {
	h := hashName(seed, key)
	if _, taken := k.refs[h]; taken {
		k.overflow[[16]byte(key)] = r
	} else {
		k.refs[h] = r
	}
	k.order = append(k.order, keyEntry{hash: h, ref: r, time: at.UnixMicro()})
}

// expire forgets what is too old or too much; of one commit all or nothing by number,
// as its order is not known any more after a restart. It returns the highest id in
// outcomes that is not needed any more, or 0.
func (k *keys) expire(now time.Time) (outcomes int64) {
	limit := now.Add(-k.age).UnixMicro()
	for k.first < len(k.order) {
		e := k.order[k.first]
		tooMany := len(k.order)-k.first > k.most && e.time != k.order[len(k.order)-k.most].time
		if !tooMany && e.time >= limit {
			break
		}
		k.forget(e)
		if e.ref < 0 {
			outcomes = int64(-e.ref)
		}
		k.first++
	}
	if k.first > len(k.order)/2 {
		k.order = append(k.order[:0], k.order[k.first:]...)
		k.first = 0
	}
	return outcomes
}

// forget takes one key out, wherever it is kept.
func (k *keys) forget(e keyEntry) {
	if k.refs[e.hash] == e.ref {
		delete(k.refs, e.hash)
		return
	}
	for key, r := range k.overflow { // collisions of 64 bits: at most a handful
		if r == e.ref {
			delete(k.overflow, key)
			return
		}
	}
}
