// Package discoverytest is the contract of discovery.Resolver: every adapter runs it
// against a real source.
package discoverytest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/discovery"
)

// Source is where an adapter under test gets its answers from.
type Source struct {
	// Resolver is the adapter. It asks the source at most every Refresh.
	Resolver discovery.Resolver
	// Refresh is how long an answer may be old.
	Refresh time.Duration
	// Set makes these the instances of a service. Nil: the source never changes, and
	// "user" has 127.0.0.1:1, 127.0.0.2:2 and 127.0.0.3:3.
	Set func(service string, addrs ...string)
	// Away takes the source away, or brings it back. Nil: it is always there.
	Away func(away bool)
}

// Run runs the contract; open returns a new source for each part of it.
func Run(t *testing.T, open func(t *testing.T) Source) {
	three := []string{"127.0.0.1:1", "127.0.0.2:2", "127.0.0.3:3"}
	start := func(t *testing.T) Source {
		s := open(t)
		if s.Set != nil {
			s.Set("user", three[2], three[0], three[1])
		}
		return s
	}
	t.Run("a list has each address once, in order, and belongs to the caller", func(t *testing.T) {
		s := start(t)
		first := s.resolve(t, "user")
		wantAddrs(t, first, three...)
		slices.Reverse(first.Instances)
		wantAddrs(t, s.resolve(t, "user"), three...)
		if first.Confirmed.IsZero() || first.Trouble != nil {
			t.Errorf("confirmed at %v, trouble %v", first.Confirmed, first.Trouble)
		}
	})
	t.Run("a service that nobody serves is an empty list", func(t *testing.T) {
		wantAddrs(t, start(t).resolve(t, "nobody"))
	})
	t.Run("a context that has ended is said so", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := start(t).Resolver.Resolve(ctx, "user"); err == nil {
			t.Error("no error")
		}
	})
	t.Run("many may ask at once", func(t *testing.T) {
		s := start(t)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if l, err := s.Resolver.Resolve(t.Context(), "user"); err != nil || len(l.Instances) != 3 {
					t.Errorf("%v %v", l, err)
				}
			})
		}
		all.Wait()
	})
	t.Run("who comes and goes is seen", func(t *testing.T) {
		s := start(t)
		if s.Set == nil {
			t.Skip("the source never changes")
		}
		wantAddrs(t, s.resolve(t, "user"), three...)
		for _, now := range [][]string{{three[0], three[2]}, {}, {three[1]}} {
			s.Set("user", now...)
			s.until(t, func(l discovery.List) bool { return cmp.Equal(addrs(l), now) })
		}
	})
	t.Run("while the source is away the last list holds", func(t *testing.T) {
		s := start(t)
		if s.Away == nil {
			t.Skip("the source is always there")
		}
		before := s.resolve(t, "user")
		s.Away(true)
		troubled := s.until(t, func(l discovery.List) bool { return l.Trouble != nil })
		wantAddrs(t, troubled, three...)
		if troubled.Confirmed.Before(before.Confirmed) {
			t.Errorf("confirmed at %v, but before at %v", troubled.Confirmed, before.Confirmed)
		}
		s.Away(false)
		s.Set("user", three[0])
		s.until(t, func(l discovery.List) bool { return l.Trouble == nil && len(l.Instances) == 1 })
	})
	t.Run("who was never told anything gets an error, until the source is there", func(t *testing.T) {
		s := start(t)
		if s.Away == nil {
			t.Skip("the source is always there")
		}
		s.Away(true)
		if l, err := s.Resolver.Resolve(t.Context(), "user"); err == nil {
			t.Errorf("no error, but %v", l)
		}
		s.Away(false)
		s.until(t, func(l discovery.List) bool { return len(l.Instances) == 3 })
	})
}

// resolve asks and expects an answer.
func (s Source) resolve(t *testing.T, service string) discovery.List {
	t.Helper()
	l, err := s.Resolver.Resolve(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// until asks, as a gateway does, until a list of "user" is as wanted; the time is only
// a limit for what never comes.
func (s Source) until(t *testing.T, wanted func(discovery.List) bool) discovery.List {
	t.Helper()
	var l discovery.List
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(s.Refresh / 4) {
		if l, err = s.Resolver.Resolve(t.Context(), "user"); err == nil && wanted(l) {
			return l
		}
	}
	t.Fatalf("the list stays %+v, %v", l, err)
	return l
}

// addrs returns the addresses of a list.
func addrs(l discovery.List) []string {
	list := make([]string, 0, len(l.Instances))
	for _, i := range l.Instances {
		list = append(list, i.Addr)
	}
	return list
}

// wantAddrs expects the addresses of a list.
func wantAddrs(t *testing.T, l discovery.List, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), addrs(l)); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}
