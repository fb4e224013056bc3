package api

import (
	"fmt"
	"net/http"
	"testing"
)

// TestHeadersOfOneAnswerDoNotTouchEachOther, though their values lie side by side: not
// when there are many, and not when something around the service adds to one of them.
func TestHeadersOfOneAnswerDoNotTouchEachOther(t *testing.T) {
	r, w := answering(http.MethodGet)
	const n = 20
	name := func(i int) string { return fmt.Sprint("X-", i) }
	for i := range n {
		r.set(name(i), fmt.Sprint(i))
	}
	for i := range n {
		w.Header().Add(name(i), "added")
	}
	r.set(name(0), "again")
	for i := range n {
		want := fmt.Sprintf("[%d added]", i)
		if i == 0 {
			want = "[again]"
		}
		if got := fmt.Sprint(w.Header()[name(i)]); got != want {
			t.Errorf("%s is %s, not %s", name(i), got, want)
		}
	}
}

// TestHeadersStayWithTheirAnswer when the request is used for the next one.
func TestHeadersStayWithTheirAnswer(t *testing.T) {
	r, first := answering(http.MethodGet)
	r.set("Vary", "Accept")
	r.end()
	again, second := answering(http.MethodGet)
	r.begin(&route{pattern: "/"}, second, again.Request)
	r.set("Vary", "Origin")
	if first.Header().Get("Vary") != "Accept" || second.Header().Get("Vary") != "Origin" {
		t.Errorf("the first answer has %v, the second %v", first.Header(), second.Header())
	}
}

// TestALinkIsTheSameHoweverLongItsPathIs: what it is made of may exceed what is kept
// ready for it.
func TestALinkIsTheSameHoweverLongItsPathIs(t *testing.T) {
	for _, n := range []int{1, 100, 250, 255, 256, 257, 1000} {
		r, w := answering(http.MethodGet)
		r.route, r.path = &route{name: "list"}, "/"+fmt.Sprintf("%0*d", n, 7)
		p := &part{last: place{id: 3, weight: 2}, filters: []filter{{"minWeight", fmt.Sprintf("%0*d", n, 1)}, {name: "explain"}}}
		r.URL.RawQuery = "explain=true&limit=5"
		r.link(p)
		want := "<" + r.path + "?explain=true&limit=5&cursor=" + p.last.cursor(r.scope(p.filters)) + `>; rel="next"`
		if got := w.Header().Get("Link"); got != want {
			t.Errorf("of %d letters: got %s, want %s", n, got, want)
		}
		if got, ok := parseCursor("list\x00\x00minWeight="+p.filters[0].value+"\x00explain=", p.last.cursor(r.scope(p.filters))); !ok || got != p.last {
			t.Errorf("of %d letters: the cursor leads to %+v, %v", n, got, ok)
		}
	}
}
