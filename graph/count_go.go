//go:build !amd64 || purego || race

package graph

// count16 is count for narrow counters.
func count16(list, _ []entry, counts []uint16, base, target uint32, room []uint32, n int) int {
	return countGo(list, counts, uint16(base), target, room, n)
}

// index returns where somebody is in a list, -1 if nowhere.
func index(list []entry, n uint32) int { return indexGo(list, n) }
