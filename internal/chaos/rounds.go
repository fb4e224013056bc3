package chaos

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/client"
)

// Options says what Run does.
type Options struct {
	// Process is the system, or Services are, of which each round kills one.
	Process  *Process
	Services *Services
	Rounds   int
	Seed     uint64
	// ReadLog returns the events of a log ("user" or "friend") after a position.
	// It is called while the system runs.
	ReadLog func(ctx context.Context, log string, after int64) iter.Seq2[Event, error]
	// Settle is how long the commands left open by a kill may take. 0 means a minute.
	Settle time.Duration
	// Round, if set, is told of each round that is over.
	Round func(n, commands int)
}

// fullAudit is after how many rounds the logs are audited from their first event.
const fullAudit = 50

// Run kills the system so many times under load, and returns the violations of
// the first round that has any.
func Run(ctx context.Context, o Options) (violations []string, err error) {
	if o.Settle == 0 {
		o.Settle = time.Minute
	}
	r := &rounds{Options: o, ledger: NewLedger(), people: &people{forgotten: map[int64]bool{}}}
	rnd := rand.New(rand.NewPCG(o.Seed, 0)) //nolint:gosec // repeatable on purpose
	address, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	defer r.killAll()
	for n := 1; n <= o.Rounds; n++ {
		under := 30*time.Millisecond + time.Duration(rnd.IntN(220))*time.Millisecond
		r.killUnderLoad(ctx, address, under, rnd.Uint64(), n)
		if address, err = r.start(ctx); err != nil {
			return nil, fmt.Errorf("round %d: %w", n, err)
		}
		violations, err = r.verify(ctx, address, n%fullAudit == 0 || n == o.Rounds)
		if err != nil || len(violations) > 0 {
			return violations, err
		}
		if o.Round != nil {
			o.Round(n, r.ledger.Sent())
		}
	}
	if o.Services != nil {
		return nil, o.Services.Stop()
	}
	return nil, o.Process.Stop()
}

// rounds is a run under way.
type rounds struct {
	Options
	ledger *Ledger
	people *people
	serial atomic.Int64
}

// start starts what is not running and returns the address of the gateway.
func (r *rounds) start(ctx context.Context) (string, error) {
	if r.Services != nil {
		return r.Services.Start(ctx)
	}
	return r.Process.Start(ctx)
}

// kill kills what a round kills.
func (r *rounds) kill(round int) {
	if r.Services != nil {
		r.Services.Kill(round)
		return
	}
	r.Process.Kill()
}

// killAll leaves nothing running.
func (r *rounds) killAll() {
	if r.Services != nil {
		r.Services.KillAll()
		return
	}
	r.Process.Kill()
}

// load returns a load on the gateway at an address, and how to end it.
func (r *rounds) load(address string) (*load, func()) {
	transport := client.Transport(workers)
	l := &load{
		ledger: r.ledger, people: r.people, serial: &r.serial,
		client: client.New("http://"+address, &http.Client{Transport: transport, Timeout: r.Settle}),
	}
	return l, transport.CloseIdleConnections
}

// killUnderLoad sends commands for so long, then kills the system while they are
// on their way.
func (r *rounds) killUnderLoad(ctx context.Context, address string, under time.Duration, seed uint64, round int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	load, done := r.load(address)
	defer done()
	var group sync.WaitGroup
	group.Go(func() { load.run(ctx, seed) })
	select {
	case <-time.After(under):
	case <-ctx.Done():
	}
	r.kill(round)
	cancel()
	group.Wait()
}

// verify settles what was left open and holds both logs against the ledger.
func (r *rounds) verify(ctx context.Context, address string, full bool) (violations []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Settle)
	defer cancel()
	load, done := r.load(address)
	defer done()
	if err := load.settle(ctx); err != nil {
		return nil, err
	}
	if err := load.forgotten(ctx); err != nil {
		return nil, err
	}
	if full {
		r.ledger.Restart()
	}
	for _, log := range []string{userLog, friendLog} {
		found, err := r.ledger.Audit(log, r.ReadLog(ctx, log, r.ledger.Position(log)))
		if err != nil {
			return nil, err
		}
		violations = append(violations, found...)
	}
	return violations, nil
}
