//go:build !purego && !race

package graph

// count16 is countGo for narrow counters. All numbers in the list have to be below the
// length of counts, and room has to have room for the whole list behind n. While it
// counts, it brings another list into the cache, line by line: asked for all at once,
// the lines would wait for each other.
//
//go:noescape
func count16(list, ahead []entry, counts []uint16, base, target uint32, room []uint32, n int) int

// index is indexGo, eight entries at a time.
//
//go:noescape
func index(list []entry, n uint32) int
