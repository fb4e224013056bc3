//go:build !linux

package graph

// makeHuge returns a slice of n zeros, on huge pages where a system takes such wishes.
func makeHuge[T any](n int) []T { return make([]T, n) }
