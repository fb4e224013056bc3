package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ensemble/eventstore"
)

// answering returns a request that a test looks into.
func answering(method string) (*request, *httptest.ResponseRecorder) {
	w := httptest.NewRecorder()
	return &request{Request: httptest.NewRequest(method, "/", nil), w: w}, w
}

func TestTokensNameTheLineageOfTheirPosition(t *testing.T) {
	l := logName{name: "friend", lineage: eventstore.Lineage{
		{UUID: [16]byte{0x3f, 0x2a, 0x91, 0xc0}, First: 1},
		{UUID: [16]byte{0xab, 0xcd, 0xef, 0x01}, First: 78},
	}}
	for position, want := range map[eventstore.Position]string{
		0: "friend:0@3f2a91c0", 77: "friend:77@3f2a91c0", 78: "friend:78@abcdef01", 1 << 62: "friend:4611686018427387904@abcdef01",
	} {
		if got := l.position(position); got != want {
			t.Errorf("position %d is %s, not %s", position, got, want)
		}
	}
	if got := l.etag(3); got != `"3-abcdef01"` {
		t.Errorf("the tag is %s: after a restore version 3 is not the one of the log that was lost", got)
	}
}

func TestNoneMatch(t *testing.T) {
	const tag = `"3-3f2a91c0"`
	for header, want := range map[string]bool{
		tag: true, "W/" + tag: true, `"1-3f2a91c0", ` + tag: true, `"x",W/` + tag + `,"y"`: true, "*": true,
		`"3-00000000"`: false, "3-3f2a91c0": false, "": false, `"*"`: false, "W/*": false, strings.ToUpper(tag): false,
	} {
		r, _ := answering(http.MethodGet)
		r.Header.Set("If-None-Match", header)
		if got := noneMatch(r, tag); got != want {
			t.Errorf("If-None-Match %s: %v", header, got)
		}
	}
	r, _ := answering(http.MethodGet)
	r.Header.Add("If-None-Match", `"a"`)
	r.Header.Add("If-None-Match", tag)
	if !noneMatch(r, tag) {
		t.Error("the second line of the header is not read")
	}
}

func TestRunningKeysAreBounded(t *testing.T) {
	var r running
	for i := range maxRunning {
		if err := r.begin([16]byte{byte(i), byte(i >> 8), byte(i >> 16)}); err != nil {
			t.Fatal(i, err)
		}
	}
	one := [16]byte{15: 1}
	if err := r.begin(one); !errors.Is(err, eventstore.ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	r.end([16]byte{})
	if err := r.begin(one); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}

func TestNoTwoScopesAreAlike(t *testing.T) {
	scopeOf := func(target, key string) [16]byte {
		r, _ := answering(http.MethodPost)
		r.Request = httptest.NewRequest(http.MethodPost, target, nil)
		r.path = r.URL.EscapedPath()
		return scope(r, key, nil).Hash
	}
	seen := map[[16]byte]string{}
	for _, target := range []string{"/a", "/a/b", "/a?b", "/a?", "/a%00b", "/ab"} {
		for _, key := range []string{"b", "k", "bk"} {
			hash := scopeOf(target, key)
			if other, twice := seen[hash]; twice && other != "/a "+key { // "/a?" is "/a"
				t.Errorf("%s %s is %s", target, key, other)
			}
			seen[hash] = target + " " + key
		}
	}
}
