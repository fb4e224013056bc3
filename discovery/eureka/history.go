package eureka

import (
	"slices"
	"time"
)

// mostHistory is how many events the dashboard shows.
const mostHistory = 50

// Event is something that happened to an instance.
type Event struct {
	At      time.Time
	App, ID string
	What    string // "registered as UP", "left"
}

// tell notes what happened; mu is held.
func (r *registry) tell(now time.Time, l *lease, what string) {
	if len(r.history) == mostHistory {
		r.history = append(r.history[:0], r.history[1:]...)
	}
	r.history = append(r.history, Event{At: now, App: l.App, ID: l.ID, What: what})
}

// lately returns what happened, the newest first, and whether the registry preserves
// those whose lease has ended.
func (r *registry) lately() (events []Event, preserving bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	for _, e := range slices.Backward(r.history) {
		events = append(events, e)
	}
	return events, r.kept
}
