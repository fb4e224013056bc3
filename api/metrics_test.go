package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/internal/telemetry"
	"ensemble/wire"
)

// measuredSystem returns a system that was asked for three people, one of whom is
// not there.
func measuredSystem(t *testing.T) *apitest.System {
	t.Helper()
	s := apitest.Start(t, apitest.Options{Metrics: telemetry.NewMetrics()})
	people(t, s, 2)
	for id, status := range map[string]int{"1": http.StatusOK, "2": http.StatusOK, "3": http.StatusNotFound} {
		expect(t, s.Do("GET", "/user/v1/users/"+id, ""), status)
	}
	return s
}

func TestActuatorMetricsListsNamesAndTellsOneByOne(t *testing.T) {
	s := measuredSystem(t)
	w := apitest.Do(s.User, "GET", "/actuator/metrics", "")
	expect(t, w, http.StatusOK)
	if got := w.Header().Get("Content-Type"); got != wire.HealthType {
		t.Errorf("media type %s", got)
	}
	names := decode[struct{ Names []string }](t, w).Names
	for _, want := range []string{"http.server.requests", "process.uptime"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not in %v", want, names)
		}
	}
	for _, name := range names {
		r := decode[telemetry.Reading](t, apitest.Do(s.User, "GET", "/actuator/metrics/"+name, ""))
		if r.Name != name || r.AvailableTags == nil || r.Measurements == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestActuatorMetricIsNarrowedByTags(t *testing.T) {
	s := measuredSystem(t)
	for query, count := range map[string]float64{
		"?tag=method:GET&tag=uri:/v1/users/{id}":           3,
		"?tag=uri:/v1/users/{id}&tag=status:200":           2,
		"?tag=outcome:CLIENT_ERROR&tag=uri:/v1/users/{id}": 1,
		"?tag=uri:/v1/users&tag=method:POST":               2,
		"?tag=uri:%2Fv1%2Fusers%2F%7Bid%7D&tag=other&x=1":  -1, // no value
		"?tag=:200":               -1,
		"?tag=status:200:300":     0,
		"?tag=status:500":         0,
		"?tag=application:nobody": 0,
	} {
		w := apitest.Do(s.User, "GET", "/actuator/metrics/http.server.requests"+query, "")
		switch count {
		case -1:
			problem(t, w, http.StatusBadRequest, wire.InvalidParameter)
		case 0:
			problem(t, w, http.StatusNotFound, wire.NotFound)
		default:
			expect(t, w, http.StatusOK)
			r := decode[telemetry.Reading](t, w)
			if r.Measurements[0] != (telemetry.Measurement{Statistic: "COUNT", Value: count}) {
				t.Errorf("%s: %+v", query, r.Measurements)
			}
		}
	}
	problem(t, apitest.Do(s.User, "GET", "/actuator/metrics/jvm.memory.used", ""), http.StatusNotFound, wire.NotFound)
}

func TestActuatorMetricsAreOfOneServiceAndNotOfItsNeighbours(t *testing.T) {
	s := measuredSystem(t)
	problem(t, apitest.Do(s.Friend, "GET", "/actuator/metrics/http.server.requests?tag=uri:/v1/users/{id}", ""),
		http.StatusNotFound, wire.NotFound)
	r := decode[telemetry.Reading](t, apitest.Do(s.User, "GET", "/actuator/metrics/http.server.requests", ""))
	for _, tag := range r.AvailableTags {
		if tag.Tag == "application" && !slices.Equal(tag.Values, []string{"user-service"}) {
			t.Errorf("applications %v", tag.Values)
		}
	}
}

func TestActuatorPrometheusHasBothFamiliesAndNothingInvented(t *testing.T) {
	s := measuredSystem(t)
	text := apitest.Do(s.User, "GET", "/actuator/prometheus", "").Body.String()
	for _, want := range []string{
		`http_server_request_duration_seconds_count{application="user-service",http_request_method="GET",http_response_status_code="200",http_route="/v1/users/{id}"} 2`,
		`http_server_requests_seconds_count{application="user-service",environment="development",exception="None",method="GET",` +
			`outcome="CLIENT_ERROR",status="404",uri="/v1/users/{id}"} 1`,
		`process_uptime_seconds{application="user-service",environment="development"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "jvm_") {
		t.Error("there is no Java machine to be measured")
	}
}

func TestOtherActuatorsAre404EverywhereAndMetricsThroughTheGatewayToo(t *testing.T) {
	s := measuredSystem(t)
	others := []string{"env", "heapdump", "shutdown", "gateway", "loggers", "beans", "threaddump", ""}
	for _, name := range others {
		for _, method := range []string{"GET", "POST"} {
			problem(t, apitest.Do(s.User, method, "/actuator/"+name, ""), http.StatusNotFound, wire.NotFound)
		}
	}
	for _, path := range append(others, "metrics", "metrics/http.server.requests", "prometheus") {
		problem(t, s.Do("GET", "/user/actuator/"+path, ""), http.StatusNotFound, wire.NotFound)
		problem(t, s.Do("GET", "/actuator/"+path, ""), http.StatusNotFound, wire.NotFound)
	}
	for _, path := range []string{"health", "info"} {
		expect(t, s.Do("GET", "/user/actuator/"+path, ""), http.StatusOK)
	}
}
