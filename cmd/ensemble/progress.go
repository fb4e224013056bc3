package main

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"ensemble/eventstore"
	"ensemble/internal/telemetry"
)

// progress shows a person how far long work is: a bar on a terminal, nothing
// elsewhere.
type progress struct {
	out   io.Writer
	title string
	bar   *progressbar.ProgressBar
}

// newProgress returns a bar that is not shown yet.
func newProgress(out io.Writer, title string) *progress {
	return &progress{out: out, title: title}
}

// set moves the bar, which appears with the first call.
func (p *progress) set(done, total eventstore.Position) { p.move(int64(done), int64(total)) }

// move moves the bar, if somebody is looking.
func (p *progress) move(done, total int64) {
	if !telemetry.IsTerminal(p.out) {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetDescription(p.title),
			progressbar.OptionShowCount(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
		)
	}
	p.bar.ChangeMax64(total) // a log may grow meanwhile
	_ = p.bar.Set64(done)    // a bar that can't be drawn is no reason to stop
}

// finish takes the bar away.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
	p.bar = nil
}

// bars shows the phases of a load, one bar after the other.
type bars struct {
	mu      sync.Mutex
	out     io.Writer
	current *progress
}

// newBars returns bars of which none is shown yet.
func newBars(con *console) *bars { return &bars{out: con.err, current: newProgress(con.err, "")} }

// move is called from many goroutines, whose news may overtake each other.
func (b *bars) move(phase string, done, total int) {
	if done%64 != 0 && done != total {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current.title != phase {
		b.current.finish()
		b.current = newProgress(b.out, phase)
	}
	b.current.move(int64(done), int64(total))
}

// finish takes the last bar away.
func (b *bars) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current.finish()
}
