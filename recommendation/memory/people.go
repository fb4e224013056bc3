package memory

import (
	"iter"
	"math/bits"
	"sync/atomic"
	"time"

	"ensemble/recommendation"
	"ensemble/user"
)

// person is somebody as they are kept. It never changes once it is in the table:
// who is renamed or erased gets another one.
//
// A person takes 80 bytes and their JSON, whose parts the names are, about 144 more.
type person struct {
	id, key           int64
	created, modified moment
	json              string // as answers show them; "" once they are erased
	first, last       string
}

// moment is a time in microseconds since 1970, as exactly as the logs have it; 0 is
// the zero time.
type moment int64

// momentOf returns a time as a moment.
func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.UnixMicro())
}

// time returns a moment as a time.
func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m)).UTC()
}

// newPerson returns somebody as they are kept.
func newPerson(u user.User) *person {
	p := personOf(recommendation.NewProfile(u))
	return &p
}

// together is how many people are made at once when there are many: they share two pieces
// of memory instead of having two each. So few that not much is kept for the sake of one.
const together = 64

// newPeople returns people as they are kept, in one piece of memory with one text.
func newPeople(users []user.User) []person {
	made := make([]person, len(users))
	for i, p := range recommendation.NewProfiles(make([]recommendation.Profile, 0, together), users) {
		made[i] = personOf(p)
	}
	return made
}

// personOf returns somebody as they are kept. Of who is erased only the id is.
func personOf(p recommendation.Profile) person {
	if p.Erased {
		return person{id: p.ID}
	}
	return person{
		id: p.ID, key: p.Key, created: momentOf(p.CreatedAt), modified: momentOf(p.LastModified),
		json: p.JSON, first: p.FirstName, last: p.LastName,
	}
}

// erased says whether the names are gone.
func (p *person) erased() bool { return p.json == "" }

// user returns somebody as the events have made them.
func (p *person) user() user.User {
	return user.User{
		ID: p.id, FirstName: p.first, LastName: p.last, Key: p.key,
		CreatedAt: p.created.time(), LastModified: p.modified.time(), Erased: p.erased(),
	}
}

// profile returns somebody as answers show them.
func (p *person) profile() recommendation.Profile {
	return recommendation.Profile{User: p.user(), JSON: p.json}
}

// people is everybody by id: a hash table of pointers, at most three quarters full.
// One goroutine writes. Any number read meanwhile, without a lock and without
// allocating: a pointer is read as a whole, and what it points to never changes.
//
//	id ──► group of 8 ids, hashed ──► 8 slots in one cache line, then the next ones
//
// Ids are given one after the other, so neighbours share the cache line that is
// read to find them. The zero people is empty.
type people struct {
	slots atomic.Pointer[[]slot]
	count int // the writer's
}

// slot has somebody, or nobody.
type slot = atomic.Pointer[person]

const (
	group      = 8 // ids whose slots are side by side
	leastSlots = 64 * group
)

// find returns somebody, nil if nobody was ever put there under this id.
func (t *people) find(id int64) *person {
	slots := t.slots.Load()
	if slots == nil {
		return nil
	}
	return place(*slots, id).Load()
}

// ahead is how many people are fetched at once.
const ahead = 32

// fetch brings the first people of a list nearer to the processor; find is then quick
// for them. Each of them is three places in memory that depend on each other, so
// looking up one after the other is waiting three times for each. Here the first
// places of all are read, then the second ones, then the third, and the waiting is
// shared: about four times as fast with a million people.
//
// What it returns means nothing; it keeps the compiler from leaving the reading out.
func (t *people) fetch(ids []int64) (touched byte) {
	const line = 64 // bytes of a cache line, on nearly every processor
	var there [ahead]*person
	n := min(len(ids), ahead)
	for i, id := range ids[:n] {
		there[i] = t.find(id)
	}
	for _, p := range there[:n] {
		if p != nil {
			for at := 0; at < len(p.json); at += line {
				touched += p.json[at]
			}
		}
	}
	return touched
}

// put keeps somebody in the place of who had their id before. It is seen by every
// find that begins afterwards.
func (t *people) put(p *person) {
	slots := t.slots.Load()
	if slots == nil || t.count >= len(*slots)/4*3 {
		slots = t.grow()
	}
	at := place(*slots, p.id)
	if at.Load() == nil {
		t.count++
	}
	at.Store(p)
}

// all returns everybody, the erased too, in no order. Who is put meanwhile may be left
// out.
func (t *people) all() iter.Seq[*person] {
	return func(yield func(*person) bool) {
		slots := t.slots.Load()
		if slots == nil {
			return
		}
		for i := range *slots {
			if p := (*slots)[i].Load(); p != nil && !yield(p) {
				return
			}
		}
	}
}

// grow makes room for half as many again. Who is looking for somebody goes on in the
// slots that were there before, which nobody changes any more.
func (t *people) grow() *[]slot {
	slots := make([]slot, max(leastSlots, (t.size()+t.size()/2)/group*group))
	for p := range t.all() {
		place(slots, p.id).Store(p)
	}
	t.slots.Store(&slots)
	return &slots
}

// size returns how many slots there are.
func (t *people) size() int {
	if slots := t.slots.Load(); slots != nil {
		return len(*slots)
	}
	return 0
}

// place returns the slot of an id, or the one where it would be put. There has to be
// an empty one.
func place(slots []slot, id int64) *slot {
	// 2^64 by the golden ratio: multiples of it lie evenly, so groups in a row, as
	// ids are given, hardly ever meet.
	const spread = 0x9E3779B97F4A7C15
	first, _ := bits.Mul64(uint64(id)/group*spread, uint64(len(slots)/group))
	for at := int(first*group + uint64(id)%group); ; at++ {
		if at == len(slots) {
			at = 0
		}
		if p := slots[at].Load(); p == nil || p.id == id {
			return &slots[at]
		}
	}
}
