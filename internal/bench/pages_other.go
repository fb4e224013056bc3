//go:build !linux

package bench

// hugePages does nothing where the system decides by itself.
func hugePages([]int32) {}
