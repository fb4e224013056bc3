package eventstore

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawRow makes up a row that is easily taken for another.
func drawRow(t *rapid.T) []Value {
	return []Value{
		Int(rapid.Int64Range(1, 3).Draw(t, "id")),
		Text(rapid.SampledFrom([]string{"", "a", "ab", "b", "\x00"}).Draw(t, "text")),
		Text(rapid.SampledFrom([]string{"", "a", "b", "bc", "c"}).Draw(t, "text")),
		Micros(rapid.Int64Range(-1, 1).Draw(t, "time")),
	}
}

// sumOf returns the hash of rows.
func sumOf(rows [][]Value) [32]byte {
	c := NewContent()
	for _, r := range rows {
		c.Add(r)
	}
	return c.Sum()
}

func TestContentIsTheSameForTheSameRowsOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Custom(drawRow), 0, 3).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Custom(drawRow), 0, 3).Draw(t, "b")
		equal := slices.EqualFunc(a, b, slices.Equal[[]Value])
		if (sumOf(a) == sumOf(b)) != equal {
			t.Fatalf("%v and %v", a, b)
		}
	})
}

func TestContentTellsApartWhatLooksAlike(t *testing.T) {
	seen := map[[32]byte]string{}
	for _, rows := range [][][]Value{
		nil,
		{{Int(0)}},
		{{Micros(0)}},
		{{Text("")}},
		{{Text("ab"), Text("c")}},
		{{Text("a"), Text("bc")}},
		{{Text("abc"), Text("")}},
		{{Int(1), Int(2)}},
		{{Int(2), Int(1)}},
		{{Int(-1)}},
	} {
		sum := sumOf(rows)
		if other, ok := seen[sum]; ok {
			t.Errorf("%v has the hash of %s", rows, other)
		}
		seen[sum] = fmt.Sprint(rows)
	}
}

func TestContentMayBeLookedAtInBetween(t *testing.T) {
	c := NewContent()
	c.Add([]Value{Int(1)})
	first := c.Sum()
	c.Add([]Value{Int(2)})
	if c.Rows() != 2 || first != sumOf([][]Value{{Int(1)}}) || c.Sum() != sumOf([][]Value{{Int(1)}, {Int(2)}}) {
		t.Fatalf("%d rows, %x", c.Rows(), c.Sum())
	}
}
