package graph

import (
	"syscall"
	"unsafe"
)

// adviseHuge asks for huge pages: walking lists and counting hits memory at random,
// and with small pages most of that time goes into finding the page.
func adviseHuge[T any](s []T) {
	first := unsafe.Pointer(unsafe.SliceData(s)) //nolint:gosec // the pages of a slice that is alive
	size := uintptr(len(s)) * unsafe.Sizeof(s[0])
	skip := -uintptr(first) & (huge - 1)
	if skip+huge > size {
		return
	}
	pages := unsafe.Slice((*byte)(unsafe.Add(first, skip)), (size-skip)&^(huge-1)) //nolint:gosec // inside the slice
	_ = syscall.Madvise(pages, syscall.MADV_HUGEPAGE)                              // without it all works the same, slower
}
