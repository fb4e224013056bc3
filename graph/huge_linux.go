package graph

import (
	"syscall"
	"unsafe"
)

// adviseHuge asks for huge pages: walking lists and counting hits memory at random,
// and with small pages most of that time goes into finding the page.
func adviseHuge[T any](s []T) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	end := start + uintptr(len(s))*unsafe.Sizeof(s[0])
	skip := -start & (huge - 1)
	if start+skip+huge > end {
		return
	}
	length := (end - start - skip) &^ (huge - 1)
	pages := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s)), skip)), length)
	_ = syscall.Madvise(pages, syscall.MADV_HUGEPAGE) // without it all works the same, slower
}
