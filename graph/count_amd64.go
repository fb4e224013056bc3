//go:build !purego && !race

package graph

// count16 is countGo for narrow counters. All numbers in the list have to be below the
// length of counts, and room has to have room for the whole list behind n.
//
//go:noescape
func count16(list []entry, counts []uint16, base, target uint32, room []uint32, n int) int

// prefetch brings the beginning of a list into the cache; from there on the processor
// sees for itself where it goes.
//
//go:noescape
func prefetch(list []entry)

// index is indexGo, eight entries at a time.
//
//go:noescape
func index(list []entry, n uint32) int
