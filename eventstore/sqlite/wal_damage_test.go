package sqlite

import (
	"math/rand/v2"
	"testing"
)

// walOf returns the files of a log all of whose commits are in the write-ahead log,
// as after kill -9, and the sizes of it after each commit.
func walOf(t *testing.T, commits int) (files, *story, []int64) {
	t.Helper()
	w := newWorld(t, optionsOf(64))
	w.withoutCheckpoints()
	a := newAuthor(t, 9)
	sizes := []int64{w.log.WALSize()}
	for range commits {
		a.commit(w.log)
		sizes = append(sizes, w.log.WALSize())
	}
	return w.snapshot(), &a.story, sizes
}

// SQLite reads a write-ahead log up to the first thing it does not like and forgets
// the rest. So each bit matters: of the header, of every frame but those of the last
// transaction.
func TestNoBitOfTheWriteAheadLogLosesACommit(t *testing.T) {
	f, s, sizes := walOf(t, 6)
	last := int(sizes[len(sizes)-2]) // where the last transaction begins
	try := func(where string, at int, bit uint) {
		different, found := s.look(t, files{db: f.db, wal: flipped(f.wal, at, bit)})
		if different != "" || found == nil {
			t.Errorf("%s, bit %d of byte %d: nothing was found, %s", where, bit, at, different)
		}
	}
	for at := range walHeaderLen {
		try("header", at, uint(at%8))
	}
	rnd := rand.New(rand.NewPCG(4, 4))
	frame := 4096 + frameHeaderLen
	for start := walHeaderLen; start < last; start += frame {
		try("page number", start+rnd.IntN(4), uint(rnd.IntN(8)))
		try("salts", start+8+rnd.IntN(8), uint(rnd.IntN(8)))
		try("checksum", start+16+rnd.IntN(8), uint(rnd.IntN(8)))
		try("page", start+frameHeaderLen+rnd.IntN(4096), uint(rnd.IntN(8)))
	}
}

// Within the last transaction damage looks like the crash it may be: the commit is
// there, whole, or it is not.
func TestDamageInTheLastTransactionTakesThatOneAtMost(t *testing.T) {
	f, s, sizes := walOf(t, 4)
	start, end := int(sizes[len(sizes)-2]), int(sizes[len(sizes)-1])
	rnd := rand.New(rand.NewPCG(5, 5))
	for range effort(10, 500) {
		at := start + rnd.IntN(end-start)
		path := files{db: f.db, wal: flipped(f.wal, at, uint(rnd.IntN(8)))}.lay(t)
		log, err := Open(t.Context(), path, optionsOf(64))
		if err != nil {
			continue // found
		}
		if diff := s.upTo(len(s.ends)-2).differs(t, log); diff != "" {
			t.Errorf("byte %d of the last transaction: %s", at-start, diff)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHalfAFrameAfterABrokenHeaderIsNoLoss: only what was whole was ever acknowledged,
// so only a whole frame proves that a header was good once.
func TestHalfAFrameAfterABrokenHeaderIsNoLoss(t *testing.T) {
	f, _, _ := walOf(t, 2)
	broken := flipped(f.wal, 1, 0) // the magic
	for _, c := range []struct {
		name  string
		bytes int
		lost  bool
	}{
		{"no frame", walHeaderLen, false},
		{"the head of a frame", walHeaderLen + frameHeaderLen, false},
		{"less than the shortest page", walHeaderLen + frameHeaderLen + leastPage - 1, false},
		{"as much as the shortest frame", walHeaderLen + frameHeaderLen + leastPage, true},
		{"all of it", len(broken), true},
	} {
		path := files{db: f.db, wal: broken[:c.bytes]}.lay(t)
		if err := checkWAL(path); (err != nil) != c.lost {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
