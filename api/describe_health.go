package api

import (
	"net/http"

	"ensemble/internal/telemetry"
	"ensemble/wire"
)

// Info is what /actuator/info says.
type infoBody struct {
	Build struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"build"`
}

// groupBody is the health of a group.
type groupBody struct {
	Status string `json:"status" enum:"UP,DOWN"`
}

// describeHealth says what the routes about the service itself do.
func describeHealth() map[string]operation {
	health := func(summary string, body any) operation {
		return operation{tag: tagOperating, shared: true, summary: summary, answers: []answer{
			{status: http.StatusOK, text: "UP", body: body, media: []string{wire.HealthType}},
			{status: http.StatusServiceUnavailable, text: "DOWN", body: body, media: []string{wire.HealthType}},
		}}
	}
	probe := func(summary string, params ...string) operation {
		return operation{tag: tagOperating, shared: true, summary: summary, params: params, answers: []answer{
			{status: http.StatusOK, text: "Yes.", body: "", media: []string{"text/plain"}},
			{status: http.StatusServiceUnavailable, text: "No.", body: "", media: []string{"text/plain"}},
		}}
	}
	metrics := operation{tag: tagOperating, shared: true, summary: "Metrics for Prometheus", answers: []answer{
		{status: http.StatusOK, text: "Metrics.", body: "", media: []string{"text/plain"}},
	}}
	return map[string]operation{
		"health":    health("Is everything up?", wire.Health{}),
		"liveness":  health("Is the process alive?", groupBody{}),
		"readiness": health("Should requests be sent here?", groupBody{}),
		"info": {tag: tagOperating, shared: true, summary: "Which build is this?", answers: []answer{
			{status: http.StatusOK, text: "The build.", body: infoBody{}, media: []string{wire.HealthType}},
		}},
		"livez":      probe("Is the process alive?"),
		"readyz":     probe("Should requests be sent here?", "verbose"),
		"healthz":    probe("Should requests be sent here?", "verbose"),
		"metrics":    metrics,
		"prometheus": metrics,
		"metricNames": {tag: tagOperating, shared: true, summary: "Which metrics are there?", answers: []answer{
			{status: http.StatusOK, text: "Their names.", body: metricsBody{}, media: []string{wire.HealthType}},
		}},
		"metric": {
			tag: tagOperating, shared: true, summary: "What does one metric say?", params: []string{"metric", "tag"},
			answers: []answer{
				{status: http.StatusOK, text: "What it says.", body: telemetry.Reading{}, media: []string{wire.HealthType}},
			},
			problems: []wire.Slug{wire.InvalidParameter, wire.NotFound},
		},
	}
}
