package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ensemble/api"
	"ensemble/eventstore"
	"ensemble/internal/telemetry"
	"ensemble/projection"
	"ensemble/wire"
)

// measureLog registers what is measured of a log, and returns the hook for its
// commits.
func measureLog(m *telemetry.Metrics, l namedLog) func(events int, took time.Duration) {
	labels := prometheus.Labels{"log": l.name}
	commits := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ensemble_commit_duration_seconds", ConstLabels: labels,
		Help:    "Duration of commits, from the batch to the disk.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1},
	})
	batches := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ensemble_commit_events", ConstLabels: labels,
		Help:    "Events in a commit.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	})
	wal := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ensemble_wal_bytes", ConstLabels: labels, Help: "Size of the write-ahead log.",
	}, func() float64 { return float64(l.log.WALSize()) })
	m.Registry().MustRegister(commits, batches, wal)
	return func(events int, took time.Duration) {
		commits.Observe(took.Seconds())
		batches.Observe(float64(events))
	}
}

// measureProjection registers how far a projection is behind its log.
func measureProjection(m *telemetry.Metrics, name string, p *projection.Runner, store *eventstore.Store) {
	m.Registry().MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ensemble_projection_lag_events", ConstLabels: prometheus.Labels{"projection": name},
		Help: "Events that are in the log and not yet in the projection.",
	}, func() float64 { return float64(store.Position() - p.Position()) }))
}

// measureStreams registers how many clients follow a log live.
func measureStreams(m *telemetry.Metrics, log string, service *api.Service) {
	m.Registry().MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ensemble_stream_clients", ConstLabels: prometheus.Labels{"log": log},
		Help: "Clients that follow the log live.",
	}, func() float64 { return float64(service.Streams()) }))
}

// measureRefusals registers how many requests the guard has refused, and returns
// the hook that counts them.
func measureRefusals(m *telemetry.Metrics) func(wire.Slug) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ensemble_refused_requests_total",
		Help: "Requests that were refused before any route saw them, by the kind of problem.",
	}, []string{"problem"})
	m.Registry().MustRegister(refused)
	return func(kind wire.Slug) { refused.WithLabelValues(string(kind)).Inc() }
}
