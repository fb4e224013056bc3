package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"ensemble/wire"
)

// tooLate is how many seconds a projection may be behind.
const tooLate = 10

// Where the system is comes from --target and --admin, or from the file that 'up' has
// written with --ready-file. A ready file that is missing while nobody has the logs open
// is no problem: the system is stopped, and that may be wanted.

// checkSystem asks the running system, if somebody says where it is.
func (e *examination) checkSystem(ctx context.Context, f *findings) {
	target, admin := e.flags.Target, e.flags.Admin
	if path := e.flags.ReadyFile; path != "" {
		addresses := map[string]string{}
		text, err := os.ReadFile(path) //nolint:gosec // the operator's file
		if err == nil {
			err = json.Unmarshal(text, &addresses)
		}
		switch {
		case os.IsNotExist(err) && e.holder == "":
		case err != nil:
			f.add(problem, "Name the file that 'up' was started with, or give --target and --admin.", "the ready file can't be read: %v", err)
		case target == "" && addresses["edge"] != "":
			target = "http://" + addresses["edge"]
		}
		if admin == "" && addresses["admin"] != "" {
			admin = "http://" + addresses["admin"]
		}
	}
	if target != "" {
		checkHealth(ctx, f, strings.TrimSuffix(target, "/"))
	}
	if admin != "" {
		checkLag(ctx, f, strings.TrimSuffix(admin, "/"))
	}
}

// checkHealth asks whether everything is up.
func checkHealth(ctx context.Context, f *findings, target string) {
	var health wire.Health
	status, err := askJSON(ctx, target+"/actuator/health", &health)
	switch {
	case err != nil:
		f.add(problem, "Start it with 'ensemble up', or correct the address.", "%s does not say how it is: %v", target, err)
	case status != http.StatusOK || health.Status != "UP":
		f.add(problem, "Read its log, which names the component and the reason.", "%s is %s", target, health.Status)
	default:
		f.ok("%s is UP", target)
	}
}

// checkLag asks how far everything is behind.
func checkLag(ctx context.Context, f *findings, admin string) {
	var lags []wire.Lag
	status, err := askJSON(ctx, admin+"/admin/v1/lag", &lags)
	if err != nil || status != http.StatusOK {
		f.add(problem, "Give the address of the administration, which 'up' prints.", "%s does not say how far it is: status %d, %v", admin, status, err)
		return
	}
	for _, l := range lags {
		switch {
		case l.Error != "":
			f.add(problem, "Restart it; if it stops again, run 'ensemble events verify'.", "%s does not follow the log of %ss any more: %s", l.Projection, l.Log, l.Error)
		case l.SecondsBehind > tooLate:
			f.add(hint, "Look at its processors and disk: it is slower than what is written.", "%s is %d events and %.0f seconds behind the log of %ss",
				l.Projection, l.Behind, l.SecondsBehind, l.Log)
		default:
			f.ok("%s is at position %d of the log of %ss", l.Projection, l.Position, l.Log)
		}
	}
}
