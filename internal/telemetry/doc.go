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
// # Names of metrics
//
// Requests are measured under the names of OpenTelemetry's semantic conventions for
// HTTP servers; what is ours begins with ensemble_. A label never holds what a
// client has made up: routes are patterns, unknown methods are one value.
//
// # Ready and alive
//
// Alive means that restarting would not help; ready means that a request can be
// answered. A service that is stopping is alive and not ready, so that nobody sends
// it more, while it answers what it has begun.
//
// A program makes one logger, one [Metrics] and one [Health] a service:
//
//	log := telemetry.NewLogger(os.Stderr, telemetry.LogOptions{})
//	metrics := telemetry.NewMetrics()
//	mux.Handle("GET /metrics", metrics.Handler())
//	mux.Handle("GET /v1/users/{id}", metrics.Instrument("user-service", "/v1/users/{id}", handler))
package telemetry
