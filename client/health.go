package client

import (
	"context"
	"fmt"
	"net/http"

	"ensemble/wire"
)

// Health returns the health of a service ("user", "friend", "recommendation"), or
// of the gateway (""). Being DOWN is an answer, not an error.
func (c *Client) Health(ctx context.Context, service string) (wire.Health, error) {
	path := "/actuator/health"
	if service != "" {
		path = "/" + service + path
	}
	resp, err := c.get(ctx, path)
	if err != nil {
		return wire.Health{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return wire.Health{}, fmt.Errorf("GET %s: %w", path, problemOf(resp))
	}
	var health wire.Health
	if err := decode(resp.Body, &health); err != nil {
		return wire.Health{}, fmt.Errorf("GET %s: read the answer: %w", path, err)
	}
	return health, nil
}
