package sqlite

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"

	"ensemble/eventstore"
)

// effort returns how much of a random test is done: little, or in a soak much.
func effort(little, much int) int {
	if os.Getenv("ENSEMBLE_SOAK") != "" {
		return much
	}
	return little
}

// wake opens the files of a crash; they have to be a whole log.
func wake(t *testing.T, f files, bits int) *Log {
	t.Helper()
	log, err := Open(t.Context(), f.lay(t), optionsOf(bits))
	if err != nil {
		t.Fatalf("after the crash the log does not open: %v", err)
	}
	return log
}

func optionsOf(bits int) Options {
	return Options{Views: []eventstore.View{shelf{}}, Log: slog.New(slog.DiscardHandler), hashBits: bits}
}

// heldAgainst checks that a log is exactly the story up to a commit, and closes it.
func (s *story) heldAgainst(t *testing.T, log *Log, commits int) {
	t.Helper()
	want := s.upTo(commits)
	if diff := want.differs(t, log); diff != "" {
		t.Fatalf("after %d commits: %s", commits, diff)
	}
	s.unknown(t, log, commits)
	if _, err := log.Verify(t.Context(), noProgress); err != nil {
		t.Fatalf("after %d commits: verify says %v", commits, err)
	}
	if err := log.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func TestWhateverMomentTheCrashComesTheLogIsWhatWasAcknowledged(t *testing.T) {
	for seed := range uint64(effort(2, 40)) {
		bits := []int{64, 8}[seed%2]
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t, optionsOf(bits))
			w.withoutCheckpoints()
			a := newAuthor(t, seed)
			for commit := 1; commit <= 40; commit++ {
				a.commit(w.log)
				switch a.rnd.IntN(8) {
				case 0:
					w.checkpointNow()
				case 1:
					if err := w.log.saveIndex(); err != nil {
						t.Fatal(err)
					}
				case 2:
					w.close()
					w.open()
					w.withoutCheckpoints()
				case 3:
					a.heldAgainst(t, wake(t, w.snapshot(), bits), commit)
				}
			}
			if diff := a.differs(t, w.log); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// A power cut takes what was not synced: any end of the write-ahead log. What is left
// is a prefix of the commits, each of them whole.
func TestAWriteAheadLogCutAnywhereHoldsWholeCommits(t *testing.T) {
	w := newWorld(t, optionsOf(64))
	w.withoutCheckpoints()
	a := newAuthor(t, 11)
	sizes := []int64{w.log.WALSize()} // of the write-ahead log after each commit
	for range effort(3, 40) {
		a.commit(w.log)
		sizes = append(sizes, w.log.WALSize())
	}
	all := w.snapshot()
	frame := int64(4096 + frameHeaderLen)
	rnd := rand.New(rand.NewPCG(1, 1))
	for start := sizes[0]; start <= sizes[len(sizes)-1]; start += frame {
		for _, cut := range []int64{start, start + 1 + rnd.Int64N(frame-1)} {
			if cut > int64(len(all.wal)) {
				continue
			}
			commits := 0
			for commits+1 < len(sizes) && sizes[commits+1] <= cut {
				commits++
			}
			a.heldAgainst(t, wake(t, files{db: all.db, wal: all.wal[:cut]}, 64), commits)
		}
	}
}

// A checkpoint that dies leaves any of its pages in the file, none of the others. The
// write-ahead log still has them all.
func TestACheckpointThatDiesHalfwayLosesNothing(t *testing.T) {
	w := newWorld(t, optionsOf(64))
	w.withoutCheckpoints()
	a := newAuthor(t, 5)
	for round := range effort(3, 20) {
		for range 8 {
			a.commit(w.log)
		}
		before := w.snapshot()
		w.checkpointNow()
		done := w.snapshot()
		for range effort(1, 10) {
			torn := files{db: append([]byte(nil), before.db...), wal: before.wal}
			for at := 0; at < len(done.db); at += 512 { // sectors, not pages
				if a.rnd.IntN(2) == 0 || at >= len(torn.db) {
					torn.db = append(torn.db[:at], append(append([]byte(nil), done.db[at:at+512]...), tail512(torn.db, at)...)...)
				}
			}
			a.heldAgainst(t, wake(t, torn, 64), 8*(round+1))
		}
	}
}

// tail512 returns what follows a sector, nothing at the end.
func tail512(b []byte, at int) []byte {
	if at+512 >= len(b) {
		return nil
	}
	return b[at+512:]
}

// The log goes on after a crash as if nothing had happened: numbers, versions and keys
// continue where the acknowledged ones ended.
func TestALogGoesOnAfterEachOfManyCrashes(t *testing.T) {
	a := newAuthor(t, 23)
	at := files{}
	for life := range effort(4, 50) {
		path := at.lay(t)
		log, err := Open(t.Context(), path, optionsOf(64))
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		w := &world{t: t, path: path, log: log}
		w.withoutCheckpoints()
		for range 6 {
			a.commit(log)
			if a.rnd.IntN(5) == 0 {
				w.checkpointNow()
			}
		}
		if diff := a.differs(t, log); diff != "" {
			t.Fatalf("life %d: %s", life, diff)
		}
		at = w.snapshot()
		log.broken = eventstore.ErrClosed // closing saves nothing
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
