package api

import (
	"slices"
	"strings"
	"testing"
)

func TestPreferred(t *testing.T) {
	const none = -1
	const array, lines, events = 0, 1, 2
	for _, c := range []struct {
		sentence string
		accept   []string
		want     int
	}{
		{"nothing said is an array", nil, array},
		{"an empty header says nothing", []string{""}, array},
		{"commas alone say nothing", []string{" , ,", ""}, array},
		{"anything", []string{"*/*"}, array},
		{"any application", []string{"application/*"}, array},
		{"any text is events", []string{"text/*"}, events},
		{"lines", []string{"application/x-ndjson"}, lines},
		{"types know no case", []string{"Application/X-NDJSON"}, lines},
		{"parameters are ignored", []string{"application/json;charset=utf-8"}, array},
		{"the highest quality wins", []string{"application/json;q=0.8, text/event-stream;q=0.9"}, events},
		{"in any order", []string{"text/event-stream;q=0.9, application/json;q=0.8"}, events},
		{"over several lines", []string{"application/json;q=0.8", "text/event-stream;q=0.9"}, events},
		{"a thousandth decides", []string{"application/json;q=0.998, application/x-ndjson;q=0.999"}, lines},
		{"a tie is an array", []string{"text/event-stream, application/x-ndjson, */*"}, array},
		{"a tie without an array is lines", []string{"text/event-stream, application/x-ndjson"}, lines},
		{"a type itself counts before its half", []string{"application/*;q=1, application/json;q=0.1"}, lines},
		{"its half counts before all", []string{"*/*;q=1, application/*;q=0.1"}, events},
		{"of two qualities of one type the higher counts", []string{"application/x-ndjson;q=0.1, application/x-ndjson"}, lines},
		{"spaces and tabs", []string{" application/x-ndjson\t; q=0.5 ,\ttext/event-stream;Q=0.4"}, lines},
		{"a browser", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"}, array},
		{"a comma in quotes separates nothing", []string{`application/json;x=",application/x-ndjson";q=0.1, text/event-stream;q=0.2`}, events},
		{"nor does an escaped quote end them", []string{`application/json;x="\",application/x-ndjson"`}, array},
		{"quality 0 is a refusal", []string{"application/json;q=0"}, none},
		{"one that holds against any", []string{"*/*, application/json;q=0.000"}, lines},
		{"all refused", []string{"*/*;q=0"}, none},
		{"another type", []string{"text/html"}, none},
		{"another type and quality 0", []string{"text/html, */*;q=0"}, none},
		{"a prefix is another type", []string{"application/jso"}, none},
		{"no half of a star", []string{"*/json, app*/*, application*"}, none},
		{"a word", []string{"json"}, none},
		{"nonsense", []string{"🙂 / ;;=,\x00"}, none},
		{"nonsense before a wish", []string{"🙂;, application/x-ndjson"}, lines},
		{"an open quote", []string{`application/json;x="`}, none},
		{"a quote and a backslash", []string{`"\`}, none},
		{"a quality above 1", []string{"application/json;q=1.001"}, none},
		{"a quality of four decimals", []string{"application/json;q=0.1234"}, none},
		{"a negative quality", []string{"application/json;q=-1"}, none},
		{"a quality that is no number", []string{"application/json;q=high"}, none},
		{"no quality after all", []string{"application/json;q="}, none},
		{"two qualities", []string{"application/json;q=1;q=0.5"}, none},
		{"1 with a point", []string{"application/json;q=1."}, array},
		{"1 with three zeros", []string{"application/json;q=1.000"}, array},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			forms := forms()
			if got := preferred(c.accept, forms[:]); got != c.want {
				t.Errorf("Accept %q gives %d, not %d", c.accept, got, c.want)
			}
		})
	}
}

// FuzzAccept: whatever a client says, it is understood the same in any order, over
// one line or several, and saying it twice changes nothing.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{
		"", "*/*", "application/json;q=0.5, application/x-ndjson;q=0.9, text/*;q=0.1", `a/b;x="\",";q=1`, ",,", `"`, "text/event-stream;q=0,*/*",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		forms := forms()
		got := preferred([]string{header}, forms[:])
		lines := slices.Collect(elements(header))
		if again := preferred(lines, forms[:]); again != got {
			t.Errorf("%q is %d, its elements one by one are %d", header, got, again)
		}
		slices.Reverse(lines)
		if again := preferred(append(lines, lines...), forms[:]); again != got {
			t.Errorf("%q is %d, from its end it is %d", header, got, again)
		}
		if strings.Trim(header, ", \t") == "" && got != 0 {
			t.Errorf("%q says nothing and gives %d", header, got)
		}
	})
}
