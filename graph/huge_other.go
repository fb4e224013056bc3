//go:build !linux

package graph

// adviseHuge asks for huge pages where a system takes such wishes.
func adviseHuge[T any]([]T) {}
