package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Services are the processes of a system that runs apart, the gateway last. Each kill
// takes one of them, in turn; the others go on, and whoever is started again has to find
// its place among them.
type Services struct {
	Processes []*Process

	running []bool
	address string // of the gateway
}

// Start starts the processes that are not running, and returns the address of the gateway
// once all serve.
func (s *Services) Start(ctx context.Context) (string, error) {
	if s.running == nil {
		s.running = make([]bool, len(s.Processes))
	}
	for i, p := range s.Processes {
		if s.running[i] {
			continue
		}
		address, err := p.Start(ctx)
		if err != nil {
			s.KillAll()
			return "", fmt.Errorf("start %s: %w", p.Args[0], err)
		}
		s.running[i] = true
		if address != "" {
			s.address = address
		}
	}
	return s.address, nil
}

// Kill ends the one whose turn it is in a round, as kill -9 does.
func (s *Services) Kill(round int) {
	i := round % len(s.Processes)
	s.Processes[i].Kill()
	s.running[i] = false
}

// KillAll ends all that run.
func (s *Services) KillAll() {
	for i, p := range s.Processes {
		if s.running[i] {
			p.Kill()
			s.running[i] = false
		}
	}
}

// Stop asks all to end, the gateway first, and returns how they ended.
func (s *Services) Stop() error {
	var errs []error
	for i, p := range slices.Backward(s.Processes) {
		if !s.running[i] {
			continue
		}
		s.running[i] = false
		if err := p.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Args[0], err))
		}
	}
	return errors.Join(errs...)
}
