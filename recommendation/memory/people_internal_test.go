package memory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/graph"
	"ensemble/recommendation"
	"ensemble/user"
	"ensemble/wire"
)

// somebody returns a person with names of usual length.
func somebody(id int64) user.User {
	at := time.UnixMicro(1_700_000_000_123_456 + id).UTC()
	return user.User{
		ID: id, FirstName: fmt.Sprint("First", id%1000), LastName: fmt.Sprint("Last", id%5000),
		Key: id, CreatedAt: at, LastModified: at.Add(time.Hour),
	}
}

// anyID returns ids as they are given, in a row, and as an import may bring them: far
// apart, in steps, at the ends of the range, anywhere.
func anyID(rnd *rand.Rand) int64 {
	n := rnd.Int64N(2000)
	return []int64{n, n << 20, n << 40, math.MaxInt64 - n, math.MinInt64 + n, int64(rnd.Uint64())}[rnd.IntN(6)]
}

// TestPeopleAreFoundAsTheyWerePut compares the table with a map, over several growths.
func TestPeopleAreFoundAsTheyWerePut(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var table people
		model := map[int64]user.User{}
		ids := make([]int64, rnd.IntN(6000))
		for n := range ids {
			ids[n] = anyID(rnd)
			u := somebody(ids[n])
			u.LastName = fmt.Sprint(n) // the last one put under an id counts
			if n%7 == 6 {
				u = user.User{ID: ids[n], Erased: true}
			}
			model[u.ID] = u
			table.put(newPerson(u))
		}
		if table.count != len(model) {
			t.Fatalf("there are %d people, counted as %d", len(model), table.count)
		}
		table.fetch(ids) // whoever they are
		for range 3000 {
			id := anyID(rnd)
			if want, there := model[id]; there != (table.find(id) != nil) {
				t.Fatalf("%d is found: %v, not %+v", id, !there, want)
			}
		}
		for id, want := range model {
			if p := table.find(id); p == nil || p.user() != want {
				t.Fatalf("%d is found as %+v, not %+v", id, p, want)
			}
		}
		for p := range table.all() {
			if p.user() != model[p.id] {
				t.Fatalf("among all is %+v", p)
			}
			delete(model, p.id)
		}
		if len(model) > 0 {
			t.Fatalf("not among all: %v", model)
		}
	}
}

// TestAnyPersonIsKeptAsTheyAre, to the microsecond that logs have, and shown as the
// language of the API writes them.
func TestAnyPersonIsKeptAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		when := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
				return time.Time{}
			}
			return time.UnixMicro(rapid.Int64Range(1, 1<<57).Draw(t, "micros")).UTC()
		})
		u := user.User{
			ID: rapid.Int64Min(1).Draw(t, "id"), Key: rapid.Int64Min(0).Draw(t, "key"),
			FirstName: rapid.String().Draw(t, "first"), LastName: rapid.String().Draw(t, "last"),
			CreatedAt: when.Draw(t, "created"), LastModified: when.Draw(t, "modified"),
		}
		p := newPerson(u)
		if p.user() != u || p.erased() {
			t.Fatalf("%+v is kept as %+v", u, p.user())
		}
		profile := p.profile()
		if want := string(wire.AppendUser(nil, u)); profile.Text() != want || profile.User != u {
			t.Fatalf("shown as %s, not %s", profile.Text(), want)
		}
	})
}

