//go:build unix

package main

import (
	"os"
	"strconv"
	"syscall"
)

// inodeOf returns the number of a file, "" if it has none.
func inodeOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(uint64(s.Ino), 10) //nolint:unconvert // it has another type on other systems
}
