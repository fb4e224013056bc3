package graph

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// readers are the places of queries that run at the same time.
type readers struct {
	epoch  atomic.Uint64
	places atomic.Pointer[[]*reader]
	adding sync.Mutex
}

// reader is the place of one query: its pin, and what it counts with.
type reader struct {
	pin    atomic.Uint64 // the epoch in which the query began; 0 while there is none
	extra  bool          // beyond what the cores can do at once: keeps no memory
	narrow counter[uint16]
	wide   counter[uint32] // for who has more friends than narrow can count
	_      [64]byte        // two places share no cache line
}

// init makes the first place.
func (r *readers) init() {
	r.epoch.Store(1)
	r.places.Store(&[]*reader{{}})
}

// enter returns a place with the present epoch pinned: no block that is reached from
// tables loaded after this is reused before leave. It takes the first free place, whose
// counters are most likely in a cache.
func (r *readers) enter() *reader {
	for _, place := range *r.places.Load() {
		if place.pin.Load() == 0 && place.pin.CompareAndSwap(0, r.epoch.Load()) {
			return place
		}
	}
	return r.add()
}

// add makes another place. There are never more than queries that ran at once.
func (r *readers) add() *reader {
	r.adding.Lock()
	defer r.adding.Unlock()
	old := *r.places.Load()
	place := &reader{extra: len(old) >= 4*runtime.GOMAXPROCS(0)}
	place.pin.Store(r.epoch.Load())
	all := append(append(make([]*reader, 0, len(old)+1), old...), place)
	r.places.Store(&all)
	return place
}

// leave takes the pin away.
func (r *reader) leave() {
	if r.extra {
		r.narrow, r.wide = counter[uint16]{}, counter[uint32]{}
	}
	r.pin.Store(0)
}

// oldest returns the first epoch in which a query that still runs may have begun, at
// most now.
func (r *readers) oldest(now uint64) uint64 {
	for _, place := range *r.places.Load() {
		if pin := place.pin.Load(); pin != 0 {
			now = min(now, pin)
		}
	}
	return now
}
