package api

import (
	"iter"
	"mime"
	"strings"

	"ensemble/wire"
)

// The media types of lists.
const (
	jsonType   = "application/json" // of all other successful answers, too
	ndjsonType = "application/x-ndjson"
	eventsType = "text/event-stream"
)

// form is how a list is written.
type form struct {
	mediaType   string
	open, close string // around the list
	separator   string // between two items
	label, end  string // around each item
}

// forms are those that a client can choose from. Whoever likes several equally
// gets the first.
func forms() [3]form {
	return [...]form{
		{mediaType: jsonType, open: "[", close: "]", separator: ","},
		{mediaType: ndjsonType, end: "\n"},
		{mediaType: eventsType, label: "data: ", end: "\n\n"},
	}
}

// form returns the form in which the client wants a list.
func (r *request) form() (form, error) {
	r.set("Vary", "Accept")
	accept := r.Header["Accept"]
	forms := forms()
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == "*/*" || accept[0] == jsonType) {
		return forms[0], nil
	}
	if i := preferred(accept, forms[:]); i >= 0 {
		return forms[i], nil
	}
	return form{}, failure{slug: wire.NotAcceptable}
}

// preferred returns which form the client likes best (RFC 9110, 12.5.1), -1 if
// none will do. Without any wish it is the first. What can't be read is a wish
// that nothing fulfils.
func preferred(accept []string, forms []form) int {
	wishes := make([]wish, len(forms))
	asked := false
	for _, header := range accept {
		for element := range elements(header) {
			asked = true
			mediaRange, quality, ok := parseRange(element)
			for i := range forms {
				if precision := covers(mediaRange, forms[i].mediaType); ok && precision > 0 {
					wishes[i] = max(wishes[i], wish(precision*2000+quality))
				}
			}
		}
	}
	if !asked {
		return 0
	}
	best, quality := -1, 0
	for i, w := range wishes {
		if q := int(w % 2000); q > quality {
			best, quality = i, q
		}
	}
	return best
}

// wish is a quality in thousandths, and 2000 times how precisely it was put: what
// is said of a type itself counts, whatever is said of several.
type wish int

// covers says how precisely a media range names a type: 3 by its name, 2 by its
// first half, 1 among all, 0 not at all.
func covers(mediaRange, mediaType string) int {
	half, isHalf := strings.CutSuffix(mediaRange, "*")
	switch {
	case mediaRange == mediaType:
		return 3
	case mediaRange == "*/*":
		return 1
	case isHalf && strings.HasSuffix(half, "/") && strings.HasPrefix(mediaType, half):
		return 2
	}
	return 0
}

// elements returns the elements of a header that is a list. A comma within quotes
// separates nothing; empty elements are none.
func elements(header string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i <= len(header); i++ {
			switch {
			case i < len(header) && header[i] == '"':
				quoted = !quoted
			case i+1 < len(header) && quoted && header[i] == '\\':
				i++
			case i >= len(header) || header[i] == ',' && !quoted:
				element := strings.Trim(header[start:min(i, len(header))], " \t")
				if start = i + 1; element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// parseRange reads one element of Accept. Parameters other than the quality are
// ignored: our types have none.
func parseRange(element string) (mediaRange string, quality int, ok bool) {
	mediaRange, params, err := mime.ParseMediaType(element)
	if err != nil {
		return "", 0, false
	}
	q, sent := params["q"]
	if !sent {
		return mediaRange, 1000, true
	}
	quality, ok = parseQuality(q)
	return mediaRange, quality, ok
}

// parseQuality reads a number from 0 to 1 with at most three decimals, in
// thousandths.
func parseQuality(s string) (thousandths int, ok bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	for _, digit := range []byte((whole + decimals + "000")[:4]) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		thousandths = thousandths*10 + int(digit-'0')
	}
	return thousandths, thousandths <= 1000
}
