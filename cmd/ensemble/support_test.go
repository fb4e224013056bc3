package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
)

// lockedBuffer gathers what a running system prints.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// String implements fmt.Stringer.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// discardLog is for what is not looked at.
func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// logTo returns a log of all that is important, into a buffer.
func logTo(b *lockedBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// dumpTable appends every row of a table.
func dumpTable(t *testing.T, b *strings.Builder, log *sqlite.Log, table string) {
	t.Helper()
	after := int64(0)
	for {
		rows, err := log.Select(t.Context(), eventstore.Select{Table: table, After: after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			after = row[0].Int()
			fmt.Fprintln(b, table, row)
		}
		if len(rows) < 1000 {
			return
		}
	}
}
