package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// exportFrom exports from a handler and returns the files.
func exportFrom(ctx context.Context, t *testing.T, h http.Handler, o Options) (e Exported, people, friends string, err error) {
	t.Helper()
	g := scripted(t, func(w http.ResponseWriter, r *http.Request) bool {
		h.ServeHTTP(w, r)
		return true
	})
	o.Client = g.client
	dir := t.TempDir()
	p, f := filepath.Join(dir, "p"), filepath.Join(dir, "f")
	e, err = Export(ctx, p, f, CSV, o)
	texts := map[string]string{}
	entries, failed := os.ReadDir(dir)
	for _, entry := range entries {
		text, reading := os.ReadFile(filepath.Join(dir, entry.Name()))
		failed = errors.Join(failed, reading)
		texts[entry.Name()] = string(text)
	}
	if failed != nil || len(texts) > 2 || strings.HasPrefix(entries0(entries), ".") {
		t.Errorf("%v, %v", texts, failed)
	}
	return e, texts["p"], texts["f"], err
}

// entries0 returns the name of the first file, "" without one.
func entries0(entries []os.DirEntry) string {
	if len(entries) == 0 {
		return ""
	}
	return entries[0].Name()
}

func TestFriendshipsAreInTheOrderOfTheirRowsWhoeverIsAnsweredFirst(t *testing.T) {
	for _, workers := range []int{1, 7} {
		e, people, friends, err := exportFrom(t.Context(), t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var id int
			if n, _ := fmt.Sscanf(r.URL.Path, "/friend/v1/users/%d/friends", &id); n == 1 {
				if r.URL.RawQuery != "direction=outgoing" {
					t.Errorf("asked for %s", r.URL)
				}
				// The later the person, the earlier the row.
				_, _ = fmt.Fprintf(w, `[{"id":%d,"userId":%d,"friendId":99}]`, 100-id, id)
				return
			}
			_, _ = fmt.Fprint(w, `[{"id":1,"firstName":"A","lastName":""},{"id":2,"firstName":"B","lastName":""},{"id":7,"firstName":"C","lastName":""}]`)
		}), Options{Workers: workers})
		if want := "userId,friendId\n7,99\n2,99\n1,99\n"; err != nil || friends != want || e != (Exported{People: 3, Friendships: 3}) {
			t.Errorf("%+v, %s%v", e, friends, err)
		}
		if want := "id,firstName,lastName\n1,A,\n2,B,\n7,C,\n"; people != want {
			t.Errorf("%s", people)
		}
	}
}

// TestAnExportIsPatientWithATargetThatIsBusy: each question may be answered later,
// and none is answered twice into the files.
func TestAnExportIsPatientWithATargetThatIsBusy(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	e, _, friends, err := exportFrom(t.Context(), t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		first := asked[r.URL.Path] == 1
		mu.Unlock()
		switch {
		case first:
			problem(w, http.StatusServiceUnavailable, "busy")
		case strings.HasSuffix(r.URL.Path, "friends"):
			_, _ = fmt.Fprint(w, `[{"id":1,"userId":1,"friendId":2}]`)
		default:
			_, _ = fmt.Fprint(w, `[{"id":1,"firstName":"A","lastName":""}]`)
		}
	}), Options{})
	if err != nil || e != (Exported{People: 1, Friendships: 1}) || friends != "userId,friendId\n1,2\n" {
		t.Errorf("%+v, %s%v", e, friends, err)
	}
}

// TestAnExportThatFailsLeavesWholeFilesOnly: the people, if it came so far, and never
// a part of a file.
func TestAnExportThatFailsLeavesWholeFilesOnly(t *testing.T) {
	everybody := func(w http.ResponseWriter) {
		_, _ = fmt.Fprint(w, `[{"id":1,"firstName":"A","lastName":""},{"id":2,"firstName":"B","lastName":""}]`)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		people bool // are there
		says   string
	}{
		"people are refused": {
			func(w http.ResponseWriter, _ *http.Request) { problem(w, http.StatusForbidden, "forbidden") }, false, "list people",
		},
		"people are no JSON": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") }, false, "list people",
		},
		"friends of one are refused": {func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, "/2/friends"):
				problem(w, http.StatusForbidden, "forbidden")
			case strings.HasSuffix(r.URL.Path, "friends"):
				_, _ = fmt.Fprint(w, `[]`)
			default:
				everybody(w)
			}
		}, true, "of user 2: "},
		"it is interrupted": {func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "friends") {
				cancel()
			}
			everybody(w)
		}, true, "context canceled"},
	} {
		within := t.Context()
		if name == "it is interrupted" {
			within = ctx
		}
		_, people, friends, err := exportFrom(within, t, http.HandlerFunc(c.answer), Options{Workers: 1, Page: 2 + 1})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if (people != "") != c.people || friends != "" {
			t.Errorf("%s: left %q and %q", name, people, friends)
		}
	}
}

func TestThePeopleOfAFileHaveColumnsOfAnyOrder(t *testing.T) {
	for header, want := range map[string]string{
		"id,firstName,lastName":           "x=y z",
		"firstName,lastName,id":           "z=x y",
		"ExternalID , LASTNAME,firstname": "x=z y",
		"lastName,firstName":              "1=y x",
		"a,firstName,lastName":            "1=y z",
		"firstName;lastName":              "",
		"id,firstName":                    "error",
		"id,lastName,":                    "error",
		`"id","firstName","lastName"`:     "x=y z",
		`"id,firstName`:                   "error",
	} {
		_, would, odd, err := read(t, header+"\nx,y,z\n", "")
		switch {
		case want == "error" && err != nil && strings.Contains(err.Error(), "people:1: "):
		case want == "error" || err != nil:
			t.Errorf("%s: %v", header, err)
		case strings.TrimSpace(would) != want || (odd != "") != (want == ""):
			t.Errorf("%s: %s%s", header, would, odd)
		}
	}
}

// TestWorkersAreBounded: whoever asks for three requests at once gets three.
func TestWorkersAreBounded(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	o := Options{Workers: 3}
	o.defaults()
	meet := make(chan struct{}, 3)
	err := o.all(t.Context(), "part", 30, func(context.Context, int) error {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		meet <- struct{}{}
		<-meet
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	})
	if err != nil || most > 3 || now != 0 {
		t.Errorf("%d at most, %d left, %v", most, now, err)
	}
	broken := errors.New("broken")
	done := 0
	err = (&Options{Workers: 1, Progress: func(string, int, int) { done++ }}).all(t.Context(), "part", 30, func(_ context.Context, n int) error {
		if n == 4 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "part: ") || done < 4 || done > 6 {
		t.Errorf("%d done, %v", done, err)
	}
}
