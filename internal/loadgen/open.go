package loadgen

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/client"
)

// OpenOptions says what RunOpen does.
type OpenOptions struct {
	Schedule

	Client *client.Client
	Mix    Mix
	Seed   uint64  // of times, kinds, people and names
	Graph  *Graph  // what was loaded before
	IDs    []int64 // the ids of its people, by index
	Keys   string  // begins every idempotency key, as in Options

	// InFlight bounds the requests under way. One that is due while all places are
	// taken waits for one, and its waiting is part of its latency; it is counted as
	// held.
	InFlight int
	// Patience is how long after the last request was due those that are held may
	// still be sent.
	Patience time.Duration
	// Progress, if set, is told how it goes, some times a second, from one
	// goroutine.
	Progress func(OpenProgress)
}

// OpenProgress is how far an open load is.
type OpenProgress struct {
	At, Of          time.Duration // since the start, until the end
	Rate            float64       // answers a second, lately
	InFlight        int
	Held, Errors    int
	P50, P99, Worst time.Duration // of all so far, from when they were due
}

// RunOpen sends requests when they are due, whether or not earlier ones are
// answered, and reports latencies from that moment. It ends when all are answered,
// or its context ends; then it reports what it has measured so far. Nothing is
// sent twice, but by net/http where an idle connection was closed under a request.
//
// Errors: [ErrPlan], before anything is sent; the context's. What the target
// answers is no error of RunOpen: see [OpenReport.Void].
func RunOpen(ctx context.Context, o OpenOptions) (OpenReport, error) {
	counts, err := o.count()
	if err != nil {
		return OpenReport{}, err
	}
	r := openRun{OpenOptions: o, names: NewNames(o.Seed), places: make(chan struct{}, o.InFlight), tally: newTally(o.Mix)}
	r.begin = time.Now()
	watched := r.watch(ctx)
	var group sync.WaitGroup
	requests, sent := 0, 0
	for _, n := range counts {
		requests += n
	}
	for p := range r.plan(counts) {
		if !r.place(ctx, p.due) {
			break
		}
		sent++
		group.Go(func() {
			defer func() { <-r.places }()
			r.send(ctx, p)
		})
	}
	group.Wait()
	watched()
	report := r.tally.report(o)
	report.Planned, report.Unsent, report.Held = requests, requests-sent, int(r.held.Load())
	report.Interrupted = ctx.Err() != nil
	return report, ctx.Err()
}

// openRun is an open load under way.
type openRun struct {
	OpenOptions
	names  *Names
	begin  time.Time
	places chan struct{} // one taken for each request under way
	held   atomic.Int64
	freed  time.Duration // when the last request that was held got its place
	tally  *tally
}

// place waits until a request is due and takes a place for it. It returns false if
// the request must not be sent any more.
func (r *openRun) place(ctx context.Context, due time.Duration) bool {
	if wait := time.Until(r.begin.Add(due)); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	if due >= r.freed { // else it came while an earlier one was held, and waited behind it
		select {
		case r.places <- struct{}{}:
			return ctx.Err() == nil
		default:
		}
	}
	r.held.Add(1)
	_, end := r.measured()
	last := time.NewTimer(time.Until(r.begin.Add(end + r.Patience)))
	defer last.Stop()
	select {
	case r.places <- struct{}{}:
		r.freed = time.Since(r.begin)
		return r.freed < end+r.Patience // a place that came too late is none
	case <-last.C:
		return false
	case <-ctx.Done():
		return false
	}
}

// send sends a request once and notes how it went.
func (r *openRun) send(ctx context.Context, p planned) {
	sent := time.Since(r.begin)
	err := r.call(ctx, p)
	if err != nil && ctx.Err() != nil {
		return // the run was interrupted, not the target
	}
	from, _ := r.measured()
	r.tally.note(p.kind, outcome{due: p.due, sent: sent, answered: time.Since(r.begin), measured: p.due >= from, err: err})
}

// call makes the request of a kind.
func (r *openRun) call(ctx context.Context, p planned) (err error) {
	key := r.Keys + "open-" + string(p.kind) + "-" + strconv.Itoa(p.n)
	switch p.kind {
	case Create:
		first, last := r.names.Of(-1 - int64(p.n))
		_, _, err = r.Client.CreateUser(ctx, first, last, key)
	case Add:
		_, _, err = r.Client.AddFriend(ctx, r.IDs[p.a], r.IDs[p.b], key)
	case Remove:
		_, err = r.Client.RemoveFriend(ctx, r.IDs[p.a], r.IDs[p.b], key)
	case Erase:
		_, err = r.Client.Erase(ctx, r.IDs[p.a])
	case FriendsOf:
		_, err = r.Client.Friends(ctx, r.IDs[p.a])
	case Recommend:
		_, err = r.Client.Recommend(ctx, r.IDs[p.a], 10)
	case Mutual:
		_, err = r.Client.Mutual(ctx, r.IDs[p.a], r.IDs[p.b])
	case Get:
		_, _, err = r.Client.User(ctx, r.IDs[p.a])
	default:
		err = fmt.Errorf("unknown kind of request %q", p.kind)
	}
	return err
}

// watchEvery is how often progress is told.
const watchEvery = 250 * time.Millisecond

// watch tells of progress until what it returns is called, which waits for the
// last word.
func (r *openRun) watch(ctx context.Context) (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		_, end := r.measured()
		for before := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			p, answered := r.tally.progress()
			p.At, p.Of, p.InFlight, p.Held = time.Since(r.begin), end, len(r.places), int(r.held.Load())
			p.Rate = float64(answered-before) / watchEvery.Seconds()
			before = answered
			r.Progress(p)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
