package graph

import (
	"syscall"
	"unsafe"
)

// makeHuge returns a slice of n zeros, on huge pages if it is large: walking lists and
// counting hits memory at random, and with small pages much of that time goes into
// finding the page.
func makeHuge[T any](n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	if n*size < huge/2 {
		return make([]T, n)
	}
	pages := (n*size + huge - 1) / huge
	s := make([]T, (pages+1)*huge/size)                              // what is not used is never touched
	first := unsafe.Pointer(unsafe.SliceData(s))                     //nolint:gosec // to see where it lies
	skip := int(-uintptr(first)&(huge-1)) / size                     // to the next page
	s = s[skip : skip+pages*huge/size]                               // whole pages
	area := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), pages*huge) //nolint:gosec // the same memory
	_ = syscall.Madvise(area, syscall.MADV_HUGEPAGE)                 // without it all works the same, slower
	return s[:n:n]
}
