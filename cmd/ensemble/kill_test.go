package main

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/chaos"
)

// buildBinary builds the product with some build tags.
func buildBinary(t testing.TB, tags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ensemble.exe")
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// killRounds runs rounds of kill -9 against a build.
func killRounds(t *testing.T, data, tags string, rounds int, seed uint64) ([]string, error) {
	t.Helper()
	settle := time.Minute
	if tags != "" {
		settle = 5 * time.Second // a build that has lost what it answered may never come to an end
	}
	t.Logf("seed %d", seed)
	return chaos.Run(t.Context(), chaos.Options{
		Process: &chaos.Process{
			Binary: buildBinary(t, tags), Data: data, Dir: t.TempDir(),
			Env: []string{"ENSEMBLE_SNAPSHOT_EVERY=10ms"}, // it is mostly killed while one is written
		},
		Rounds: rounds,
		Seed:   seed,
		Settle: settle,
		ReadLog: func(ctx context.Context, log string, after int64) iter.Seq2[chaos.Event, error] {
			return readLog(ctx, filepath.Join(data, log+".db"), eventstore.Position(after))
		},
		Round: func(n, commands int) {
			if n%20 == 0 {
				t.Logf("round %d, %d commands", n, commands)
			}
		},
	})
}

// readLog reads a log from its file while the system runs.
func readLog(ctx context.Context, path string, after eventstore.Position) iter.Seq2[chaos.Event, error] {
	return func(yield func(chaos.Event, error) bool) {
		log, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
		if err != nil {
			yield(chaos.Event{}, err)
			return
		}
		defer log.Close()
		for {
			page, err := log.ReadAll(ctx, after, eventstore.MaxPage)
			if err != nil {
				yield(chaos.Event{}, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, e := range page {
				after = e.Position
				if !yield(chaos.Event{
					Position: int64(e.Position), Version: int64(e.Version), Number: e.Number,
					Stream: e.Stream.String(), Type: e.Type, Time: e.Time,
				}, nil) {
					return
				}
			}
		}
	}
}

// number returns a whole number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text, set := os.LookupEnv(name)
	if !set {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestKillMinusNine kills one system so often, and begins with another after 500 rounds:
// what takes time then is reading long logs.
func TestKillMinusNine(t *testing.T) {
	const folder = 500
	seed := uint64(number(t, "ENSEMBLE_KILL_SEED", rand.Int()))
	for left := number(t, "ENSEMBLE_KILL_ROUNDS", 20); left > 0; left -= folder {
		t.Run(fmt.Sprint(left), func(t *testing.T) { killOne(t, min(left, folder), seed+uint64(left)) })
	}
}

// killOne kills one system so often, and looks at all that it leaves behind.
func killOne(t *testing.T, rounds int, seed uint64) {
	data := filepath.Join(t.TempDir(), "data")
	violations, err := killRounds(t, data, "", rounds, seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
	t.Logf("%d rounds", rounds)
	if files, err := os.ReadDir(data); err != nil || len(files) > 20 {
		t.Errorf("what was being written when the crashes came piles up: %v, %v", files, err)
	}
	verified(t, data) // the snapshots too
	if found := (&snapshotFolder{dir: filepath.Join(data, snapshotDir)}).find(); len(found) == 0 || found[0].err != nil {
		t.Errorf("of snapshots there are %+v", found)
	}
}

func TestKillMinusNineCatchesABuildThatAnswersBeforeItCommits(t *testing.T) {
	violations, err := killRounds(t, filepath.Join(t.TempDir(), "data"), "ensemble_ack_before_commit", 20, rand.Uint64())
	if len(violations) == 0 && err == nil {
		t.Fatal("20 rounds of a build that loses what it acknowledged went unnoticed")
	}
	t.Log(violations, err)
}
