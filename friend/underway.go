package friend

import (
	"context"
	"errors"
	"sync"

	"ensemble/eventstore"
)

// underway knows the additions that have begun and not ended, and who is erased.
// The zero underway is ready to use.
type underway struct {
	mu     sync.Mutex
	adds   map[*addition]struct{}
	erased map[int64]struct{}
	moment int64 // how many additions have begun or become unknown
	lost   int   // how many of adds have an answer that was lost
}

// addition is one that has begun.
type addition struct {
	by, to int64
	begun  int64
	lost   int64         // when its answer was lost; 0: it was not
	ended  chan struct{} // made by the first who waits
}

// begin notes an addition, before anybody is asked whether the two are there.
func (u *underway) begin(by, to int64) *addition {
	a := &addition{by: by, to: to}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.adds == nil {
		u.adds = map[*addition]struct{}{}
	}
	u.adds[a] = struct{}{}
	u.moment++
	a.begun = u.moment
	return a
}

// end notes that an addition is in the log, or never will be. One whose outcome is
// unknown has not ended. If its log has stopped, only the next start can tell. If its
// database was away, the next addition that begins and is appended can: transactions
// come one after the other, so the lost one is over.
func (u *underway) end(a *addition, err error, appended bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if errors.Is(err, eventstore.ErrUnknown) {
		if errors.Is(err, eventstore.ErrAway) {
			u.moment++
			a.lost = u.moment
			u.lost++
		}
		return
	}
	u.over(a)
	if !appended || u.lost == 0 {
		return
	}
	for other := range u.adds {
		if other.lost > 0 && other.lost < a.begun {
			u.over(other)
			u.lost--
		}
	}
}

// over takes out an addition and tells those who wait for it.
func (u *underway) over(a *addition) {
	delete(u.adds, a)
	if a.ended != nil {
		close(a.ended)
	}
}

// isErased says whether somebody is known to be erased.
func (u *underway) isErased(id int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, erased := u.erased[id]
	return erased
}

// erase makes all additions that begin from now on find somebody erased, and waits
// for those that began before.
func (u *underway) erase(ctx context.Context, id int64) error {
	for _, ended := range u.before(id) {
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// before notes that somebody is erased, and returns the ends of the additions that
// may not know it.
func (u *underway) before(id int64) (ends []<-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.erased == nil {
		u.erased = map[int64]struct{}{}
	}
	u.erased[id] = struct{}{}
	for a := range u.adds {
		if a.by != id && a.to != id {
			continue
		}
		if a.ended == nil {
			a.ended = make(chan struct{})
		}
		ends = append(ends, a.ended)
	}
	return ends
}
