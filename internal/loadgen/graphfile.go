package loadgen

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// MaxLine is how many bytes a line of a graph file may have.
const MaxLine = 4096

// ErrGraph means that a file is not an edge list.
var ErrGraph = errors.New("not a list of friendships")

// Graph is a network to be loaded.
type Graph struct {
	People      []int64  // their ids in the file, in the order of their first friendship
	Friendships [][2]int // indices into People
	Selves      int      // lines left out because both ids were the same
	Repeated    int      // lines left out because the pair was there before
}

// ReadGraph reads an edge list: one friendship a line, two whole numbers separated
// by spaces, a tab, a comma or a semicolon; what follows them is ignored. The first
// line may be a header; lines that begin with # or % are comments. The data may be
// compressed with gzip. name is what errors call it.
//
// Errors: [ErrGraph] with the line, those of the reader.
func ReadGraph(r io.Reader, name string) (*Graph, error) {
	plain, err := uncompressed(bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	lines := bufio.NewScanner(plain)
	lines.Buffer(make([]byte, 0, MaxLine), MaxLine)
	b := graphBuilder{graph: new(Graph), index: map[int64]int{}, seen: map[[2]int]struct{}{}}
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // the mark with which some editors begin a file
		}
		if err := b.line(text, n == 1); err != nil {
			return nil, fmt.Errorf("%w: %s:%d: %w", ErrGraph, name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b.graph.Friendships) == 0 {
		return nil, fmt.Errorf("%w: %s has none", ErrGraph, name)
	}
	return b.graph, nil
}

// uncompressed looks at the first bytes and takes gzip away.
func uncompressed(r *bufio.Reader) (io.Reader, error) {
	head, err := r.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return r, nil
	}
	return gzip.NewReader(r)
}

// graphBuilder gathers lines into a graph.
type graphBuilder struct {
	graph *Graph
	index map[int64]int
	seen  map[[2]int]struct{}
}

// line takes in one line.
func (b *graphBuilder) line(text string, first bool) error {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' || text[0] == '%' {
		return nil
	}
	x, y, err := parsePair(text)
	if err != nil {
		if first {
			return nil // a header
		}
		return err
	}
	if x == y {
		b.graph.Selves++
		return nil
	}
	i, j := b.person(x), b.person(y)
	pair := [2]int{min(i, j), max(i, j)}
	if _, seen := b.seen[pair]; seen {
		b.graph.Repeated++
		return nil
	}
	b.seen[pair] = struct{}{}
	b.graph.Friendships = append(b.graph.Friendships, [2]int{i, j})
	return nil
}

// person returns the index of a person, who gets one if they are new.
func (b *graphBuilder) person(id int64) int {
	i, ok := b.index[id]
	if !ok {
		i = len(b.graph.People)
		b.index[id] = i
		b.graph.People = append(b.graph.People, id)
	}
	return i
}

// parsePair returns the first two numbers of a line.
func parsePair(text string) (x, y int64, err error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == ';' })
	if len(fields) < 2 {
		return 0, 0, errors.New("want two numbers in a line")
	}
	if x, err = strconv.ParseInt(fields[0], 10, 64); err != nil {
		return 0, 0, fmt.Errorf("%q is not a whole number", fields[0])
	}
	if y, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return 0, 0, fmt.Errorf("%q is not a whole number", fields[1])
	}
	return x, y, nil
}
