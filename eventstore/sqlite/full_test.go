package sqlite

import (
	"errors"
	"fmt"
	"testing"

	"ensemble/eventstore"
)

// TestADiskThatIsFullNowAndThenLosesNothingAndKeepsNothing: batches with views, keys and
// answers meet a file that may not grow, again and again. Those that were refused leave
// no trace; the others are all there, before and after a crash.
func TestADiskThatIsFullNowAndThenLosesNothingAndKeepsNothing(t *testing.T) {
	for seed := range uint64(effort(3, 50)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t, optionsOf(64))
			w.withoutCheckpoints()
			a := newAuthor(t, 100+seed)
			refused, left := 0, []eventstore.Write{}
			for range 80 {
				if a.rnd.IntN(6) == 0 {
					w.log.limitPages(1) // the file may not grow: what fits into its pages still goes
				}
				if a.rnd.IntN(3) == 0 {
					w.log.limitPages(0)
				}
				batch := a.batch()
				results, err := w.log.Commit(t.Context(), batch)
				switch {
				case err == nil:
					a.acknowledge(batch, results)
				case errors.Is(err, eventstore.ErrFull):
					refused++
					left = append(left, batch...)
				default:
					t.Fatalf("a full disk says %v", err)
				}
			}
			if refused == 0 {
				t.Fatal("the disk was never full")
			}
			w.log.limitPages(0)
			a.commit(w.log)
			for _, refusedWrite := range left {
				if refusedWrite.Key == nil {
					continue
				}
				if _, found, err := w.log.Outcome(t.Context(), refusedWrite.Key.Hash); found || err != nil {
					t.Errorf("a refused write is remembered, %v", err)
				}
			}
			if diff := a.differs(t, w.log); diff != "" {
				t.Fatal(diff)
			}
			a.heldAgainst(t, wake(t, w.snapshot(), 64), len(a.ends)-1)
		})
	}
}
