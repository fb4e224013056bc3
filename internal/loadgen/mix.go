package loadgen

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a request of an open load does.
type Kind string

// The kinds of requests.
const (
	Create    Kind = "create"    // makes a person
	Add       Kind = "add"       // makes two strangers friends
	Remove    Kind = "remove"    // ends a friendship that was loaded
	Erase     Kind = "erase"     // erases a person who was loaded, for good
	FriendsOf Kind = "friends"   // lists somebody's friends
	Recommend Kind = "recommend" // asks for the ten best candidates
	Mutual    Kind = "mutual"    // asks for the friends that two share
	Get       Kind = "get"       // reads a person
)

// Kinds lists all kinds, commands first.
func Kinds() []Kind {
	return []Kind{Create, Add, Remove, Erase, FriendsOf, Recommend, Mutual, Get}
}

// Share is how much of a load is of a kind.
type Share struct {
	Kind   Kind
	Weight int // in proportion to the other weights
}

// Mix is what a load consists of. Its text is "create=5,add=20,get=75".
type Mix []Share

// MaxWeight is the highest weight of a kind.
const MaxWeight = 1_000_000

// UnmarshalText reads a mix. Every kind stands there once at most, and weighs from
// 0 to [MaxWeight]; the weights need not make a hundred.
func (m *Mix) UnmarshalText(text []byte) error {
	*m = nil
	total := 0
	for part := range strings.SplitSeq(string(text), ",") {
		name, number, ok := strings.Cut(strings.TrimSpace(part), "=")
		kind := Kind(name)
		if !ok || !slices.Contains(Kinds(), kind) {
			return fmt.Errorf("%q is not KIND=WEIGHT with a kind of %v", part, Kinds())
		}
		weight, err := strconv.Atoi(number)
		if err != nil || weight < 0 || weight > MaxWeight {
			return fmt.Errorf("the weight of %s has to be a whole number up to %d, not %q", name, MaxWeight, number)
		}
		if slices.ContainsFunc(*m, func(s Share) bool { return s.Kind == kind }) {
			return fmt.Errorf("%s stands there twice", name)
		}
		*m = append(*m, Share{kind, weight})
		total += weight
	}
	if total == 0 {
		return errors.New("one weight at least has to be above 0")
	}
	return nil
}

// String returns the text that UnmarshalText reads.
func (m Mix) String() string {
	parts := make([]string, len(m))
	for i, s := range m {
		parts[i] = fmt.Sprintf("%s=%d", s.Kind, s.Weight)
	}
	return strings.Join(parts, ",")
}

// draw returns the kind at a number that is drawn evenly from 0 to total()-1.
func (m Mix) draw(n int) Kind {
	for _, s := range m {
		if n -= s.Weight; n < 0 {
			return s.Kind
		}
	}
	return m[len(m)-1].Kind
}

// total returns the sum of all weights.
func (m Mix) total() (sum int) {
	for _, s := range m {
		sum += s.Weight
	}
	return sum
}

// Rate is how many requests are to arrive in a second. Its text is "500/s" or
// "500".
type Rate float64

// MaxRate is the highest rate that one generator is asked for.
const MaxRate = 1_000_000

// UnmarshalText reads a rate above 0 and up to [MaxRate].
func (r *Rate) UnmarshalText(text []byte) error {
	number, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(string(text)), "/s"), 64)
	if err != nil || !(number > 0 && number <= MaxRate) { // also refuses NaN
		return fmt.Errorf("%q is not a number of requests a second, such as 500/s, up to %d", text, MaxRate)
	}
	*r = Rate(number)
	return nil
}
