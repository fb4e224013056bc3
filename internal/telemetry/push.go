package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/push"
)

// PushConfig says where metrics are sent to.
type PushConfig struct {
	URL         string        // of a Prometheus Pushgateway
	Application string        // the job, and the label of the process
	Every       time.Duration // 0 means a minute
	Log         *slog.Logger
}

// pushTimeout is how long one push may take.
const pushTimeout = 10 * time.Second

// A push replaces what was pushed before under the same job (PUT, as the Pushgateway
// describes it), so that what this process has stopped to measure does not stay there
// for ever. Two processes that push under one name replace each other's numbers: give
// each gateway one of them, or let Prometheus come instead, which is better wherever it
// is possible.
//
// The first push is at once, so that a wrong address is in the log at the start and not
// a minute later. None is made at the end: stopping does not wait for a gateway, and the
// numbers of the last minute are worth less than a quick stop.

// Push sends the metrics now and again until the context ends, for networks in which
// Prometheus can't reach the process. It keeps nothing for later: what could not be
// sent is in the next push. That pushing fails is logged once, and once that it works
// again.
func (m *Metrics) Push(ctx context.Context, c PushConfig) {
	if c.Every == 0 {
		c.Every = time.Minute
	}
	client := &http.Client{Timeout: pushTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
	defer client.CloseIdleConnections()
	address, secret := withoutSecret(c.URL)
	pusher := push.New(address, c.Application).Gatherer(m.gatherer(c.Application)).Client(client)
	if secret != nil {
		password, _ := secret.Password()
		pusher = pusher.BasicAuth(secret.Username(), password)
	}
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	failing := false
	for {
		err := pusher.PushContext(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			c.Log.Warn("metrics can't be pushed; trying again each time, and saying so once it works", "url", address, "error", err)
		case err == nil && failing:
			c.Log.Info("metrics are pushed again", "url", address)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// withoutSecret takes the name and password out of an address, so that no error and no
// line of a log shows them.
func withoutSecret(address string) (string, *url.Userinfo) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address, nil
	}
	secret := u.User
	u.User = nil
	return u.String(), secret
}
