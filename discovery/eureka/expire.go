package eureka

import (
	"slices"
	"time"
)

// Preserve says when the registry takes silence for its own: if more than 15 % of the
// instances have not been heard of, it is more likely that the network to the registry
// is broken than that they all died. Nobody is let go of then.
type Preserve string

// When to preserve.
const (
	// PreserveLarge preserves from 10 instances up, and nobody for more than an hour.
	// Below, one instance that died would be taken for a broken network.
	PreserveLarge Preserve = "large"
	// PreserveAlways is Netflix's rule: any number of instances, without an end.
	PreserveAlways Preserve = "always"
	// PreserveNever lets go of everybody whose lease has ended.
	PreserveNever Preserve = "never"
)

// The numbers of preserving.
const (
	preserveFrom    = 10 // instances
	preserveSilent  = 15 // percent of them
	preserveLongest = time.Hour
)

// expire lets go of those whose lease has ended; mu is held. It looks through all
// instances only when one may have ended.
func (r *registry) expire(now time.Time) {
	if r.count == 0 {
		r.kept = false // the last one took leave
		return
	}
	if now.Before(r.sweep) {
		return
	}
	silent := 0
	var due []*lease
	next := now.Add(time.Hour)
	for _, app := range r.apps {
		for _, l := range app {
			if l.silent(now) {
				silent++
			}
			if end := l.renewed.Add(l.duration); end.After(now) {
				next = earlier(next, end)
			} else {
				due = append(due, l)
			}
		}
	}
	r.kept = len(due) > 0 && r.preserves(silent)
	if r.kept {
		next = earlier(next, now.Add(time.Second))
		due = slices.DeleteFunc(due, func(l *lease) bool {
			return r.preserve == PreserveAlways || now.Sub(l.renewed) < preserveLongest
		})
	}
	slices.SortFunc(due, func(a, b *lease) int { return a.renewed.Compare(b.renewed) })
	for _, l := range due {
		r.remove(l, now, "was not heard of for "+ago(now.Sub(l.renewed)))
	}
	r.sweep = next
}

// silent says whether an instance has missed a heartbeat, and not by a moment.
func (l *lease) silent(now time.Time) bool {
	interval := time.Duration(l.Lease.Renewal) * time.Second
	return now.Sub(l.renewed) >= max(l.duration/2, interval+interval/2)
}

// preserves says whether so many silent ones mean that the registry is cut off.
func (r *registry) preserves(silent int) bool {
	switch r.preserve {
	case PreserveNever:
		return false
	case PreserveLarge:
		if r.count < preserveFrom {
			return false
		}
	case PreserveAlways:
	}
	return silent*100 > r.count*preserveSilent
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
