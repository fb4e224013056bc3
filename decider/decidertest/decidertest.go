// Package decidertest lets the tests of a decider read as sentences: given these
// events, when this command comes, then these events are decided.
//
//	decidertest.Run(t, rules, []decidertest.Case[Command, Event]{
//		{Name: "nobody befriends themself", When: Add{By: 1, To: 1}, Err: ErrSelf},
//		{Name: "strangers become friends", When: Add{By: 1, To: 2}, Then: []Event{Added{By: 1, To: 2}}},
//	})
package decidertest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ensemble/decider"
)

// Case is one sentence about a decider.
type Case[C, E any] struct {
	Name  string
	Given []E // recorded before, numbered from 1 and a second apart
	When  C
	Then  []E   // decided; nil: nothing changes
	Err   error // refused; compared by errors.Is
}

// Epoch is the time of the first given event.
func Epoch() time.Time { return time.Date(2022, 11, 26, 15, 45, 31, 0, time.UTC) }

// Run checks the cases, each as a subtest.
func Run[S, C, E any](t *testing.T, d decider.Decider[S, C, E], cases []Case[C, E]) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Helper()
			got, err := d.Decide(Fold(d, c.Given...), c.When)
			if !errors.Is(err, c.Err) || c.Err == nil && err != nil {
				t.Fatalf("refused with %v, want %v", err, c.Err)
			}
			if diff := cmp.Diff(c.Then, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("decided (-want +got):\n%s", diff)
			}
		})
	}
}

// Fold returns the state after events, numbered from 1 and a second apart.
func Fold[S, C, E any](d decider.Decider[S, C, E], events ...E) (state S) {
	for i, e := range events {
		state = d.Evolve(state, decider.Recorded[E]{
			Event: e, Number: int64(i + 1), Time: Epoch().Add(time.Duration(i) * time.Second),
		})
	}
	return state
}
