package client

import (
	"bufio"
	"io"
	"iter"
	"strings"
)

// maxLine is how long a line of a stream may be. An event of ours has less.
const maxLine = 1 << 20

// block is one message of a stream of server-sent events, or a part of one that
// says nothing.
type block struct{ id, data string }

// blocks returns the messages of a stream. One that is cut off is left out; the end
// of a stream is an error, because a feed has none.
func blocks(body io.Reader) iter.Seq2[block, error] {
	return func(yield func(block, error) bool) {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxLine)
		var b block
		for lines.Scan() {
			if line := lines.Text(); line != "" {
				b.add(line)
				continue
			}
			if !yield(b, nil) {
				return
			}
			b = block{}
		}
		err := lines.Err()
		if err == nil {
			err = io.EOF
		}
		yield(block{}, err)
	}
}

// add takes a line in. What is not of interest here, comments too, is passed over.
func (b *block) add(line string) {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		b.id = value
	case "data":
		if b.data != "" {
			value = b.data + "\n" + value
		}
		b.data = value
	}
}
