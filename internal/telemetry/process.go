package telemetry

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// procFolder is where Linux says what the machine does. Elsewhere it is missing, and
// so are the metrics made from it: none is made up.
const procFolder = "/proc"

// process measures the process and its machine under the names that the dashboards
// of a Spring system ask for. Nothing of a Java machine is among them.
type process struct {
	proc  string
	usual prometheus.Collector // of the process, by Prometheus' names
	begun time.Time

	mu           sync.Mutex
	sampled      time.Time // when the shares were measured
	cpu          float64   // seconds of CPU of this process by then
	machine      ticks
	shares       map[string]float64 // by the name of the metric; one that can't be known is missing
	uptime, cpus *prometheus.Desc
	ratios       map[string]*prometheus.Desc
}

// A share is measured from one look to the next. Several scrapers that come in turns
// therefore shorten each other's spans, but never below leastSpan: within it they are
// all told the same. The first look of all measures from the start of the process,
// and from that of the machine.

// ticks is how long the processors of the machine have worked, and been there.
type ticks struct{ busy, all float64 }

// newProcess returns what measures the process.
func newProcess(proc string) []prometheus.Collector {
	usual := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	p := &process{
		proc: proc, usual: usual, begun: time.Now(),
		uptime: prometheus.NewDesc("process_uptime_seconds", "How long the process has run.", nil, nil),
		cpus:   prometheus.NewDesc("system_cpu_count", "Processors that the process may use.", nil, nil),
		ratios: map[string]*prometheus.Desc{},
	}
	for name, help := range map[string]string{
		"process_cpu_usage":      "Share of the processors that the process used since the last look, 0 to 1.",
		"system_cpu_usage":       "Share of the machine's processors that was in use since the last look, 0 to 1.",
		"system_load_average_1m": "Processes that ran or wanted to, on average over a minute.",
	} {
		p.ratios[name] = prometheus.NewDesc(name, help, nil, nil)
	}
	if start, ok := valueOf(usual, "process_start_time_seconds"); ok {
		p.begun = time.UnixMicro(int64(start * 1e6))
	}
	p.sample(time.Now())
	return []prometheus.Collector{usual, p}
}

// Describe implements prometheus.Collector.
func (p *process) Describe(to chan<- *prometheus.Desc) {
	to <- p.uptime
	to <- p.cpus
	for _, d := range p.ratios {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (p *process) Collect(to chan<- prometheus.Metric) {
	now := time.Now()
	to <- prometheus.MustNewConstMetric(p.uptime, prometheus.GaugeValue, now.Sub(p.begun).Seconds())
	to <- prometheus.MustNewConstMetric(p.cpus, prometheus.GaugeValue, float64(runtime.GOMAXPROCS(0)))
	for name, value := range p.sample(now) {
		to <- prometheus.MustNewConstMetric(p.ratios[name], prometheus.GaugeValue, value)
	}
}

// leastSpan is the shortest time that a share is measured over: a shorter one would
// show what the look itself costs.
const leastSpan = time.Second

// sample returns the shares since the last look. It may be called by several scrapers
// at once; one of them looks, and the others get what it has seen.
func (p *process) sample(now time.Time) map[string]float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	span := now.Sub(p.sampled)
	if span < leastSpan {
		return p.shares
	}
	shares := map[string]float64{}
	if cpu, ok := valueOf(p.usual, "process_cpu_seconds_total"); ok {
		shares["process_cpu_usage"] = share(cpu-p.cpu, span.Seconds()*float64(runtime.GOMAXPROCS(0)))
		p.cpu = cpu
	}
	if machine, ok := readTicks(filepath.Join(p.proc, "stat")); ok {
		shares["system_cpu_usage"] = share(machine.busy-p.machine.busy, machine.all-p.machine.all)
		p.machine = machine
	}
	if load, ok := readLoad(filepath.Join(p.proc, "loadavg")); ok {
		shares["system_load_average_1m"] = load
	}
	p.sampled, p.shares = now, shares
	return shares
}

// share returns a part of a whole, 0 to 1.
func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(max(part/whole, 0), 1)
}

// readTicks reads the first line of /proc/stat: user, nice, system, idle, waiting for
// a disk, interrupts and so on (proc_stat(5)).
func readTicks(path string) (t ticks, ok bool) {
	text, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if err != nil {
		return t, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 || fields[0] != "cpu" {
		return t, false
	}
	for i, field := range fields[1:min(len(fields), 9)] { // guests are counted as users already
		var n float64
		if _, err := fmt.Sscan(field, &n); err != nil {
			return t, false
		}
		t.all += n
		if i != 3 && i != 4 {
			t.busy += n
		}
	}
	return t, true
}

// readLoad reads the first number of /proc/loadavg.
func readLoad(path string) (load float64, ok bool) {
	text, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscan(string(text), &load)
	return load, err == nil
}

// valueOf returns the value that a collector has for a name without labels.
func valueOf(c prometheus.Collector, name string) (value float64, ok bool) {
	found := make(chan prometheus.Metric, 64)
	c.Collect(found) // a dozen at most
	close(found)
	for metric := range found {
		var m dto.Metric
		if !strings.Contains(metric.Desc().String(), `"`+name+`"`) || metric.Write(&m) != nil {
			continue
		}
		return m.GetGauge().GetValue() + m.GetCounter().GetValue(), true
	}
	return 0, false
}
