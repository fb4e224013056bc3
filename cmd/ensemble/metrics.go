package main

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ensemble/api"
	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/internal/telemetry"
	"ensemble/projection"
	"ensemble/wire"
)

// durations are the buckets of what ends with a sync of the disk.
func durations() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1}
}

// measureLog registers what is measured of a log, and returns the options that have
// its commits and writes measured.
func measureLog(m *telemetry.Metrics, l ownLog) eventstore.Options {
	labels := prometheus.Labels{"log": l.name}
	commits := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ensemble_commit_duration_seconds", ConstLabels: labels,
		Help: "Duration of commits, from the batch to the disk.", Buckets: durations(),
	})
	appends := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ensemble_append_duration_seconds", ConstLabels: labels,
		Help: "Duration of writes, from being queued to the disk.", Buckets: durations(),
	})
	batches := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ensemble_commit_events", ConstLabels: labels,
		Help:    "Events in a commit.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	})
	m.Registry().MustRegister(commits, appends, batches)
	if l.walSize != nil {
		m.Registry().MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ensemble_wal_bytes", ConstLabels: labels, Help: "Size of the write-ahead log.",
		}, func() float64 { return float64(l.walSize()) }))
	}
	return eventstore.Options{
		OnCommit: func(events int, took time.Duration) {
			commits.Observe(took.Seconds())
			batches.Observe(float64(events))
		},
		OnAppend: func(took time.Duration) { appends.Observe(took.Seconds()) },
	}
}

// measureProjection registers how far a projection is behind its log.
func measureProjection(m *telemetry.Metrics, name string, p *projection.Runner, store *eventstore.Store) {
	labels := prometheus.Labels{"projection": name}
	m.Registry().MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ensemble_projection_lag_events", ConstLabels: labels,
			Help: "Events that are in the log and not yet in the projection.",
		}, func() float64 {
			at := p.Position() // first: the log may move in between
			return float64(store.Position() - at)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ensemble_projection_lag_seconds", ConstLabels: labels,
			Help: "Age of the oldest event that is not yet in the projection; 0 when there is none.",
		}, func() float64 { return lagSeconds(p.Position(), store, time.Now()) }))
}

// measureRelay registers how far a topic is behind its log.
func measureRelay(m *telemetry.Metrics, topic string, r *broker.Relay) {
	labels := prometheus.Labels{"topic": topic}
	m.Registry().MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ensemble_relay_lag_events", ConstLabels: labels, Help: "Events that are in the log and not yet in its topic.",
		}, func() float64 {
			status := r.Status()
			return float64(status.Behind())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ensemble_relay_lag_seconds", ConstLabels: labels, Help: "How long ago the topic last had everything; 0 while it has.",
		}, func() float64 { return r.Status().Waiting.Seconds() }))
}

// measureGenerations registers how far the graph that answers is behind the feeds that it
// follows. A service that is away makes it unknown.
func measureGenerations(m *telemetry.Metrics, g *generations) {
	for i, name := range []string{"users", "friends"} {
		measured := func(of func(behind, seconds float64) float64) func() float64 {
			return func() float64 { return of(g.lag(i)) }
		}
		labels := prometheus.Labels{"projection": name}
		m.Registry().MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "ensemble_projection_lag_events", ConstLabels: labels,
				Help: "Events that are in the log and not yet in the projection.",
			}, measured(func(behind, _ float64) float64 { return behind })),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "ensemble_projection_lag_seconds", ConstLabels: labels,
				Help: "Age of the oldest event that is not yet in the projection; 0 when there is none.",
			}, measured(func(_, seconds float64) float64 { return seconds })))
	}
}

// lag returns how many events the graph is behind one of its logs, and for how long.
func (g *generations) lag(log int) (events, seconds float64) {
	one := g.current()
	if one == nil {
		return math.NaN(), math.NaN()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	d, err := one.logs[log].afar(ctx)
	switch {
	case err != nil:
		return math.NaN(), math.NaN()
	case d.Head <= d.Position:
		return 0, 0
	case d.Missing.IsZero():
		return float64(d.Head - d.Position), math.NaN()
	}
	return float64(d.Head - d.Position), max(0, time.Since(d.Missing).Seconds())
}

// lagSeconds returns how long ago the first event after a position was recorded.
func lagSeconds(at eventstore.Position, store *eventstore.Store, now time.Time) float64 {
	if at >= store.Position() {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	missing, err := store.ReadAll(ctx, at, 1)
	if err != nil || len(missing) == 0 {
		return math.NaN() // unknown, which 0 would hide
	}
	return max(0, now.Sub(missing[0].Time).Seconds())
}

// measureSnapshots registers how much the next start would have to read, and what saving
// the graph takes.
func measureSnapshots(m *telemetry.Metrics, s *snapshots) {
	m.Registry().MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ensemble_snapshot_lag_events", Help: "Events that came since the newest snapshot of the graph.",
		}, func() float64 { return float64(s.behind()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ensemble_snapshot_duration_seconds", Help: "Duration of the last writing of a snapshot of the graph; 0 before the first.",
		}, func() float64 { return time.Duration(s.wrote.Load()).Seconds() }))
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
