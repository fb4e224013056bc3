//go:build ensemble_crash

package fault

import "os"

// Crashes says that [Crash] may end the process.
const Crashes = true

// Crash ends the process as kill -9 does, if this is the place that the variable
// ENSEMBLE_CRASH_AT names. Built with the tag ensemble_crash.
func Crash(at string) {
	if os.Getenv("ENSEMBLE_CRASH_AT") != at {
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {} // until it takes effect
}
