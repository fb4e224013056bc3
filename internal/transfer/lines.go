package transfer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// MaxLine is how many bytes a line may have.
const MaxLine = 64 << 10

// source is a file that is read line by line; it may be compressed with gzip.
type source struct {
	path  string
	file  *os.File
	sum   hash.Hash // of the bytes as they lie on the disk
	raw   io.Reader // of those bytes
	plain *bufio.Reader
	line  int
}

// openSource opens a file.
func openSource(path string) (*source, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's file
	if err != nil {
		return nil, err
	}
	s := &source{path: path, file: file, sum: sha256.New()}
	s.raw = io.TeeReader(file, s.sum)
	if s.plain, err = uncompressed(s.raw); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return s, nil
}

// uncompressed looks at the first bytes, and takes gzip and a byte order mark away.
func uncompressed(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, MaxLine)
	if head, _ := b.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		b = bufio.NewReaderSize(z, MaxLine)
	}
	if mark, _ := b.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3) // they are in the buffer
	}
	return b, nil
}

// next returns the next line without its end; it is good until the next call. A
// line that is too long comes back as tooLong, without its text.
//
// Errors: io.EOF, those of the file.
func (s *source) next() (text []byte, tooLong bool, err error) {
	s.line++
	text, err = s.plain.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = s.plain.ReadSlice('\n')
	}
	switch {
	case errors.Is(err, io.EOF) && (len(text) > 0 || tooLong):
		err = nil // a last line without an end
	case err != nil && !errors.Is(err, io.EOF):
		err = fmt.Errorf("read %s:%d: %w", s.path, s.line, err)
	}
	if tooLong {
		return nil, true, err
	}
	return bytes.TrimRight(text, "\r\n"), false, err
}

// finish reads to the end and returns the SHA-256 of the file in hexadecimal.
func (s *source) finish() (string, error) {
	if _, err := io.Copy(io.Discard, s.raw); err != nil {
		return "", fmt.Errorf("read %s: %w", s.path, err)
	}
	return hex.EncodeToString(s.sum.Sum(nil)), nil
}

// each calls do with every line that is neither blank nor a comment, spaces around
// it included, and returns the file's SHA-256.
func each(path string, odd *Odd, do func(line int, text []byte) error) (sum string, err error) {
	s, err := openSource(path)
	if err != nil {
		return "", err
	}
	defer s.file.Close() //nolint:errcheck // only read
	for {
		text, tooLong, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			return s.finish()
		case err != nil:
			return "", err
		case tooLong:
			odd.note(TooLong, s.line, fmt.Sprintf("over %d bytes", MaxLine))
			continue
		}
		if word := bytes.TrimSpace(text); len(word) == 0 || word[0] == '#' || word[0] == '%' {
			continue
		}
		if err := do(s.line, text); err != nil {
			return "", fmt.Errorf("%s:%d: %w", path, s.line, err)
		}
	}
}
