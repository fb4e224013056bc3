package loadgen

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ensemble/client"
)

// perform does all of a phase with the workers of the run. The first failure for
// good ends it.
func (r *run) perform(ctx context.Context, p phase) (Phase, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	workers := make([]worker, min(r.Workers, p.total))
	start := time.Now()
	var group sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		w.latency = newHistogram()
		w.errors = map[string]int{}
		group.Go(func() {
			for n := next.Add(1) - 1; n < int64(p.total) && ctx.Err() == nil; n = next.Add(1) - 1 {
				if err := w.one(ctx, p, int(n)); err != nil {
					cancel(err)
					return
				}
				r.Progress(p.name, int(done.Add(1)), p.total)
			}
		})
	}
	group.Wait()
	return summarize(p.name, time.Since(start), workers), context.Cause(ctx)
}

// worker is one client; it has one request under way.
type worker struct {
	latency *hdrhistogram.Histogram // microseconds, of requests that succeeded
	done    int
	retries int
	errors  map[string]int // by status, retried ones included
}

// one does one piece of a phase, however often it takes.
func (w *worker) one(ctx context.Context, p phase, i int) error {
	start := time.Now()
	err := client.Persist(ctx, func(ctx context.Context) error {
		start = time.Now()
		return p.do(ctx, i)
	}, func(err error) {
		w.retries++
		w.errors[reason(err)]++
	})
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			w.errors[reason(err)]++
		}
		return err
	}
	w.done++
	return w.latency.RecordValue(min(time.Since(start).Microseconds(), longest))
}

// longest is the highest latency that is told apart, in microseconds.
const longest = int64(time.Hour / time.Microsecond)

// newHistogram returns a histogram exact to three digits, from a microsecond to an
// hour.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

// reason is what an error is counted as.
func reason(err error) string {
	if problem, ok := errors.AsType[*client.ProblemError](err); ok {
		return strconv.Itoa(problem.Problem.Status) + " " + string(problem.Slug())
	}
	return "no answer"
}
