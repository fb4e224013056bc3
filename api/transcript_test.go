package api_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/api/apitest"
)

var update = flag.Bool("update", false, "write the answers as they are into testdata/transcripts")

// Each transcript is a conversation with a new system, exact to the byte. A
// paragraph is a comment, a request, a line of dashes and its answer. The clock
// starts at 2000-01-01 and ticks one second before each request; the UUIDs of
// the logs, which are random, are shown as uuuuuuuu and ffffffff.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { converse(t, file) })
		})
	}
}

func converse(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := apitest.Start(t, apitest.Options{})
	user, friend := identity(t, s.UserLog), identity(t, s.FriendLog)
	hide := strings.NewReplacer(
		uuid(t, s.UserLog), "uuuuuuuu-uuuu-uuuu-uuuu-uuuuuuuuuuuu", uuid(t, s.FriendLog), "ffffffff-ffff-ffff-ffff-ffffffffffff",
		user, "uuuuuuuu", friend, "ffffffff")
	reveal := strings.NewReplacer("uuuuuuuu", user, "ffffffff", friend)
	var out strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
		request, _, _ := strings.Cut(paragraph, "\n----")
		time.Sleep(time.Second)
		s.Settle(t)
		out.WriteString(request + "\n----\n" + hide.Replace(ask(t, s, reveal.Replace(request))) + "\n")
	}
	got := strings.TrimSuffix(out.String(), "\n")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(data), got); diff != "" {
		t.Errorf("the conversation went differently (-want +got):\n%s", diff)
	}
}

// ask sends one request of a transcript and returns its answer.
func ask(t *testing.T, s *apitest.System, text string) string {
	t.Helper()
	lines := strings.Split(text, "\n")
	for len(lines) > 1 && strings.HasPrefix(lines[0], "#") {
		lines = lines[1:]
	}
	method, target, found := strings.Cut(lines[0], " ")
	if !found {
		t.Fatalf("not a request: %q", text)
	}
	headers := []string{"X-Request-Id", "request"}
	body := ""
	for _, line := range lines[1:] {
		name, value, isHeader := strings.Cut(line, ": ")
		if isHeader && !strings.HasPrefix(line, "{") {
			headers = append(headers, name, value)
		} else {
			body = line
		}
	}
	return show(s.Do(method, target, body, headers...))
}

// show writes an answer down: status, headers by name, body.
func show(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", w.Code, http.StatusText(w.Code))
	var names []string
	for name := range w.Header() {
		if name != "X-Request-Id" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(w.Header()[name], ", "))
	}
	if w.Body.Len() > 0 {
		b.WriteString(strings.TrimSuffix(strings.ReplaceAll(w.Body.String(), "\n\n", "\n(blank)\n"), "\n") + "\n")
	}
	return b.String()
}
