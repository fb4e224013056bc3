package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// healthcheckCmd asks a running system whether it is up.
type healthcheckCmd struct {
	Target string        `default:"http://127.0.0.1:9000" help:"Base address of the gateway or of one service."`
	Wait   time.Duration `default:"0s" help:"Go on asking for so long, for instance 30s."`
}

// askEvery is how often a waiting healthcheck asks.
const askEvery = 200 * time.Millisecond

// Run returns nil once the target says UP.
func (c *healthcheckCmd) Run(ctx context.Context, con *console) error {
	ctx, cancel := context.WithTimeout(ctx, max(c.Wait, 5*time.Second))
	defer cancel()
	url := strings.TrimSuffix(c.Target, "/") + "/actuator/health"
	deadline := time.Now().Add(c.Wait)
	for {
		err := askHealth(ctx, url)
		if err == nil {
			_, err = fmt.Fprintln(con.out, "UP")
			return err
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("%s is not up: %w", c.Target, err)
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return fmt.Errorf("%s is not up: %w", c.Target, err)
		}
	}
}

// askHealth returns nil if the health route says UP.
func askHealth(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var health struct {
		Status string `json:"status"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&health); err != nil {
		return fmt.Errorf("%s answered %s without a health: %w", url, resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK || health.Status != "UP" {
		return fmt.Errorf("%s answered %s, status %s", url, resp.Status, health.Status)
	}
	return nil
}
