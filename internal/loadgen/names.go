package loadgen

import (
	_ "embed" // the lists of names
	"strings"
)

//go:embed names/given.txt
var givenNames string

//go:embed names/family.txt
var familyNames string

// Names makes up names, the same for the same person and seed.
type Names struct {
	given, family []string
	seed          uint64
}

// NewNames returns names for a seed.
func NewNames(seed uint64) *Names {
	return &Names{given: strings.Fields(givenNames), family: strings.Fields(familyNames), seed: seed}
}

// Of returns the name of a person.
func (n *Names) Of(person int64) (first, last string) {
	h := mix(n.seed ^ uint64(person))
	return n.given[h%uint64(len(n.given))], n.family[h>>32%uint64(len(n.family))]
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
