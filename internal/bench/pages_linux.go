package bench

import (
	"syscall"
	"unsafe"
)

// hugePages asks for huge pages for a list that nobody has written to yet. A system
// that has none leaves it in ordinary ones.
func hugePages(list []int32) {
	const page = 2 << 20
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), 4*len(list)) //nolint:gosec // the same memory, as bytes
	before := int(-uintptr(unsafe.Pointer(unsafe.SliceData(list))) % page)              //nolint:gosec // how far it is to a border
	if before < len(bytes) {
		whole := (len(bytes) - before) / page * page
		_ = syscall.Madvise(bytes[before:before+whole], syscall.MADV_HUGEPAGE) // an advice
	}
}
