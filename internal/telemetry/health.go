package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrDraining means that a service takes no new work because it is stopping.
var ErrDraining = errors.New("stopping")

// Health collects the checks of one service. The zero Health is ready to use and
// ready to serve; its methods may be called concurrently.
type Health struct {
	mu       sync.RWMutex
	checks   []check
	draining bool
}

// check is one named condition of being ready.
type check struct {
	name     string
	run      func(context.Context) error
	optional bool
}

// Check is the result of one check; Err is nil if it is well.
type Check struct {
	Name     string
	Err      error
	Optional bool // the service is ready without it
}

// Add adds a check. It has to be quick and to honour its context.
func (h *Health) Add(name string, run func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name: name, run: run})
}

// AddOptional adds a check that is shown, and that the service is ready without: it can
// do most of its work while somebody else is away, and who takes it out of service then
// makes two outages of one.
func (h *Health) AddOptional(name string, run func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name: name, run: run, optional: true})
}

// SetDraining makes the service not ready, or ready again.
func (h *Health) SetDraining(draining bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = draining
}

// Draining says whether the service is stopping.
func (h *Health) Draining() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.draining
}

// Checks runs all checks, in the order in which they were added.
func (h *Health) Checks(ctx context.Context) []Check {
	h.mu.RLock()
	defer h.mu.RUnlock()
	results := make([]Check, len(h.checks))
	for i, c := range h.checks {
		results[i] = Check{Name: c.name, Err: c.run(ctx), Optional: c.optional}
	}
	return results
}

// Ready returns nil if the service can do its work, and otherwise everything that
// keeps it from it.
func (h *Health) Ready(ctx context.Context) error {
	var errs []error
	if h.Draining() {
		errs = append(errs, ErrDraining)
	}
	for _, c := range h.Checks(ctx) {
		if c.Err != nil && !c.Optional {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, c.Err))
		}
	}
	return errors.Join(errs...)
}
