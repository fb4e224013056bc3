package api

import (
	"net/http"
	"strings"

	"ensemble/internal/telemetry"
	"ensemble/wire"
)

// metricNames answers with the metrics that can be asked for one by one, as Spring's
// actuator does.
func (s *Service) metricNames(r *request) error {
	names, err := s.config.Metrics.Names(s.config.Name)
	if err != nil {
		return err
	}
	return s.replyMetrics(r, metricsBody{Names: names})
}

// metric answers with one metric. A tag=name:value, which may come several times,
// narrows it; tags that nothing carries are a metric that is not there, as Spring has
// it.
func (s *Service) metric(r *request) error {
	var tags []telemetry.Tag
	for _, tag := range r.URL.Query()["tag"] {
		name, value, ok := strings.Cut(tag, ":")
		if !ok || name == "" {
			return failure{slug: wire.InvalidParameter, detail: "tag has to be name:value, for instance tag=status:200."}
		}
		tags = append(tags, telemetry.Tag{Name: name, Value: value})
	}
	reading, found, err := s.config.Metrics.Read(s.config.Name, r.pathParam, tags)
	switch {
	case err != nil:
		return err
	case !found:
		return failure{slug: wire.NotFound, detail: "There is no such metric, or nothing carries these tags. /actuator/metrics lists the names."}
	}
	return s.replyMetrics(r, reading)
}

// metricsBody is the list of metrics.
type metricsBody struct {
	Names []string `json:"names"`
}

// replyMetrics answers in the media type of Spring's actuator.
func (*Service) replyMetrics(r *request, body any) (err error) {
	if r.out, err = wire.AppendJSON(r.out, body); err != nil {
		return err
	}
	return r.reply(http.StatusOK, wire.HealthType, r.out)
}