// TestReadersFindEverybodyWhileTheTableGrows: a reader sees who was put before it
// began, as they were then or later, and never half of somebody.
func TestReadersFindEverybodyWhileTheTableGrows(t *testing.T) {
	const last = 6000
	var (
		table people
		upTo  atomic.Int64 // everybody up to here was put
		group sync.WaitGroup
	)
	for seed := range uint64(3) {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 1))
			for done := int64(0); done < last; done = upTo.Load() {
				n := upTo.Load()
				if n == 0 {
					runtime.Gosched()
					continue
				}
				id := rnd.Int64N(n) + 1
				table.fetch([]int64{id, id + 1})
				p := table.find(id)
				if p == nil || p.id != id {
					t.Errorf("%d of %d is found as %+v", id, n, p)
					return
				}
				if u := p.user(); !strings.Contains(p.json, `"lastName":"`+u.LastName+`"`) || u.FirstName != somebody(id).FirstName {
					t.Errorf("%d is %+v and %s", id, u, p.json)
					return
				}
			}
		})
	}
	for id := int64(1); id <= last; id++ {
		table.put(newPerson(somebody(id)))
		upTo.Store(id)
		if renamed := id/2 + 1; id%3 == 0 {
			u := somebody(renamed)
			u.LastName = "Renamed"
			table.put(newPerson(u))
		}
	}
	group.Wait()
}

// TestAnAnswerKeepsOnlySoMuchMemory: one large list doesn't stay in the pool for ever.
func TestAnAnswerKeepsOnlySoMuchMemory(t *testing.T) {
	b := New()
	s := b.borrow()
	s.ids = make([]int64, 0, keepScratch+1)
	s.ranked = make([]graph.Ranked, 0, keepScratch+1)
	b.giveBack(s)
	if s.ids != nil || s.ranked != nil {
		t.Fatalf("%d ids and %d ranks are kept", cap(s.ids), cap(s.ranked))
	}
}

// locked is what the table is measured against: a map behind a lock.
type locked struct {
	mu     sync.RWMutex
	people map[int64]user.User
}

func (l *locked) find(id int64) recommendation.Profile {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return recommendation.Profile{User: l.people[id]}
}

// heap returns how many bytes live on the heap.
func heap() float64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

// million is as many people as the benchmarks of the table have.
const million = 1_000_000

// BenchmarkPeople looks up people in random order and writes them as JSON, on as many
// goroutines as there are cores: the table, with and without fetching ahead, against a
// map behind a lock, whose people are encoded each time.
func BenchmarkPeople(b *testing.B) {
	before := heap()
	byLock := &locked{people: map[int64]user.User{}}
	for id := int64(1); id <= million; id++ {
		byLock.people[id] = somebody(id)
	}
	between := heap()
	table := new(people)
	for id := int64(1); id <= million; id++ {
		table.put(newPerson(somebody(id)))
	}
	after := heap()
	encode := func(dst []byte, p recommendation.Profile) []byte { return append(dst, p.Text()...) }
	for _, c := range []struct {
		name  string
		bytes float64
		fetch func([]int64) byte
		write func([]byte, int64) []byte
	}{
		{"map and lock", between - before, nil, func(dst []byte, id int64) []byte { return wire.AppendUser(dst, byLock.find(id).User) }},
		{"table", after - between, nil, func(dst []byte, id int64) []byte { return encode(dst, table.find(id).profile()) }},
		{"table, fetched", after - between, table.fetch, func(dst []byte, id int64) []byte { return encode(dst, table.find(id).profile()) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportMetric(c.bytes/million, "B/person")
			b.RunParallel(func(pb *testing.PB) {
				rnd := rand.New(rand.NewPCG(1, rand.Uint64()))
				var ids [ahead]int64
				out := make([]byte, 0, 1<<10)
				for n := 0; pb.Next(); n++ {
					if n %= ahead; n == 0 {
						for i := range ids {
							ids[i] = rnd.Int64N(million) + 1
						}
						if c.fetch != nil {
							c.fetch(ids[:])
						}
					}
					out = c.write(out[:0], ids[n])
				}
			})
		})
	}
	runtime.KeepAlive(byLock)
	runtime.KeepAlive(table)
}

// BenchmarkNewPerson is what a person costs when they come in: writing their JSON.
func BenchmarkNewPerson(b *testing.B) {
	u := somebody(77)
	b.ReportAllocs()
	for b.Loop() {
		if newPerson(u).erased() {
			b.Fatal("nobody is there")
		}
	}
}
