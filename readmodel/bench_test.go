package readmodel_test

import (
	"path/filepath"
	"testing"

	"ensemble/eventstore"
	"ensemble/internal/bench"
)

// BenchmarkCommit measures commits of 256 clients, with ever more of the read
// model in them, against one commit for each command.
func BenchmarkCommit(b *testing.B) {
	for views, indexes := range map[string]bool{"primary-keys": false, "friends-by-person": true} {
		for how, alone := range map[string]bool{"group": false, "commit-per-command": true} {
			b.Run(views+"/"+how, func(b *testing.B) {
				filled, err := bench.Fill{
					Views: []eventstore.View{bench.NewViews(indexes)}, Clients: 256, N: b.N, Alone: alone, Command: bench.Domain,
				}.Into(b.Context(), filepath.Join(b.TempDir(), "bench.db"))
				if err != nil {
					b.Fatal(err)
				}
				n := float64(b.N)
				b.ReportMetric(n/filled.Took.Seconds(), "commands/s")
				b.ReportMetric(float64(filled.Commits)/n, "flushes/event")
				b.ReportMetric(float64(filled.Bytes)/n, "bytes/event")
			})
		}
	}
}
