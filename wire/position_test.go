package wire_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"ensemble/wire"
)

func TestPositions(t *testing.T) {
	for _, c := range []struct {
		sentence string
		header   []string
		want     []wire.Position
	}{
		{"one log", []string{"user:18"}, []wire.Position{{"user", 18, ""}}},
		{"a log with its identity", []string{"friend:77@3f2a91c0"}, []wire.Position{{"friend", 77, "3f2a91c0"}}},
		{"two logs", []string{"user:18, friend:77@3f2a91c0"}, []wire.Position{{"user", 18, ""}, {"friend", 77, "3f2a91c0"}}},
		{"two lines", []string{"user:0", "friend:9223372036854775807"}, []wire.Position{{"user", 0, ""}, {"friend", 1<<63 - 1, ""}}},
		{"empty members are skipped", []string{" ,user:1\t,,", ""}, []wire.Position{{"user", 1, ""}}},
		{"a log may come twice", []string{"user:1,user:2"}, []wire.Position{{"user", 1, ""}, {"user", 2, ""}}},
		{"nothing", []string{""}, nil},
		{"no number", []string{"user"}, nil},
		{"a leading zero", []string{"user:01"}, nil},
		{"a sign", []string{"user:+1"}, nil},
		{"a space inside", []string{"user: 1"}, nil},
		{"too large", []string{"user:9223372036854775808"}, nil},
		{"an empty identity", []string{"user:1@"}, nil},
		{"a short identity", []string{"user:1@3f2a91c"}, nil},
		{"an identity in capitals", []string{"user:1@3F2A91C0"}, nil},
		{"two identities", []string{"user:1@3f2a91c0@3f2a91c0"}, nil},
		{"one bad member spoils the list", []string{"user:1, friend:"}, nil},
		{"more than there may be", []string{strings.Repeat("user:1,", 17)}, nil},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			got, err := wire.ParsePositions(c.header)
			if !reflect.DeepEqual(got, c.want) || (err != nil) != (c.want == nil) || err != nil && !errors.Is(err, wire.ErrPosition) {
				t.Errorf("%q is %v, %v", c.header, got, err)
			}
		})
	}
}

func TestPreferences(t *testing.T) {
	for _, c := range []struct {
		sentence string
		header   []string
		want     wire.Prefer
	}{
		{"none", nil, wire.Prefer{Wait: -1}},
		{"to wait", []string{"wait=5"}, wire.Prefer{Wait: 5}},
		{"not to wait", []string{"wait=0"}, wire.Prefer{Wait: 0}},
		{"quoted", []string{`wait="5"`}, wire.Prefer{Wait: 5}},
		{"with white space", []string{" WAIT = 5 ; x=1 , Handling=lenient"}, wire.Prefer{Wait: 5, Lenient: true}},
		{"on two lines", []string{"handling=lenient", "wait=1"}, wire.Prefer{Wait: 1, Lenient: true}},
		{"the first counts", []string{"wait=1, wait=2, handling=strict, handling=lenient"}, wire.Prefer{Wait: 1}},
		{"an eternity", []string{"wait=99999999999999999999999"}, wire.Prefer{Wait: 1 << 30}},
		{"nonsense", []string{"wait=-1"}, wire.Prefer{Wait: -1}},
		{"no value", []string{"wait, handling"}, wire.Prefer{Wait: -1}},
		{"unknown ones", []string{`return=minimal; foo="a, wait=7", respond-async`}, wire.Prefer{Wait: -1}},
		{"a quote that does not end", []string{`foo="bar, wait=7`, "wait=8"}, wire.Prefer{Wait: 8}},
		{"an escaped quote", []string{`foo="a\", wait=7", wait=8`}, wire.Prefer{Wait: 8}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if got := wire.ParsePrefer(c.header); got != c.want {
				t.Errorf("%q is %+v, not %+v", c.header, got, c.want)
			}
		})
	}
}

func FuzzPositions(f *testing.F) {
	for _, s := range []string{"user:18", "user:18, friend:77@3f2a91c0", "user:0@00000000,,", ":", "a:b@c", "user:9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		positions, err := wire.ParsePositions([]string{s})
		if err != nil {
			if positions != nil {
				t.Errorf("%q is %v and an error", s, positions)
			}
			return
		}
		texts := make([]string, len(positions))
		for i, p := range positions {
			texts[i] = p.String()
		}
		again, err := wire.ParsePositions([]string{strings.Join(texts, ", ")})
		if err != nil || !reflect.DeepEqual(again, positions) || len(positions) > wire.MaxPositions {
			t.Errorf("%q is %v, and that is %v, %v", s, positions, again, err)
		}
	})
}

func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"wait=5", `wait="5";a=b,handling=lenient`, `a="\",wait=1`, `"`, "wait=99999999999999999999", "=,;="} {
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if p := wire.ParsePrefer([]string{a, b}); p.Wait < -1 {
			t.Errorf("%q, %q is %+v", a, b, p)
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"0", "1", "01", "-1", "9223372036854775807", "9223372036854775808", " 1", "user:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := wire.ParseCursor(s)
		if text := (wire.Position{Log: "user", Position: n}).String(); ok && (n < 0 || text != "user:"+s) || !ok && n != 0 {
			t.Errorf("%q is %d, %t", s, n, ok)
		}
	})
}
