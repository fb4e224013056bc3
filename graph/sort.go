package graph

import (
	"math/bits"
	"slices"
)

// sorted appends everybody found who is wanted, sorted.
func (c *counter[T]) sorted(dst []Ranked) []Ranked {
	start := len(dst)
	highest := int64(0)
	for some := range slices.Chunk(c.found, 64) {
		c.touch(some)
		for _, n := range some {
			if weight := c.weight(n); weight >= c.floor {
				if r, ok := c.candidate(n, weight); ok {
					dst = append(dst, r)
					highest = max(highest, r.ID)
				}
			}
		}
	}
	ranked := dst[start:]
	idBits, weightBits := bits.Len64(uint64(highest)), bits.Len(uint(len(c.friends)))
	const few = 32 // not worth a pass over the digits
	if len(ranked) < few || idBits+weightBits > 64 {
		slices.SortFunc(ranked, compare)
		return dst
	}
	c.keys, c.spare = resized(c.keys, len(ranked)), resized(c.spare, len(ranked))
	most := len(c.friends)
	for i, r := range ranked {
		c.keys[i] = uint64(most-r.Weight)<<idBits | uint64(r.ID)
	}
	for i, key := range radixSort(c.keys, c.spare, idBits+weightBits) {
		ranked[i] = Ranked{ID: int64(key & (1<<idBits - 1)), Weight: most - int(key>>idBits)}
	}
	return dst
}

// touch brings people into the cache, all at once: nothing is decided on the way.
func (c *counter[T]) touch(numbers []uint32) {
	sum := uint64(0)
	for _, n := range numbers {
		sum += uint64(c.tables.word(n)) + uint64(c.counts[n])
	}
	c.touched = sum
}

// resized returns a slice of some length, whatever it holds.
func resized(s []uint64, n int) []uint64 {
	if cap(s) < n {
		return make([]uint64, n+n/4)[:n]
	}
	return s[:n]
}

// radixSort sorts keys of so many bits, digit by digit from the lowest, and returns
// whichever of the two slices they are in then.
func radixSort(keys, spare []uint64, width int) []uint64 {
	const widest = 11
	digits := (width + widest - 1) / widest
	digit := (width + digits - 1) / digits
	mask := uint64(1)<<digit - 1
	var places [1 << widest]uint32
	for shift := 0; shift < width; shift += digit {
		clear(places[:mask+1])
		for _, k := range keys {
			places[k>>shift&mask]++
		}
		sum := uint32(0)
		for i, n := range places[:mask+1] {
			places[i] = sum
			sum += n
		}
		for _, k := range keys {
			d := k >> shift & mask
			spare[places[d]] = k
			places[d]++
		}
		keys, spare = spare, keys
	}
	return keys
}
