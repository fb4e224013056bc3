package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/internal/bench"
	"ensemble/internal/chaos"
)

// BenchmarkStart measures from starting the process on an empty folder to serving,
// and how much memory it then has.
func BenchmarkStart(b *testing.B) {
	binary := buildBinary(b, "")
	var resident int64
	for b.Loop() {
		p := &chaos.Process{Binary: binary, Data: filepath.Join(b.TempDir(), "data"), Dir: b.TempDir()}
		if _, err := p.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		resident = max(resident, residentBytes(p.PID()))
		b.StopTimer()
		p.Kill()
		b.StartTimer()
	}
	b.ReportMetric(float64(resident)/(1<<20), "MiB-resident")
}

// residentBytes returns how much memory a process has, 0 where that is not told.
func residentBytes(pid int) int64 {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// BenchmarkReopen measures opening a log with a million streams, after it was
// closed and after its heads are lost.
func BenchmarkReopen(b *testing.B) {
	const streams = 1_000_000
	path := filepath.Join(b.TempDir(), "user.db")
	if err := bench.FillStreams(b.Context(), path, streams); err != nil {
		b.Fatal(err)
	}
	for _, clean := range []bool{true, false} {
		name := map[bool]string{true: "closed", false: "heads-lost"}[clean]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := bench.Reopen(b.Context(), path, !clean); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVisible measures from the answer to an addFriend to its being in the
// graph.
func BenchmarkVisible(b *testing.B) {
	s, err := openSystem(b.Context(), filepath.Join(b.TempDir(), "data"), discardLog())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, nil, func(context.Context) error { return nil }) }()
	var worst time.Duration
	for b.Loop() {
		r, err := s.userStore.Append(ctx, eventstore.Write{
			Stream: eventstore.Stream{Category: "user"},
			Events: []eventstore.NewEvent{{Type: "UserErased", Number: eventstore.NextNumber, Data: []byte(`{}`)}},
		})
		if err != nil {
			b.Fatal(err)
		}
		answered := time.Now()
		if err := s.users.Wait(ctx, r.Position); err != nil {
			b.Fatal(err)
		}
		worst = max(worst, time.Since(answered))
	}
	b.ReportMetric(float64(worst.Microseconds()), "µs-worst-lag")
	cancel()
	if err := errors.Join(<-ended, s.close()); err != nil {
		b.Fatal(err)
	}
}
