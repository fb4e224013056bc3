package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"ensemble/client"
	"ensemble/internal/loadgen"
)

// The demonstration's state in the data folder. A folder with neither file and
// with people in it is somebody's own.
const (
	demoLoading = "demo.loading"
	demoLoaded  = "demo.loaded"
)

// loadDemo loads the demonstration through the gateway's handler, like any client,
// unless that was done before. An interrupted one goes on where it ended.
func (s *system) loadDemo(ctx context.Context, data string, con *console) error {
	if exists(filepath.Join(data, demoLoaded)) {
		return nil
	}
	loading := filepath.Join(data, demoLoading)
	if err := s.checkDemo(ctx, data, loading); err != nil {
		return err
	}
	if err := os.WriteFile(loading, nil, 0o600); err != nil {
		return fmt.Errorf("load the demonstration: %w", err)
	}
	graph, err := loadgen.Demo()
	if err != nil {
		return err
	}
	bars := newBars(con)
	defer bars.finish()
	report, err := loadgen.Run(ctx, loadgen.Options{
		Client:   client.New("http://gateway", &http.Client{Transport: loadgen.InProcess{Handler: s.handlers["edge"]}}),
		Workers:  256,
		Graph:    graph,
		Keys:     loadgen.DemoKeys,
		Progress: bars.move,
	})
	if err != nil {
		return fmt.Errorf("load the demonstration: %w", err)
	}
	bars.finish()
	for _, p := range report.Phases {
		s.logger.Info("demonstration loaded", "what", p.Name, "count", p.Done, "took", p.Took.String())
	}
	if err := os.Rename(loading, filepath.Join(data, demoLoaded)); err != nil {
		return fmt.Errorf("load the demonstration: %w", err)
	}
	return s.caughtUp(ctx)
}

// checkDemo refuses to mix the demonstration with somebody's own people.
func (s *system) checkDemo(ctx context.Context, data, loading string) error {
	head, err := s.userStore.Head(ctx)
	if err != nil {
		return err
	}
	if head.Position > 0 && !exists(loading) {
		return fmt.Errorf("%s has people of its own, --demo would mix with them; leave --demo out, or choose an empty folder with --data", data)
	}
	return nil
}

// exists says whether there is something at a path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
