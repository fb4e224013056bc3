// Command prometheus prints the targets that Prometheus' own discovery makes of the
// registry at its first argument, a label on each line.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/eureka"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	config := eureka.DefaultSDConfig
	config.Server = os.Args[1]
	config.RefreshInterval = model.Duration(time.Second)
	registry := prometheus.NewRegistry()
	refresh := discovery.NewRefreshMetrics(registry)
	if err := refresh.Register(); err != nil {
		panic(err)
	}
	d, err := config.NewDiscoverer(discovery.DiscovererOptions{
		Logger: slog.Default(), Metrics: config.NewDiscovererMetrics(registry, refresh),
	})
	if err != nil {
		panic(err)
	}
	groups := make(chan []*targetgroup.Group)
	go d.Run(ctx, groups)
	select {
	case list := <-groups:
		var lines []string
		for _, target := range list[0].Targets {
			for name, value := range target {
				lines = append(lines, fmt.Sprintf("%s=%s", name, value))
			}
		}
		slices.Sort(lines)
		for _, line := range lines {
			fmt.Println(line)
		}
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "no list within 20 s")
		os.Exit(1)
	}
}
