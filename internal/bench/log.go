package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/user"
)

// Log measures the log on SQLite in files of a folder.
func Log(ctx context.Context, dir string, size Size) (rows []Row, err error) {
	size = size.Defaults()
	for i, measure := range []func(context.Context, string, Size) ([]Row, error){
		appendRows, viewRows, aloneRows, replayRow, reopenRows,
	} {
		sub := filepath.Join(dir, fmt.Sprint("log", i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			return rows, err
		}
		more, err := measure(ctx, sub, size)
		if err != nil {
			return rows, err
		}
		rows = append(rows, more...)
		// Each part has files of hundreds of megabytes.
		if err := os.RemoveAll(sub); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// Filled is what filling a log has shown.
type Filled struct {
	Took    time.Duration
	Commits int   // flushes
	Bytes   int64 // of the file, once it is closed
}

// Fill is how a log is filled.
type Fill struct {
	Views   []eventstore.View
	Clients int
	N       int
	Alone   bool // one command at a time, so that each has a commit of its own
	Command func(rnd *rand.Rand, i int64) (eventstore.Write, error)
}

// Into fills a new log and closes it.
func (f Fill) Into(ctx context.Context, path string) (filled Filled, err error) {
	log, err := sqlite.Open(ctx, path, sqlite.Options{Views: f.Views})
	if err != nil {
		return Filled{}, err
	}
	var commits atomic.Int64
	store, err := eventstore.Open(ctx, log, eventstore.Options{OnCommit: func(int, time.Duration) { commits.Add(1) }})
	if err != nil {
		return Filled{}, errors.Join(err, log.Close())
	}
	var alone sync.Mutex
	filled.Took, err = Concurrently(ctx, f.Clients, f.N, func(rnd *rand.Rand, i int64) error {
		w, err := f.Command(rnd, i)
		if err != nil {
			return err
		}
		if f.Alone {
			alone.Lock()
			defer alone.Unlock()
		}
		_, err = store.Append(ctx, w)
		return err
	})
	filled.Commits = int(commits.Load())
	if err := errors.Join(err, store.Close()); err != nil {
		return Filled{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Filled{}, err
	}
	filled.Bytes = info.Size()
	return filled, nil
}

// against fills a log twice, with commands together and alone, and compares.
func against(ctx context.Context, dir, what, target string, alone int, f Fill) (Row, Filled, error) {
	grouped, err := f.Into(ctx, filepath.Join(dir, "grouped.db"))
	if err != nil {
		return Row{}, Filled{}, err
	}
	n := f.N
	f.Alone, f.N = true, alone
	single, err := f.Into(ctx, filepath.Join(dir, "alone.db"))
	return Row{
		What: what, Target: target, Measured: perSecond(n, grouped.Took),
		Baseline: perSecond(alone, single.Took) + " with a commit for each", Ratio: ratio(n, grouped.Took, alone, single.Took),
	}, grouped, err
}

// appendRows measures the log alone.
func appendRows(ctx context.Context, dir string, size Size) ([]Row, error) {
	row, _, err := against(ctx, dir, "events and idempotency keys, 256 clients", "≥ 30x", size.Alone,
		Fill{Clients: 256, N: size.Events, Command: Raw})
	return []Row{row}, err
}

// viewRows measures the log with the read models in its commits.
func viewRows(ctx context.Context, dir string, size Size) (rows []Row, err error) {
	for _, c := range []struct {
		name, what, target string
		indexes            bool
	}{
		{"keys", "with the rows of `users` and `friend`, primary keys", "≥ 18x", false},
		{"indexes", "with friends found by person (two indexes)", "≥ 5x", true},
	} {
		sub := filepath.Join(dir, c.name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			return nil, err
		}
		row, filled, err := against(ctx, sub, c.what, c.target, size.Alone, Fill{
			Clients: 256, N: size.Events, Command: Domain, Views: []eventstore.View{NewViews(c.indexes)},
		})
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
		if c.indexes {
			continue
		}
		rows = append(
			rows,
			Row{What: "flushes for an event", Target: "≤ 0.01", Measured: fmt.Sprintf("%.4f", float64(filled.Commits)/float64(size.Events))},
			Row{What: "bytes on the disk for an event", Target: "≤ 130", Measured: fmt.Sprintf("%.0f", float64(filled.Bytes)/float64(size.Events))},
		)
	}
	return rows, nil
}

// aloneRows measures a client who has the log for itself.
func aloneRows(ctx context.Context, dir string, size Size) ([]Row, error) {
	ours, theirs, err := ByTurns(ctx, dir, size.Alone)
	if err != nil {
		return nil, err
	}
	return []Row{{
		What: "one client alone", Target: "≥ 0.9x, p99 ≤ 0.5 ms", Measured: marks(ours),
		Baseline: marks(theirs) + " straight at the driver", Ratio: sum(theirs).Seconds() / sum(ours).Seconds(),
	}}, nil
}

// ByTurns sends each command through the committer and straight at the driver, each
// with a log of its own in a folder, so that both meet the same disk. It returns how
// long each command took.
func ByTurns(ctx context.Context, dir string, n int) (ours, theirs []time.Duration, err error) {
	log, err := sqlite.Open(ctx, filepath.Join(dir, "committer.db"), sqlite.Options{})
	if err != nil {
		return nil, nil, err
	}
	store, err := eventstore.Open(ctx, log, eventstore.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	driver, err := sqlite.Open(ctx, filepath.Join(dir, "driver.db"), sqlite.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	_, err = Concurrently(ctx, 1, n, func(rnd *rand.Rand, i int64) error {
		w, err := Raw(rnd, i)
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := store.Append(ctx, w); err != nil {
			return err
		}
		between := time.Now()
		if _, err := driver.Commit(ctx, []eventstore.Write{w}); err != nil {
			return err
		}
		ours, theirs = append(ours, between.Sub(began)), append(theirs, time.Since(between))
		return nil
	})
	return ours, theirs, err
}

// replayRow measures reading a log from its beginning, checksums included.
func replayRow(ctx context.Context, dir string, size Size) ([]Row, error) {
	path := filepath.Join(dir, "replay.db")
	if _, err := (Fill{Clients: 256, N: size.Events, Command: Raw}).Into(ctx, path); err != nil {
		return nil, err
	}
	log, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	store, err := eventstore.Open(ctx, log, eventstore.Options{})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	took, err := Replay(ctx, store, size.Events)
	return []Row{{
		What: "replay with checksums, one core", Target: "≥ 3 M/s", Measured: fmt.Sprintf("%.2f M/s", float64(size.Events)/took.Seconds()/1e6),
	}}, errors.Join(err, store.Close())
}

// Replay reads so many events from the beginning of a log and returns how long it
// took.
func Replay(ctx context.Context, store *eventstore.Store, events int) (time.Duration, error) {
	began := time.Now()
	for _, err := range store.Subscribe(ctx, 0) {
		if err != nil {
			return 0, err
		}
		if events--; events == 0 {
			break
		}
	}
	return time.Since(began), nil
}

// reopenRows measures opening a log with many streams, after it was closed and
// after its heads were lost.
func reopenRows(ctx context.Context, dir string, size Size) ([]Row, error) {
	path := filepath.Join(dir, "user.db")
	if err := FillStreams(ctx, path, size.Streams); err != nil {
		return nil, err
	}
	var rows []Row
	for _, c := range []struct {
		what, target string
		lost         bool
	}{
		{fmt.Sprintf("opening a log of %d streams, closed properly", size.Streams), "≤ 0.3 s at 1 M", false},
		{"the same, its heads lost", "≤ 1 s at 1 M", true},
	} {
		took, err := Reopen(ctx, path, c.lost)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{What: c.what, Target: c.target, Measured: short(took).String()})
	}
	return rows, nil
}

// FillStreams makes a log of so many people, in whole thousands.
func FillStreams(ctx context.Context, path string, streams int) error {
	log, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	batch := make([]eventstore.Write, 1000)
	for i := range batch {
		batch[i] = eventstore.Write{Stream: eventstore.Stream{Category: user.Category}, Events: []eventstore.NewEvent{
			{Type: "UserCreated", Number: eventstore.NextNumber, Data: []byte(`{"key":1,"sealed":""}`)},
		}}
	}
	for range streams / len(batch) {
		if _, err := log.Commit(ctx, batch); err != nil {
			return errors.Join(err, log.Close())
		}
	}
	return log.Close()
}

// Reopen returns how long a log takes to open, after its heads were lost if that is
// wanted.
func Reopen(ctx context.Context, path string, lost bool) (time.Duration, error) {
	if lost {
		heads := strings.TrimSuffix(path, ".db") + ".heads"
		if err := os.Remove(heads); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
	}
	began := time.Now()
	log, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, log.Close()
}
