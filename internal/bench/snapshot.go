package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"ensemble/graph"
)

// Snapshots is what writing a graph to a file and reading it has shown.
type Snapshots struct {
	Bytes   int64         // of one
	Write   time.Duration // of one, without the fsync that follows
	Read    time.Duration
	Quiet   Written // a writer without a snapshot, for as long
	Written Written // a writer meanwhile
	Wrong   string  // why what was read is another graph; "" if it is the same
}

// Snapshots writes the graph to a file of a folder, several times, by turns alone,
// while a writer writes, and lets the writer write alone for as long; then it reads
// it once.
func (t *Town) Snapshots(ctx context.Context, dir string, w *Writer, turns int) (s Snapshots, err error) {
	path := filepath.Join(dir, "graph.snapshot")
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	for range turns {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		// While a writer writes: how long does Apply wait?
		var took time.Duration
		written, err := w.During(ctx, func() (err error) {
			took, err = t.snapshot(path)
			return err
		})
		if err != nil {
			return s, err
		}
		s.Written.add(written)
		// The same without a snapshot: what of that is the machine's?
		quiet, err := w.During(ctx, func() error {
			select {
			case <-time.After(took):
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		if err != nil {
			return s, err
		}
		s.Quiet.add(quiet)
		// Alone, and the last one is the one that is read.
		if took, err = t.snapshot(path); err != nil {
			return s, err
		}
		s.Write += took / time.Duration(turns)
	}
	return s, s.read(t, path)
}

// reread returns a graph as it is after a restart: written to a file of the folder, and
// read.
func reread(g *graph.Graph, dir string) (read *graph.Graph, err error) {
	path := filepath.Join(dir, "restart.snapshot")
	if _, err := (&Town{Graph: g}).snapshot(path); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	read, _, _, err = readSnapshot(path)
	return read, err
}

// snapshot writes the graph into a file and returns how long that took.
func (t *Town) snapshot(path string) (took time.Duration, err error) {
	file, err := os.Create(path) //nolint:gosec // in a folder of the operator's choice
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// What the system keeps of the file in memory until it is synced is its own affair.
	began := time.Now()
	err = t.Graph.WriteSnapshot(file, []byte("bench"))
	return time.Since(began), err
}

// read reads the file and compares what it has with the graph.
func (s *Snapshots) read(t *Town, path string) (err error) {
	began := time.Now()
	read, meta, size, err := readSnapshot(path)
	if err != nil {
		return err
	}
	s.Bytes, s.Read = size, time.Since(began)
	s.Wrong = t.wrong(read, string(meta))
	return nil
}

// readSnapshot reads a file and returns its graph, its meta, and how many bytes it has.
func readSnapshot(path string) (read *graph.Graph, meta []byte, size int64, err error) {
	file, err := os.Open(path) //nolint:gosec // in a folder of the operator's choice
	if err != nil {
		return nil, nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, 0, err
	}
	read, meta, err = graph.ReadSnapshot(io.NewSectionReader(file, 0, info.Size()))
	return read, meta, info.Size(), err
}

// wrong says why a graph that was read is not the one that was written.
func (t *Town) wrong(read *graph.Graph, meta string) string {
	was, is := t.Graph.Stats(), read.Stats()
	if was.People != is.People || was.Friendships != is.Friendships || meta != "bench" {
		return fmt.Sprintf("%d people and %d friendships were written, %d and %d are read, with %q",
			was.People, was.Friendships, is.People, is.Friendships, meta)
	}
	// The same numbers say little: the answers about some people are compared too.
	again := Town{Network: t.Network, Graph: read, Plain: t.Plain}
	question, somebody := again.Best(10), t.Somebody(1)
	for range 100 {
		if id := somebody(); !question.Same(id) {
			return fmt.Sprintf("the answers about %d differ", id)
		}
	}
	return ""
}
