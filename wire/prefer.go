package wire

import (
	"strconv"
	"strings"
)

// Prefer is what a client would like but can do without (RFC 7240).
type Prefer struct {
	Wait    int  // seconds; -1: it does not say
	Lenient bool // rather something that is not quite what was asked for than nothing
}

// ParsePrefer reads the values of the header Prefer. Whatever is unknown or makes
// no sense is ignored, and of a preference that comes twice the first counts, as
// the standard says: a preference is never an error.
func ParsePrefer(values []string) Prefer {
	p := Prefer{Wait: -1}
	waits, handles := false, false
	for _, value := range values {
		for value != "" {
			var preference string
			preference, value = cutUnquoted(value, ',')
			preference, _ = cutUnquoted(preference, ';') // parameters: none is known
			name, word, _ := strings.Cut(preference, "=")
			name, word = strings.Trim(name, " \t"), unquote(strings.Trim(word, " \t"))
			switch {
			case strings.EqualFold(name, "wait") && !waits:
				waits, p.Wait = true, seconds(word)
			case strings.EqualFold(name, "handling") && !handles:
				handles, p.Lenient = true, word == "lenient"
			}
		}
	}
	return p
}

// cutUnquoted cuts s at the first separator that is not between double quotes.
func cutUnquoted(s string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// unquote takes the quotes off a word. No word that is known needs an escape, so
// one that has some stays unknown.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// seconds reads digits; so many that they mean an eternity are one. Anything else
// is -1.
func seconds(s string) int {
	const eternity = 1 << 30
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
	}
	n, err := strconv.Atoi(s)
	switch {
	case s == "":
		return -1
	case err != nil || n > eternity: // it is all digits, so it is too large
		return eternity
	}
	return n
}
