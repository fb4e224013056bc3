package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"ensemble/internal/loadgen"
	"ensemble/internal/telemetry"
)

// liveLine shows how an open load goes: one line that is written over, on a
// terminal; nothing elsewhere.
type liveLine struct {
	out   io.Writer
	width int // of what stands there
}

// show writes the line anew.
func (l *liveLine) show(p loadgen.OpenProgress) {
	if telemetry.IsTerminal(l.out) {
		l.write(liveText(p))
	}
}

// liveText says how far a load is, what the target does, and what worries.
func liveText(p loadgen.OpenProgress) string {
	text := fmt.Sprintf("%v of %v  %.0f/s  %d under way  p50 %v  p99 %v  max %v", p.At.Round(time.Second), p.Of.Round(time.Second),
		p.Rate, p.InFlight, p.P50, p.P99, p.Worst)
	if p.Held > 0 {
		text += fmt.Sprintf("  %d held", p.Held)
	}
	if p.Errors > 0 {
		text += fmt.Sprintf("  %d ERRORS", p.Errors)
	}
	return text
}

// write replaces what stands in the line.
func (l *liveLine) write(text string) {
	blank := strings.Repeat(" ", max(0, l.width-len(text)))
	l.width = len(text)
	_, _ = fmt.Fprint(l.out, "\r"+text+blank) // a line that can't be drawn is no reason to stop
}

// clear takes the line away.
func (l *liveLine) clear() {
	if l.width > 0 {
		l.write("")
		_, _ = fmt.Fprint(l.out, "\r")
	}
}
