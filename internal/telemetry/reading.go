package telemetry

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Tag narrows a reading to what carries it.
type Tag struct{ Name, Value string }

// Reading is what one metric says, in the form of Spring's actuator.
type Reading struct {
	Name          string        `json:"name"`
	Description   string        `json:"description"`
	BaseUnit      string        `json:"baseUnit,omitempty"`
	Measurements  []Measurement `json:"measurements"`
	AvailableTags []Values      `json:"availableTags"`
}

// Measurement is one number of a metric: COUNT, TOTAL, TOTAL_TIME, MAX or VALUE.
type Measurement struct {
	Statistic string  `json:"statistic"`
	Value     float64 `json:"value"`
}

// Values are the values that a tag has, by which a reading can be narrowed.
type Values struct {
	Tag    string   `json:"tag"`
	Values []string `json:"values"`
}

// springNames are the metrics that Spring has too, by the names that Prometheus gives
// them.
func springNames() map[string]string {
	return map[string]string{
		"http_server_requests_seconds": "http.server.requests",
		"process_uptime_seconds":       "process.uptime",
		"process_start_time_seconds":   "process.start.time",
		"process_cpu_usage":            "process.cpu.usage",
		"system_cpu_usage":             "system.cpu.usage",
		"system_cpu_count":             "system.cpu.count",
		"system_load_average_1m":       "system.load.average.1m",
	}
}

// requestsMax is the maximum that belongs to http.server.requests.
const requestsMax = "http_server_requests_seconds_max"

// gather returns what is measured by the names that Spring has for it, or
// Prometheus' where it has none. What carries the label of another application is not
// among it.
func (m *Metrics) gather(application string) (map[string][]*dto.MetricFamily, error) {
	families, err := m.gatherer(application).Gather()
	if err != nil {
		return nil, fmt.Errorf("gather the metrics: %w", err)
	}
	names, found := springNames(), map[string][]*dto.MetricFamily{}
	for _, f := range families {
		f.Metric = slices.DeleteFunc(f.Metric, func(one *dto.Metric) bool {
			other := labelOf(one, "application")
			return other != "" && other != application
		})
		name := f.GetName()
		if name == requestsMax {
			name = "http_server_requests_seconds"
		}
		if spring, ok := names[name]; ok {
			name = spring
		}
		if len(f.Metric) > 0 {
			found[name] = append(found[name], f)
		}
	}
	return found, nil
}

// What Spring has too is asked for by Spring's name, with dots; everything else by the
// name that Prometheus gives it. So a client written for Spring's actuator finds what it
// knows, and nothing has two names in one list.

// Names lists the metrics that an application can be asked for.
func (m *Metrics) Names(application string) ([]string, error) {
	found, err := m.gather(application)
	return slices.Sorted(maps.Keys(found)), err
}

// Read returns what one metric says of an application, with the values of everything
// that carries all the tags put together. found is false if there is no such metric,
// or nothing carries the tags.
func (m *Metrics) Read(application, name string, tags []Tag) (r Reading, found bool, err error) {
	all, err := m.gather(application)
	if err != nil {
		return r, false, err
	}
	r = Reading{Name: name, Measurements: []Measurement{}, AvailableTags: []Values{}}
	values := map[string]map[string]bool{}
	for _, f := range all[name] {
		if r.Description == "" {
			r.Description, r.BaseUnit = f.GetHelp(), unitOf(f.GetName())
		}
		for _, one := range f.GetMetric() {
			if !carries(one, tags) {
				continue
			}
			found = true
			r.add(f, one)
			for _, label := range one.GetLabel() {
				if values[label.GetName()] == nil {
					values[label.GetName()] = map[string]bool{}
				}
				values[label.GetName()][label.GetValue()] = true
			}
		}
	}
	for _, tag := range tags { // chosen already
		delete(values, tag.Name)
	}
	for _, tag := range slices.Sorted(maps.Keys(values)) {
		r.AvailableTags = append(r.AvailableTags, Values{tag, slices.Sorted(maps.Keys(values[tag]))})
	}
	return r, found, nil
}

// add puts the numbers of one series to those of the others: the greatest of maxima,
// the sum of all else.
func (r *Reading) add(f *dto.MetricFamily, one *dto.Metric) {
	total := "TOTAL"
	if unitOf(f.GetName()) == "seconds" {
		total = "TOTAL_TIME"
	}
	switch f.GetType() {
	case dto.MetricType_HISTOGRAM:
		r.put("COUNT", float64(one.GetHistogram().GetSampleCount()))
		r.put(total, one.GetHistogram().GetSampleSum())
	case dto.MetricType_SUMMARY:
		r.put("COUNT", float64(one.GetSummary().GetSampleCount()))
		r.put(total, one.GetSummary().GetSampleSum())
	case dto.MetricType_COUNTER:
		r.put("COUNT", one.GetCounter().GetValue())
	default:
		statistic := "VALUE"
		if f.GetName() == requestsMax {
			statistic = "MAX"
		}
		r.put(statistic, one.GetGauge().GetValue()+one.GetUntyped().GetValue())
	}
}

// put adds to a statistic. What is no number, JSON can't say.
func (r *Reading) put(statistic string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	for i := range r.Measurements {
		m := &r.Measurements[i]
		switch {
		case m.Statistic != statistic:
		case statistic == "MAX":
			m.Value = max(m.Value, value)
			return
		default:
			m.Value += value
			return
		}
	}
	r.Measurements = append(r.Measurements, Measurement{statistic, value})
}

// carries says whether a series has all the tags.
func carries(one *dto.Metric, tags []Tag) bool {
	for _, tag := range tags {
		if !slices.ContainsFunc(one.GetLabel(), func(l *dto.LabelPair) bool {
			return l.GetName() == tag.Name && l.GetValue() == tag.Value
		}) {
			return false
		}
	}
	return true
}

// labelOf returns the value of a label, "" if there is none.
func labelOf(one *dto.Metric, name string) string {
	for _, l := range one.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// unitOf returns the unit that the name of a metric ends in.
func unitOf(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(name, "_total"), "_max")
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}
