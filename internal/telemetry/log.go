package telemetry

import (
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// Format says how log lines are written.
type Format string

// The formats.
const (
	Auto Format = "auto" // coloured text on a terminal, JSON elsewhere
	JSON Format = "json"
	Text Format = "text" // text, coloured only on a terminal
)

// LogOptions configures a logger. The zero value is ready to use.
type LogOptions struct {
	Format Format     // "" means Auto
	Level  slog.Level // lines below it are dropped; the zero value is Info
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	onTerminal := IsTerminal(w)
	if o.Format == JSON || o.Format != Text && !onTerminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: o.Level}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: o.Level, NoColor: !onTerminal, TimeFormat: "15:04:05.000"}))
}

// IsTerminal says whether a person is looking at what is written to w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}
