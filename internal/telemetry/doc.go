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
// # Two families of names
//
// Dashboards made for a Spring system ask for http_server_requests_seconds and for
// process_uptime_seconds and its kin. Both families are one measurement:
//
//	request ──► histogram ──┬──► http_server_request_duration_seconds (OpenTelemetry)
//	       └──► longest ────┴──► http_server_requests_seconds, _max   (Spring)
//
// The second family is made when somebody scrapes, from the histograms that are there
// anyway. Only the longest request is measured besides, because a histogram does not
// know it; it is that of this minute and the last, so that one bad request is not shown
// for ever.
//
// What describes the process carries the labels application and environment, as in a
// Spring system. Several services may share one process: each then says of itself what
// is true of the process, on its own port. What can't be known on a platform is left
// out, and nothing pretends to be a Java machine.
//
// # Three ways to the numbers
//
// [Metrics.Handler] is for a Prometheus that comes here, and shows the whole process.
// [Metrics.Read] is for a person with curl: one metric of one service, narrowed by tags,
// in the form of Spring's actuator. [Metrics.Push] is for networks in which nobody can
// come here; it never holds anything up, and a gateway that fails is a line in the log
// when it begins to fail and one when it works again, not one each minute.
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
