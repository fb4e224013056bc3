// Package telemetry is how an operator sees what the product does: logs, metrics
// and health.
//
// It guarantees that
//
//   - a log line is JSON unless a person is looking at a terminal, and never holds
//     a name or a secret,
//   - measuring a request costs no allocation,
//   - liveness depends on the process alone, readiness on every named check.
//
// A program makes one logger, one [Metrics] and one [Health] a service:
//
//	log := telemetry.NewLogger(os.Stderr, telemetry.LogOptions{})
//	metrics := telemetry.NewMetrics()
//	mux.Handle("GET /metrics", metrics.Handler())
//	mux.Handle("GET /v1/users/{id}", metrics.Instrument("user-service", "/v1/users/{id}", handler))
package telemetry
