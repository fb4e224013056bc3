package main

import (
	"fmt"
	"io"
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

func newProgress(out io.Writer, title string) *progress {
	return &progress{out: out, title: title}
}

// set moves the bar, which appears with the first call.
func (p *progress) set(done, total eventstore.Position) { p.move(int64(done), int64(total)) }

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
	_ = p.bar.Set64(done) // a bar that can't be drawn is no reason to stop
}

// finish takes the bar away.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
		_, _ = fmt.Fprintln(p.out)
	}
}
