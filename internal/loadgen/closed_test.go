package loadgen

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/client"
)

// TestTheAccountsOfAClosedLoadAreExact: whichever requests are refused for now, what
// was sent is what succeeded and what was tried again, and no error is left out.
func TestTheAccountsOfAClosedLoadAreExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bad := map[int]int{} // by number of the request
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 80), 0, 30, rapid.ID[int]).Draw(rt, "refused") {
			bad[n] = rapid.SampledFrom([]int{429, 502, 503, 504, lostBefore, lostAfter}).Draw(rt, "status")
		}
		workers := rapid.IntRange(1, 6).Draw(rt, "workers")
		var report Report
		var err error
		m := newModel()
		m.fail = func(n int, _ string) int { return bad[n] }
		synctest.Test(t, func(t *testing.T) {
			report, err = load(t, m, Options{Keys: "a-", Workers: workers, Reads: 10})
		})
		if err != nil || m.users != 20 || m.friends != 60 {
			rt.Fatalf("%d people, %d friendships, %v", m.users, m.friends, err)
		}
		done, retries, errors := 0, 0, 0
		for _, p := range report.Phases {
			done, retries = done+p.Done, retries+p.Retries
			for _, n := range p.Errors {
				errors += n
			}
		}
		if done != 90 || retries != len(bad) || errors != len(bad) || m.n != done+retries {
			rt.Fatalf("%d done, %d retries, %d errors of %d requests, %d refused", done, retries, errors, m.n, len(bad))
		}
		if (len(report.Void()) == 0) != (len(bad) == 0) {
			rt.Fatalf("%d were refused, void: %q", len(bad), report.Void())
		}
	})
}

// TestAWorkerHasOneRequestUnderWay: a closed load never asks for more at once than
// there are workers, and never for less while there is work.
func TestAWorkerHasOneRequestUnderWay(t *testing.T) {
	for _, workers := range []int{1, 3, 20, 500} {
		b := &busy{takes: slices.Repeat([]time.Duration{time.Second}, 200)}
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			_, err := Run(t.Context(), Options{
				Client: client.New("http://busy", &http.Client{Transport: b}), Workers: workers, Graph: Random(60, 0, 1), Keys: "a-",
			})
			at := min(workers, 60)
			if want := time.Duration((60+at-1)/at) * time.Second; err != nil || b.most != at || time.Since(began) != want {
				t.Errorf("%d workers: %d under way, took %v, want %v, %v", workers, b.most, time.Since(began), want, err)
			}
		})
	}
}

// TestALatencyOfAClosedLoadIsTheLastAttempts: as the report says; that there were
// others makes it void.
func TestALatencyOfAClosedLoadIsTheLastAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n++; n == 1 {
				time.Sleep(time.Minute)
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			time.Sleep(20 * time.Millisecond)
			_, _ = w.Write([]byte(`{"id":1}`))
		})
		report, err := Run(t.Context(), Options{
			Client: client.New("http://slow", &http.Client{Transport: InProcess{Handler: h}}), Workers: 1, Graph: Random(2, 0, 1), Keys: "a-",
		})
		if err != nil || len(report.Void()) != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		if p := report.Phases[0]; p.Max.Round(time.Millisecond) != 20*time.Millisecond || p.Took < time.Minute {
			t.Errorf("%+v", p)
		}
	})
}

// TestGraphFilesAgainstATable: any list of pairs, in any of the forms.
func TestGraphFilesAgainstATable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := rapid.SampledFrom([]string{"%d %d\n", "%d\t%d\t1.5\n", "%d,%d\r\n", "%d;%d\n\n# more\n"}).Draw(t, "form")
		var text bytes.Buffer
		if rapid.Bool().Draw(t, "header") {
			text.WriteString("from to\n")
		}
		selves, repeated := 0, 0
		friends, people := map[[2]int64]bool{}, map[int64]bool{}
		text.WriteString("% two people at least\n")
		for i := range rapid.IntRange(1, 40).Draw(t, "lines") {
			x, y := rapid.Int64Range(-5, 5).Draw(t, "x"), rapid.Int64Range(-5, 5).Draw(t, "y")
			if i == 0 {
				x, y = 100, 200
			}
			fmt.Fprintf(&text, form, x, y)
			pair := [2]int64{min(x, y), max(x, y)}
			switch {
			case x == y:
				selves++
			case friends[pair]:
				repeated++
			default:
				friends[pair], people[x], people[y] = true, true, true
			}
		}
		g, err := ReadGraph(&text, "f")
		if err != nil || g.Selves != selves || g.Repeated != repeated || len(g.Friendships) != len(friends) || len(g.People) != len(people) {
			t.Fatalf("%+v, %v; want %d people, %d friendships", g, err, len(people), len(friends))
		}
		for _, f := range g.Friendships {
			x, y := g.People[f[0]], g.People[f[1]]
			if !friends[[2]int64{min(x, y), max(x, y)}] {
				t.Fatalf("%d and %d are no friends", x, y)
			}
		}
	})
}

func TestARandomNetworkIsASimpleGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people, friendships := rapid.IntRange(0, 40).Draw(t, "people"), rapid.IntRange(-3, 900).Draw(t, "friendships")
		g := Random(people, friendships, rapid.Uint64().Draw(t, "seed"))
		seen := map[[2]int]bool{}
		for _, p := range g.Friendships {
			if p[0] == p[1] || p[0] < 0 || p[1] < 0 || max(p[0], p[1]) >= people || seen[pairOf(p[0], p[1])] {
				t.Fatalf("%v in a network of %d", p, people)
			}
			seen[pairOf(p[0], p[1])] = true
		}
		if want := max(0, min(friendships, people*(people-1)/4)); len(seen) != want || len(g.People) != people {
			t.Fatalf("%d friendships of %d people, want %d", len(seen), len(g.People), want)
		}
	})
}

// FuzzMix: a mix that is taken is written so that it is read again as it was.
func FuzzMix(f *testing.F) {
	f.Add("create=5,add=20,remove=2,erase=0,friends=20,recommend=40,mutual=10,get=3")
	f.Add(" get=1 , add=0")
	f.Fuzz(func(t *testing.T, text string) {
		var m, again Mix
		if m.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(m.String())); err != nil || !slices.Equal(m, again) || m.total() < 1 || len(m) > len(Kinds()) {
			t.Fatalf("%q is %v, then %v, %v", text, m, again, err)
		}
		for _, n := range []int{0, m.total() / 2, m.total() - 1} {
			kind := m.draw(n)
			if i := slices.IndexFunc(m, func(s Share) bool { return s.Kind == kind }); m[i].Weight == 0 {
				t.Fatalf("%q draws %s", text, kind)
			}
		}
	})
}

// FuzzRate: a rate that is taken can be kept.
func FuzzRate(f *testing.F) {
	f.Add("500/s")
	f.Add("1e3")
	f.Add("0x1p-2")
	f.Fuzz(func(t *testing.T, text string) {
		var r Rate
		if r.UnmarshalText([]byte(text)) == nil && !(r > 0 && r <= MaxRate) {
			t.Fatalf("%q is %v", text, r)
		}
	})
}

// full is a disk without room.
type full struct{}

// Write implements io.Writer.
func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("no space left") }

func TestAReportThatCanNotBeWrittenSaysSo(t *testing.T) {
	about, closed, open := example()
	for name, err := range map[string]error{
		"closed": closed.Write(full{}), "open": open.Write(full{}), "document": NewDocument(about, closed, open).Write(full{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestProgressOfAClosedLoadComesToItsEnd: each piece of work is told once.
func TestProgressOfAClosedLoadComesToItsEnd(t *testing.T) {
	var mu sync.Mutex
	told := map[string][]int{}
	if _, err := load(t, newModel(), Options{Keys: "a-", Workers: 5, Reads: 7, Progress: func(phase string, done, total int) {
		mu.Lock()
		defer mu.Unlock()
		told[fmt.Sprintf("%s of %d", phase, total)] = append(told[fmt.Sprintf("%s of %d", phase, total)], done)
	}}); err != nil {
		t.Fatal(err)
	}
	for phase, n := range map[string]int{"users of 20": 20, "friendships of 60": 60, "reads of 7": 7} {
		slices.Sort(told[phase])
		if len(told[phase]) != n || told[phase][0] != 1 || told[phase][n-1] != n {
			t.Errorf("%s: %v", phase, told[phase])
		}
	}
}
