package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func appendItem(dst []byte, s string) []byte { return append(dst, s...) }

// placeOfItem says where an item of n bytes stands.
func placeOfItem(s string) place { return place{id: int64(len(s))} }

// page returns a part of a list; its links name the ids that are left.
func page(f form, limit int) *part { return &part{form: f, limit: limit, ids: []int64{1 << 40}} }

func TestListsOfAnySizeAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{1, 100, flushAt - 2, flushAt - 1, flushAt, flushAt + 1, 2*flushAt + 1}), 0, 6).Draw(t, "sizes")
		limit := rapid.IntRange(0, 7).Draw(t, "limit")
		f := rapid.SampledFrom(fixed(forms())).Draw(t, "form")
		items := make([]string, len(sizes))
		for i, n := range sizes {
			items[i] = strings.Repeat("x", n)
		}
		r, w := answering(http.MethodGet)
		list := func(yield func(string, error) bool) {
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
		if err := streamList(r, page(f, limit), list, appendItem, placeOfItem); err != nil {
			t.Fatal(err)
		}
		link := ""
		if limit > 0 && limit < len(items) {
			items = items[:limit]
			link = `<?ids=1099511627776>; rel="next"`
		}
		var want strings.Builder
		want.WriteString(f.open)
		for i, item := range items {
			if i > 0 {
				want.WriteString(f.separator)
			}
			want.WriteString(f.label + item + f.end)
		}
		want.WriteString(f.close)
		if w.Body.String() != want.String() {
			t.Fatalf("%d bytes came, not %d", w.Body.Len(), want.Len())
		}
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != f.mediaType || w.Header().Get("Link") != link {
			t.Fatalf("answered %d %v, not with link %q", w.Code, w.Header(), link)
		}
	})
}

func fixed(forms [3]form) []form { return forms[:] }

func TestAListStopsAskingWhenTheClientHasGone(t *testing.T) {
	r, _ := answering(http.MethodGet)
	r.w = gone{r.w}
	asked := 0
	defer func() {
		cause, _ := recover().(error)
		if !errors.Is(cause, http.ErrAbortHandler) || asked != 1 {
			t.Errorf("after %d items: %v", asked, cause)
		}
	}()
	_ = streamList(r, page(forms()[0], 0), func(yield func(string, error) bool) {
		for asked++; yield(strings.Repeat("x", flushAt), nil); asked++ {
		}
	}, appendItem, placeOfItem)
}

// gone is a client that has hung up.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestHeadOfALongListHasNoBodyAndIsNotReadToItsEnd(t *testing.T) {
	r, w := answering(http.MethodHead)
	asked := 0
	list := func(yield func(string, error) bool) {
		for range 5 {
			if asked++; !yield(strings.Repeat("x", flushAt), nil) {
				return
			}
		}
	}
	err := streamList(r, page(forms()[1], 0), list, appendItem, placeOfItem)
	if err != nil || w.Body.Len() > 0 || w.Code != http.StatusOK || w.Header().Get("Content-Type") != ndjsonType || asked != 1 {
		t.Errorf("answered %d with %d bytes after %d items, %v", w.Code, w.Body.Len(), asked, err)
	}
}

func TestAPageReadsOneItemMoreAndNoFurther(t *testing.T) {
	for _, c := range []struct{ limit, asked int }{{1, 2}, {3, 4}, {9, 10}, {10, 10}, {11, 10}, {0, 10}} {
		r, w := answering(http.MethodGet)
		asked := 0
		list := func(yield func(string, error) bool) {
			for range 10 {
				if asked++; !yield("x", nil) {
					return
				}
			}
		}
		if err := streamList(r, page(forms()[0], c.limit), list, appendItem, placeOfItem); err != nil || asked != c.asked {
			t.Errorf("limit %d asks for %d, %v", c.limit, asked, err)
		}
		if linked := w.Header().Get("Link") != ""; linked != (0 < c.limit && c.limit < 10) {
			t.Errorf("limit %d of 10: link %v", c.limit, linked)
		}
	}
}
