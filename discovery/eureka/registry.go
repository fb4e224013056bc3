package eureka

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// deltaKept is for how long a change is in the delta. Clients ask every 30 s.
const deltaKept = 3 * time.Minute

// mostGone is how many instances that are gone the delta holds. Leaving out an older
// one is safe: the counts in the hash then differ, and the client asks for everything.
const mostGone = 1000

// unknown and full are what may happen to a request about an instance.
func unknown() error {
	return &refusal{http.StatusNotFound, "no such instance is registered; register again"}
}

func full() error { return &refusal{http.StatusTooManyRequests, "the registry is full"} }

// registry is who is there. Times come from the clock when a method begins, and every
// method first lets go of those whose lease has ended.
type registry struct {
	preserve Preserve
	most     int // instances

	mu      sync.Mutex
	apps    map[string]map[string]*lease // by application, by instance
	count   int
	status  map[Status]int // of how many
	changes []change       // in the order of time; superseded ones among them
	latest  map[key]int64  // the number of the last change of each instance in changes
	number  int64          // of the last change
	sweep   time.Time      // nobody's lease ends before
	kept    bool           // the last sweep preserved somebody
	history []Event        // what happened lately, the oldest first
	started time.Time
}

// lease is an instance and until when it is believed to be there.
type lease struct {
	Instance

	renewed  time.Time
	duration time.Duration
	changed  int64 // the number of its last change
}

// key names an instance.
type key struct{ app, id string }

// change is an entry of the delta.
type change struct {
	number int64
	at     time.Time
	lease  *lease
}

// newRegistry returns an empty registry.
func newRegistry(most int, preserve Preserve) *registry {
	return &registry{
		preserve: preserve, most: most, started: time.Now(),
		apps: map[string]map[string]*lease{}, status: map[Status]int{}, latest: map[key]int64{},
	}
}

// register takes in an instance that was checked, or replaces what it said before. What
// an operator ordered holds on: it wins over UP and OUT_OF_SERVICE, as those are about
// traffic, not over what only the instance knows. Something older than what is known,
// a request that was overtaken, only renews; unless the status is UNKNOWN, as then the
// registry itself asks for the registration.
func (r *registry) register(in *Instance) error {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	l := &lease{Instance: *in, renewed: now, duration: time.Duration(in.Lease.Duration) * time.Second}
	l.Lease.Evicted, l.Lease.ServiceUp = 0, 0 // the registry's to say
	if l.Dirty == 0 {
		l.Dirty = millis(now.UnixMilli())
	}
	old := r.apps[in.App][in.ID]
	switch {
	case old == nil && r.count >= r.most:
		return full()
	case old != nil && old.Dirty > l.Dirty && old.Status != Unknown:
		old.renewed, old.Lease.Renewed = now, number(now.UnixMilli())
		return nil
	case old != nil:
		l.Lease.ServiceUp = old.Lease.ServiceUp
		if old.Overridden != Unknown {
			l.Overridden = old.Overridden
		}
	}
	if l.Overridden != Unknown && (l.Status == Up || l.Status == OutOfService) {
		l.Status = l.Overridden
	}
	stamp := number(now.UnixMilli())
	l.Lease.Registered, l.Lease.Renewed = stamp, stamp
	if old != nil {
		r.drop(old)
	}
	r.put(l)
	r.note(l, added, now)
	if end := now.Add(l.duration); end.Before(r.sweep) || r.count == 1 {
		r.sweep = end
	}
	switch {
	case old == nil:
		r.tell(now, l, "registered as "+string(l.Status))
	case old.Status != l.Status:
		r.tell(now, l, string(old.Status)+" → "+string(l.Status))
	}
	return nil
}

// renew goes on believing in an instance. A 404 asks it to register again: nobody
// knows it, its status is UNKNOWN, or it says that it has changed since.
func (r *registry) renew(app, id string, dirty millis) error {
	return r.update(app, id, func(l *lease, now time.Time) error {
		if l.Status == Unknown {
			return unknown()
		}
		l.renewed, l.Lease.Renewed = now, number(now.UnixMilli())
		if dirty > l.Dirty {
			return unknown()
		}
		return nil
	})
}

// cancel lets go of an instance that says goodbye.
func (r *registry) cancel(app, id string) error {
	return r.update(app, id, func(l *lease, now time.Time) error {
		r.remove(l, now, "left")
		return nil
	})
}

// override orders a status. UNKNOWN takes the order back, and what the instance says at
// its next registration holds; until then status is in force.
func (r *registry) override(app, id string, order, status Status, dirty millis) error {
	return r.update(app, id, func(l *lease, now time.Time) error {
		l.renewed, l.Lease.Renewed = now, number(now.UnixMilli())
		if order == Unknown && l.Overridden == Unknown || order == l.Overridden && status == l.Status {
			return nil
		}
		was := l.Status
		r.status[was]--
		l.Status, l.Overridden = status, order
		r.status[status]++
		l.Dirty = max(l.Dirty, dirty)
		r.note(l, modified, now)
		r.tell(now, l, "ordered: "+string(was)+" → "+string(status))
		return nil
	})
}

