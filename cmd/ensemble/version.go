package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd shows which build this is.
type versionCmd struct{}

// Run prints the version, the commit and the platform.
func (versionCmd) Run(con *console) error {
	_, err := fmt.Fprintf(con.out, "ensemble %s %s/%s %s\n", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return err
}

// version returns the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	if info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
