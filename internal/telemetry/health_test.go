package telemetry_test

import (
	"context"
	"errors"
	"testing"

	"ensemble/internal/telemetry"
)

// TestAServiceIsReadyWithoutWhatItCanDoWithout: it is shown and does not count.
func TestAServiceIsReadyWithoutWhatItCanDoWithout(t *testing.T) {
	h := new(telemetry.Health)
	away := errors.New("connection refused")
	h.AddOptional("user-service", func(context.Context) error { return away })
	h.Add("log", func(context.Context) error { return nil })
	if err := h.Ready(t.Context()); err != nil {
		t.Errorf("it is not ready: %v", err)
	}
	checks := h.Checks(t.Context())
	if len(checks) != 2 || !checks[0].Optional || !errors.Is(checks[0].Err, away) || checks[1].Optional {
		t.Errorf("the checks are %+v", checks)
	}
	h.SetDraining(true)
	if err := h.Ready(t.Context()); !errors.Is(err, telemetry.ErrDraining) || errors.Is(err, away) {
		t.Errorf("stopping it says %v", err)
	}
}