// describe adds to the metadata of an instance; all of it, or an error and nothing.
func (r *registry) describe(app, id string, entries map[string]string) error {
	return r.update(app, id, func(l *lease, now time.Time) error {
		all := make(Metadata, len(l.Metadata)+len(entries)) // the old one may be being read
		maps.Copy(all, l.Metadata)
		maps.Copy(all, entries)
		if err := all.check("metadata"); err != nil {
			return err
		}
		l.Metadata = all
		r.note(l, modified, now)
		return nil
	})
}

// update changes an instance. Errors: unknown, and those of the function.
func (r *registry) update(app, id string, do func(*lease, time.Time) error) error {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	l := r.apps[app][id]
	if l == nil {
		return unknown()
	}
	return do(l, now)
}

// put and drop keep the tables.
func (r *registry) put(l *lease) {
	if r.apps[l.App] == nil {
		r.apps[l.App] = map[string]*lease{}
	}
	r.apps[l.App][l.ID] = l
	r.count++
	r.status[l.Status]++
}

func (r *registry) drop(l *lease) {
	delete(r.apps[l.App], l.ID)
	if len(r.apps[l.App]) == 0 {
		delete(r.apps, l.App)
	}
	r.count--
	r.status[l.Status]--
}

// remove lets go of an instance.
func (r *registry) remove(l *lease, now time.Time, why string) {
	r.drop(l)
	l.Lease.Evicted = number(now.UnixMilli())
	r.note(l, deleted, now)
	r.tell(now, l, why)
}

// note puts a change into the delta, and times into the instance.
func (r *registry) note(l *lease, action string, now time.Time) {
	r.number++
	l.changed, l.Action, l.Updated = r.number, action, millis(now.UnixMilli())
	if l.Status == Up && l.Lease.ServiceUp == 0 {
		l.Lease.ServiceUp = number(now.UnixMilli())
	}
	if len(r.changes) >= 2*(r.most+mostGone) {
		r.forget(now)
	}
	k := key{l.App, l.ID}
	r.latest[k] = r.number
	r.changes = append(r.changes, change{r.number, now, l})
}

// forget takes out of the delta what is too old, what was superseded, and the oldest of
// those gone if they are too many.
func (r *registry) forget(now time.Time) {
	gone := 0
	valid := func(c change) bool { return r.latest[key{c.lease.App, c.lease.ID}] == c.number }
	for _, c := range slices.Backward(r.changes) {
		if !valid(c) {
			continue
		}
		if c.lease.Action == deleted {
			gone++
		}
		if now.Sub(c.at) > deltaKept || c.lease.Action == deleted && gone > mostGone {
			delete(r.latest, key{c.lease.App, c.lease.ID})
		}
	}
	r.changes = slices.DeleteFunc(r.changes, func(c change) bool { return !valid(c) })
}

// delta returns who changed lately. Within an application those gone come last: a Java
// client that meets an application for the first time takes in all of its delta.
func (r *registry) delta() *applications {
	return r.read(func(now time.Time, take func(*lease)) {
		r.forget(now)
		for _, gone := range []bool{false, true} {
			for _, c := range r.changes {
				if gone == (c.lease.Action == deleted) {
					take(c.lease)
				}
			}
		}
	})
}

// all returns everybody whom a filter takes, in the order of their ids.
func (r *registry) all(filter func(*Instance) bool) *applications {
	answer := r.read(func(_ time.Time, take func(*lease)) {
		for _, app := range r.apps {
			for _, l := range app {
				if filter(&l.Instance) {
					take(l)
				}
			}
		}
	})
	for _, a := range answer.Apps {
		slices.SortFunc(a.Instances, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	}
	return answer
}

// read returns the instances that a function takes, copied, the applications in order;
// with the hash of the whole registry.
func (r *registry) read(list func(now time.Time, take func(*lease))) *applications {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	byName := map[string]*application{}
	list(now, func(l *lease) {
		a := byName[l.App]
		if a == nil {
			a = &application{Name: l.App}
			byName[l.App] = a
		}
		shown := l.Instance
		shown.OlderName = shown.Overridden
		a.Instances = append(a.Instances, shown)
	})
	answer := &applications{Version: fmt.Sprint(r.number), Hash: hashOf(r.status), Apps: []application{}}
	for _, a := range byName {
		answer.Apps = append(answer.Apps, *a)
	}
	slices.SortFunc(answer.Apps, func(a, b application) int { return cmp.Compare(a.Name, b.Name) })
	return answer
}

// hashOf returns what clients compare with what they have: how many there are of each
// status, "DOWN_1_UP_2_".
func hashOf(status map[Status]int) string {
	var hash strings.Builder
	for _, s := range []Status{Down, OutOfService, Starting, Unknown, Up} { // in the order of the alphabet
		if n := status[s]; n > 0 {
			fmt.Fprintf(&hash, "%s_%d_", s, n)
		}
	}
	return hash.String()
}
