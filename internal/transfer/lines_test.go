package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// linesOf reads a file line by line, as "number:text".
func linesOf(t testing.TB, text string) (lines []string, sum string) {
	t.Helper()
	odd := &Odd{keep: 100}
	sum, err := each(file(t, "lines", text), odd, func(n int, line []byte) error {
		lines = append(lines, fmt.Sprintf("%d:%s", n, line))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range odd.kinds {
		for _, l := range k.first {
			lines = append(lines, fmt.Sprintf("%d:%s", l.number, k.reason))
		}
	}
	return lines, sum
}

func TestLinesHaveTheNumbersOfAnEditor(t *testing.T) {
	full := strings.Repeat("x", MaxLine-1)
	for text, want := range map[string][]string{
		"":                             nil,
		"\n\n":                         nil,
		"a":                            {"1:a"},
		"a\n":                          {"1:a"},
		"a\r\nb\r\n":                   {"1:a", "2:b"},
		"\n# no\n% no\n  \t \n b \n":   {"5: b "},
		"\xef\xbb\xbfa\n\xef\xbb\xbfb": {"1:a", "2:\xef\xbb\xbfb"},
		full + "\nb":                   {"1:" + full, "2:b"},
		full + "xx\nb":                 {"2:b", "1:the line is too long"},
		"a\n" + full + full + full:     {"1:a", "2:the line is too long"},
	} {
		for name, written := range map[string]string{"plain": text, "gzip": compressed(text)} {
			got, sum := linesOf(t, written)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %.20q: %s", name, text, diff)
			}
			if whole := sha256.Sum256([]byte(written)); sum != hex.EncodeToString(whole[:]) {
				t.Errorf("%s, %.20q: the sum is not that of the file", name, text)
			}
		}
	}
}

// TestLinesAreThoseOfAnySplit: by brute force, whatever the file holds.
func TestLinesAreThoseOfAnySplit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b c", "\n", "\n", "\r\n", "#", "%", " ", "\t", "é"})).Draw(rt, "parts")
		text := strings.Join(parts, "")
		var want []string
		for i, line := range strings.Split(text, "\n") {
			if word := strings.TrimSpace(line); word != "" && !strings.ContainsAny(word[:1], "#%") {
				want = append(want, fmt.Sprintf("%d:%s", i+1, strings.TrimRight(line, "\r")))
			}
		}
		if got, _ := linesOf(t, text); !slices.Equal(got, want) {
			rt.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}

func TestAGoodFileThatBreaksOffIsNoShortFile(t *testing.T) {
	whole := compressed(strings.Repeat("1 2\n", 5000))
	for _, cut := range []int{3, 12, len(whole) / 2, len(whole) - 1} {
		_, err := each(file(t, "cut", whole[:cut]), &Odd{}, func(int, []byte) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "cut") {
			t.Errorf("cut at %d of %d: %v", cut, len(whole), err)
		}
	}
	damaged := []byte(whole)
	damaged[len(damaged)-6] ^= 1 // its checksum
	if _, err := each(file(t, "damaged", string(damaged)), &Odd{}, func(int, []byte) error { return nil }); err == nil {
		t.Error("a damaged file was taken for a good one")
	}
}

func TestAReaderThatRefusesIsToldWhere(t *testing.T) {
	no := errors.New("no")
	_, err := each(file(t, "f", "a\nb\n"), &Odd{}, func(n int, _ []byte) error {
		if n == 2 {
			return no
		}
		return nil
	})
	if !errors.Is(err, no) || !strings.Contains(err.Error(), "f:2: no") {
		t.Error(err)
	}
	if _, err := each(t.TempDir(), &Odd{}, func(int, []byte) error { return nil }); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a folder: %v", err)
	}
}

// FuzzLines: no line is lost, invented or misnumbered, plain or compressed.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n#c\n"))
	f.Add([]byte("\xef\xbb\xbfa"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<14 || strings.HasPrefix(string(text), "\x1f\x8b") {
			return
		}
		plain, _ := linesOf(t, string(text))
		packed, _ := linesOf(t, compressed(string(text)))
		if !slices.Equal(plain, packed) {
			t.Fatalf("%q and %q", plain, packed)
		}
		if n := strings.Count(string(text), "\n") + 1; len(plain) > n {
			t.Fatalf("%d lines of %d", len(plain), n)
		}
	})
}
