package eventstore

import (
	"math"
	"slices"
)

// Comparison compares two generations of one table, a page of each at a time. The two
// pages have to be of one moment.
type Comparison struct {
	content *Content // of the green generation
	differ  int64
	size    int // rows of each generation in a page
}

// NewComparison compares in pages of so many rows.
func NewComparison(size int) *Comparison { return &Comparison{content: NewContent(), size: size} }

// Page takes in the rows above the last key, ascending, up to the size of a page of
// each generation, and returns up to which key both were compared; MaxInt64 when there
// are no more.
func (c *Comparison) Page(blue, green [][]Value) (until int64) {
	until = math.MaxInt64
	for _, rows := range [][][]Value{blue, green} {
		if n := len(rows); n == c.size {
			until = min(until, rows[n-1][0].Int())
		}
	}
	c.merge(upTo(blue, until), upTo(green, until))
	return until
}

// Result returns what was found in the table.
func (c *Comparison) Result(table string) RebuiltTable {
	return RebuiltTable{Name: table, Rows: c.content.Rows(), Differ: c.differ, Hash: c.content.Sum()}
}

// upTo returns the rows whose key is not above a bound.
func upTo(rows [][]Value, bound int64) [][]Value {
	n := len(rows)
	for n > 0 && rows[n-1][0].Int() > bound {
		n--
	}
	return rows[:n]
}

// merge counts the rows that are not the same in both generations.
func (c *Comparison) merge(blue, green [][]Value) {
	for len(blue)+len(green) > 0 {
		switch {
		case len(green) == 0 || len(blue) > 0 && blue[0][0].Int() < green[0][0].Int():
			c.differ++
			blue = blue[1:]
			continue
		case len(blue) == 0 || green[0][0].Int() < blue[0][0].Int():
			c.differ++
		default:
			if !slices.Equal(blue[0], green[0]) {
				c.differ++
			}
			blue = blue[1:]
		}
		c.content.Add(green[0])
		green = green[1:]
	}
}
