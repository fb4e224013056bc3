// Command fuzz runs every fuzz target of a module for a while, two at a time, and says
// in a line for each how it went.
//
//	go run ./fuzz -time 5s ..
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// atOnce is how many targets run beside each other, each with one worker.
const atOnce = 2

func main() {
	forHowLong := flag.Duration("time", 5*time.Second, "how long each target is fuzzed")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	targets, err := find(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(2)
	}
	if failed := all(ctx, targets, *forHowLong, os.Stdout); failed > 0 {
		fmt.Fprintf(os.Stderr, "fuzz: %d of %d targets failed\n", failed, len(targets))
		os.Exit(1)
	}
}

// target is one function to fuzz.
type target struct {
	root, dir string // dir is relative to root
	name      string
}

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// find returns all targets below root.
func find(root string) ([]target, error) {
	var targets []target
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "tools" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, m := range declaration.FindAllSubmatch(text, -1) {
			targets = append(targets, target{root: root, dir: dir, name: string(m[1])})
		}
		return nil
	})
	if err == nil && len(targets) == 0 {
		err = fmt.Errorf("no fuzz target below %s", root)
	}
	return targets, err
}

// all runs the targets and returns how many failed.
func all(ctx context.Context, targets []target, d time.Duration, w io.Writer) (failed int) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		free = make(chan struct{}, atOnce)
	)
	for _, t := range targets {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			report, ok := t.run(ctx, d)
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprint(w, report)
			if !ok {
				failed++
			}
		})
	}
	wg.Wait()
	return failed
}

// run fuzzes the target, and once more when Go has ended it by mistake.
func (t target) run(ctx context.Context, d time.Duration) (report string, ok bool) {
	for again := 0; ; again++ {
		output, err := t.fuzz(ctx, d)
		if err == nil {
			return fmt.Sprintf("ok   %-24s %-22s %s\n", t.dir, t.name, summary(output)), true
		}
		if again == 2 || ctx.Err() != nil || !endedByMistake(output) {
			return fmt.Sprintf("FAIL %-24s %-22s %v\n%s", t.dir, t.name, err, output), false
		}
	}
}

// fuzz runs 'go test -fuzz' and returns what it printed.
func (t target) fuzz(ctx context.Context, d time.Duration) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-parallel", "1", "-fuzz", "^"+t.name+"$", "-fuzztime", d.String(), ".")
	cmd.Dir = filepath.Join(t.root, t.dir)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

var (
	lastCount = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)
	deadline  = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \(.*\)\n\s+context deadline exceeded\n`)
	finding   = regexp.MustCompile(`Failing input written|panic:|_test\.go:\d+:|fuzzing process hung`)
)

// endedByMistake says whether all that failed was the end of the time itself, which Go
// reports as a failure when it falls between two instructions of its coordinator
// (https://go.dev/issue/75804).
func endedByMistake(output string) bool {
	return deadline.MatchString(output) && !finding.MatchString(output)
}

// summary says how much was tried.
func summary(output string) string {
	counts := lastCount.FindAllStringSubmatch(output, -1)
	if len(counts) == 0 {
		return "ended before the first count"
	}
	last := counts[len(counts)-1]
	return last[1] + " inputs, " + last[2] + " of them new ground"
}
