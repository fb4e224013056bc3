//go:build !ensemble_crash

package fault

// Crashes is false in a product build: nothing ends the process.
const Crashes = false

// Crash does nothing in a product build.
func Crash(string) {}
