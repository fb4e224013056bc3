package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

// quietPorts are flags with which no port of the machine is looked at.
func quietPorts() []string {
	return []string{"--edge-addr", "127.0.0.1:0", "--user-addr", "off", "--friend-addr", "off", "--recommendation-addr", "off"}
}

// variablesOfTests are those that say what is tested, and with which servers.
func variablesOfTests() []string {
	return []string{
		"ENSEMBLE_SOAK", "ENSEMBLE_GRAPHS", "ENSEMBLE_KILL_ROUNDS", "ENSEMBLE_KILL_SEED", "ENSEMBLE_BENCH", "ENSEMBLE_RESTART_PEOPLE", "ENSEMBLE_RESTART",
		"ENSEMBLE_REQUIRE", "ENSEMBLE_POSTGRES", "ENSEMBLE_KAFKA", "ENSEMBLE_NEO4J",
	}
}

// doctor runs the command on a folder and returns what it finds and its exit code.
func doctor(t *testing.T, data string, args ...string) ([]finding, int) {
	t.Helper()
	for _, name := range variablesOfTests() {
		if value, set := os.LookupEnv(name); set { // for these tests, not for what they look at
			t.Setenv(name, value) // puts it back afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, errs := new(lockedBuffer), new(lockedBuffer)
	args = append(append([]string{"doctor", "--output", "json", "--data", data}, quietPorts()...), args...)
	code := run(t.Context(), args, out, errs)
	var found []finding
	if err := json.Unmarshal([]byte(out.String()), &found); err != nil {
		t.Fatalf("%v: %s %s", err, out, errs)
	}
	return found, code
}

// unwell returns what is not ok, a line each, with DATA for the folder.
func unwell(found []finding, data string) string {
	var b strings.Builder
	for _, f := range found {
		if f.Status != fine && !strings.Contains(f.Found, "file system") && !strings.Contains(f.Found, "in memory") &&
			!strings.Contains(f.Found, "(overlay)") && !strings.Contains(f.Found, "a sync takes") && !strings.Contains(f.Found, "GiB are free") {
			fmt.Fprintf(&b, "%s %s: %s → %s\n", f.Status, f.Area, f.Found, f.Do)
		}
	}
	return strings.ReplaceAll(b.String(), data, "DATA")
}

// goodFolder makes a folder with a little in it.
func goodFolder(t *testing.T) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	if err := fillFolder(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	if code := start(t, data).end(); code != 0 { // which writes a snapshot
		t.Fatalf("it ended with %d", code)
	}
	return data
}

// alter changes a file.
func alter(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsWrongWithAFolderIsSaidWithWhatToDo breaks a good folder in one way each.
func TestWhatIsWrongWithAFolderIsSaidWithWhatToDo(t *testing.T) {
	must := func(t *testing.T, errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, data string)
		want  string
	}{
		{"nothing", func(*testing.T, string) {}, ""},
		{"the master key can be read by others", func(t *testing.T, data string) {
			must(t, os.Chmod(filepath.Join(data, "keys", "master.key"), 0o644))
		}, "problem permissions: others may read or write DATA/keys/master.key (mode 0644) → Run 'chmod go= DATA/keys/master.key'.\n"},
		{"the folder can be read by others", func(t *testing.T, data string) {
			must(t, os.Chmod(data, 0o755))
		}, "hint permissions: others may read or write DATA (mode 0755) → Run 'chmod go= DATA'.\n"},
		{"the keys are lost", func(t *testing.T, data string) {
			must(t, os.RemoveAll(filepath.Join(data, "keys")))
		}, "problem keys: the keys can't be used: open DATA/keys/master.key: no such file or directory → " +
			"Bring their backup back with 'ensemble keys restore', into DATA/keys.\n"},
		{"the file of keys is lost", func(t *testing.T, data string) {
			must(t, os.Remove(filepath.Join(data, "keys", "keys")))
		}, "problem keys: the keys can't be used: DATA/keys/keys: open DATA/keys/keys: no such file or directory. " +
			"Make it readable, or restore it from the backup of the keys → Bring their backup back with 'ensemble keys restore', into DATA/keys.\n"},
		{"the master key is another one", func(t *testing.T, data string) {
			alter(t, filepath.Join(data, "keys", "master.key"), func([]byte) []byte { return []byte(strings.Repeat("ab", 32)) })
		}, "problem keys: the keys can't be used: DATA/keys/keys: its keys were wrapped by another master key. " +
			"Restore the master.key that belongs to it from the backup of the keys → Bring their backup back with 'ensemble keys restore', into DATA/keys.\n"},
		{"the keys belong to another folder", func(t *testing.T, data string) {
			must(t, os.RemoveAll(filepath.Join(data, "keys")), os.Rename(filepath.Join(goodFolder(t), "keys"), filepath.Join(data, "keys")))
		}, "problem keys: the keys do not open the name in event 1: they belong to other logs → " +
			"Bring back the keys that belong to these logs with 'ensemble keys restore'.\n"},
		{"one log is gone", func(t *testing.T, data string) {
			must(t, os.Remove(filepath.Join(data, "friend.db")))
		}, "problem logs: the log of friends is missing in DATA, the other is there → " +
			"Bring it back from a backup, or move the other away to begin anew.\n"},
		{"a log is something else", func(t *testing.T, data string) {
			alter(t, filepath.Join(data, "friend.db"), func([]byte) []byte { return []byte(strings.Repeat("no log ", 1000)) })
		}, "problem logs: "},
		{"a log was cut off", func(t *testing.T, data string) {
			alter(t, filepath.Join(data, "friend.db"), func(b []byte) []byte { return b[:len(b)/2] })
		}, "problem logs: "},
		{"a later version wrote the log", func(t *testing.T, data string) {
			// user_version is at byte 60 of the header (https://www.sqlite.org/fileformat.html).
			alter(t, filepath.Join(data, "friend.db"), func(b []byte) []byte { b[63] = 9; return b })
		}, "problem logs: the log DATA/friend.db has format 9, this program knows up to 1; run the version that wrote it, or a later one → " +
			"Run the version that wrote it, or a later one, or choose another folder with --data.\n"},
		{"a restore was interrupted", func(t *testing.T, data string) {
			must(t, os.WriteFile(filepath.Join(data, "restore.unfinished"), []byte("{}"), 0o600))
		}, strings.Repeat("problem logs: a restore into DATA was not finished; run 'ensemble events restore' into it again, or choose another folder → "+
			"Run 'ensemble events restore' into it again.\n", 2)},
		{"the heads belong to another log", func(t *testing.T, data string) {
			must(t, os.Rename(filepath.Join(goodFolder(t), "friend.heads"), filepath.Join(data, "friend.heads")))
		}, "hint logs: the saved heads can't be used: "},
		{"the heads are damaged", func(t *testing.T, data string) {
			alter(t, filepath.Join(data, "friend.heads"), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		}, "hint logs: the saved heads can't be used: "},
		{"a snapshot can be read by others", func(t *testing.T, data string) {
			must(t, os.Chmod(newest(t, data).path, 0o644))
		}, "hint permissions: others may read or write DATA/recommendation/1.snapshot (mode 0644) → Run 'chmod go= DATA/recommendation/1.snapshot'.\n"},
		{"a snapshot was cut off", func(t *testing.T, data string) {
			alter(t, newest(t, data).path, func(b []byte) []byte { return b[:len(b)-1] })
		}, "hint logs: the snapshot can't be used: not a usable snapshot: it is cut short: it has no foot → " +
			"Delete DATA/recommendation/1.snapshot; without one the next start makes the graph from the logs.\n"},
		{"the snapshots are not there", func(t *testing.T, data string) {
			must(t, os.RemoveAll(filepath.Join(data, snapshotDir)))
		}, ""},
		{"the heads are not there", func(t *testing.T, data string) {
			must(t, os.Remove(filepath.Join(data, "friend.heads")))
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := goodFolder(t)
			c.spoil(t, data)
			found, code := doctor(t, data)
			got := unwell(found, data)
			whole := strings.HasSuffix(c.want, "\n") || c.want == ""
			if whole && got != c.want || !strings.HasPrefix(got, c.want) || strings.Count(got, "→") != max(1, strings.Count(c.want, "→"))*min(1, len(c.want)) {
				t.Errorf("it says\n%swant\n%s", got, c.want)
			}
			if want := min(1, strings.Count(c.want, "problem")); code != want {
				t.Errorf("ended with %d, want %d", code, want)
			}
		})
	}
}

func TestAFolderThatIsNotThereYetIsNoProblem(t *testing.T) {
	data := filepath.Join(t.TempDir(), "a", "b")
	found, code := doctor(t, data)
	if got := unwell(found, data); got != "" || code != 0 {
		t.Errorf("ended with %d: %s", code, got)
	}
	if _, err := os.Stat(filepath.Dir(data)); !errors.Is(err, os.ErrNotExist) {
		t.Error("it made the folder")
	}
}

func TestAFileInThePlaceOfTheFolderIsAProblem(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	found, code := doctor(t, data)
	if got := unwell(found, data); code != 1 || !strings.Contains(got, "problem disk: DATA is no folder → Choose another folder with --data.\n") {
		t.Errorf("ended with %d: %s", code, got)
	}
}

// photograph returns every name below a folder with its time and content.
func photograph(t *testing.T, dir string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		info, _ := entry.Info()
		seen[path] = fmt.Sprint(info.Mode(), info.ModTime(), len(text), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestTheDoctorLeavesNoTrace(t *testing.T) {
	data := goodFolder(t)
	for _, leave := range []string{"", "friend.db.lock", "user.db.lock"} { // a copy of a folder may lack them
		if leave != "" {
			if err := os.Remove(filepath.Join(data, leave)); err != nil {
				t.Fatal(err)
			}
		}
		before := photograph(t, data)
		if found, code := doctor(t, data); code != 0 {
			t.Fatalf("%+v", found)
		}
		if d := cmp.Diff(before, photograph(t, data)); d != "" {
			t.Errorf("without %q: %s", leave, d)
		}
	}
}

func TestTheDoctorLooksAtARunningSystemAndDisturbsNothing(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready.json")
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data)
	fillSmall(t, r.client())
	addresses := fmt.Sprintf(`{"edge":%q,"admin":%q}`, r.edge, r.admin)
	if err := os.WriteFile(ready, []byte(addresses), 0o600); err != nil {
		t.Fatal(err)
	}
	found, code := doctor(t, data, "--ready-file", ready, "--edge-addr", r.edge)
	if got := unwell(found, data); got != "" || code != 0 {
		t.Errorf("ended with %d: %s", code, got)
	}
	all := fmt.Sprintf("%+v", found)
	wants := []string{
		"http://" + r.edge + " is UP", r.edge + " is in use by an Ensemble that runs (", "recommendation is at position", "has the logs open",
		"the log of users ends well at position 45", "the keys open the last names",
	}
	if runtime.GOOS == "linux" {
		wants = append(wants, fmt.Sprintf("(process %d) has the logs open", os.Getpid()))
	}
	for _, want := range wants {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %s", want, all)
		}
	}
	if _, _, err := r.client().CreateUser(t.Context(), "Still", "there", ""); err != nil {
		t.Error(err)
	}
}

func TestWhoHasAPortIsNamed(t *testing.T) {
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	go func() { // it answers nothing anybody understands
		for {
			c, err := taken.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 mail\r\n"))
			_ = c.Close()
		}
	}()
	data := filepath.Join(t.TempDir(), "data")
	found, code := doctor(t, data, "--user-addr", taken.Addr().String())
	got := unwell(found, data)
	who := somebody
	if runtime.GOOS == "linux" {
		who = fmt.Sprintf("(process %d)", os.Getpid())
	}
	if code != 1 || !strings.Contains(got, "problem ports: "+taken.Addr().String()+" for user is in use by ") || !strings.Contains(got, who) ||
		!strings.HasSuffix(got, "→ Stop it, or choose another port with --user-addr.\n") {
		t.Errorf("ended with %d: %s", code, got)
	}
}

func TestAnEnsembleOnAnotherFolderIsInTheWay(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "other"))
	data := filepath.Join(t.TempDir(), "data")
	found, code := doctor(t, data, "--edge-addr", r.edge)
	if got := unwell(found, data); code != 1 || !strings.HasPrefix(got, "problem ports: "+r.edge+" for edge is in use by an Ensemble that runs on another folder (") {
		t.Errorf("ended with %d: %s", code, got)
	}
}

func TestASystemThatIsNotWellIsAProblem(t *testing.T) {
	lags := `[{"projection":"recommendation","log":"user","position":5,"head":9,"behind":4,"secondsBehind":60},` +
		`{"projection":"recommendation","log":"friend","error":"boom"},{"projection":"users","log":"user","position":9,"head":9}]`
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/actuator/health":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"status":"DOWN"}`))
		case "/admin/v1/lag":
			_, _ = w.Write([]byte(lags))
		default:
			_, _ = w.Write([]byte("<html>"))
		}
	}))
	defer sick.Close()
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	data := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--target", sick.URL}, []string{"problem system: " + sick.URL + " is DOWN → Read its log, which names the component and the reason.\n"}},
		{[]string{"--target", nobody.URL + "/"}, []string{"problem system: " + nobody.URL + " does not say how it is: ", "→ Start it with 'ensemble up', or correct the address.\n"}},
		{[]string{"--target", sick.URL + "/page"}, []string{"does not say how it is: its answer is no JSON"}},
		{[]string{"--admin", sick.URL}, []string{
			"hint system: recommendation is 4 events and 60 seconds behind the log of users → Look at its processors and disk: it is slower than what is written.\n",
			"problem system: recommendation does not follow the log of friends any more: boom → Restart it; if it stops again, run 'ensemble events verify'.\n",
		}},
		{[]string{"--admin", nobody.URL}, []string{"problem system: ", "→ Give the address of the administration, which 'up' prints.\n"}},
		{[]string{"--ready-file", filepath.Join(t.TempDir(), "missing")}, nil},
	} {
		found, code := doctor(t, data, c.args...)
		got := unwell(found, data)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%v: it says %s, not %s", c.args, got, want)
			}
		}
		if want := min(1, len(c.want)); code != want || c.want == nil && got != "" {
			t.Errorf("%v: ended with %d: %s", c.args, code, got)
		}
	}
	broken := filepath.Join(t.TempDir(), "ready.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, code := doctor(t, data, "--ready-file", broken); code != 1 {
		t.Errorf("a torn ready file: %+v", found)
	}
}

func TestAClockBehindTheLogIsAProblem(t *testing.T) {
	last := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for now, want := range map[time.Time]string{
		last.Add(time.Hour):      "",
		last:                     "",
		last.Add(-time.Second):   "", // two clocks are never quite alike
		last.Add(-3 * time.Hour): "the clock stands 3h0m0s before the last event of the log of users",
	} {
		f := &findings{area: "logs"}
		checkClock(f, "user", eventstore.Head{Position: 1, Time: last}, now)
		if got := fmt.Sprint(f.list); want == "" && len(f.list) > 0 || !strings.Contains(got, want) || want != "" && f.list[0].Status != problem {
			t.Errorf("%s: %s", now, got)
		}
	}
	f := &findings{}
	if checkClock(f, "user", eventstore.Head{}, last); len(f.list) > 0 {
		t.Errorf("an empty log: %v", f.list)
	}
}

func TestVolumesAreJudged(t *testing.T) {
	for _, c := range []struct {
		volume volume
		want   string // the status of each finding
	}{
		{volume{free: 50 << 30, kind: "ext4"}, "ok ok"},
		{volume{free: 50 << 30}, "ok"},
		{volume{free: 500 << 20, kind: "xfs"}, "hint ok"},
		{volume{free: 1 << 20, kind: "xfs"}, "problem ok"},
		{volume{kind: "tmpfs"}, "problem problem"},
		{volume{free: 50 << 30, kind: "nfs"}, "ok hint"},
		{volume{free: 50 << 30, kind: "cifs"}, "ok hint"},
		{volume{free: 50 << 30, kind: "fuse"}, "ok hint"},
		{volume{free: 50 << 30, kind: "overlay"}, "ok hint"},
	} {
		f := &findings{area: "disk"}
		checkVolume(f, "/data", c.volume)
		var got []string
		for _, one := range f.list {
			got = append(got, one.Status)
			if (one.Do == "") != (one.Status == fine) {
				t.Errorf("%+v: what to do about %+v", c.volume, one)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, want %s", c.volume, f.list, c.want)
		}
	}
}

func TestSyncsAreJudged(t *testing.T) {
	for took, want := range map[time.Duration]string{
		time.Microsecond: hint, 30 * time.Microsecond: fine, time.Millisecond: fine, 20 * time.Millisecond: fine, time.Second: hint,
	} {
		f := &findings{}
		if checkSync(f, took); len(f.list) != 1 || f.list[0].Status != want {
			t.Errorf("%s: %v, want %s", took, f.list, want)
		}
	}
	dir := t.TempDir()
	if took, err := syncTime(dir); err != nil || took <= 0 {
		t.Errorf("%v, %v", took, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if _, err := syncTime(filepath.Join(dir, "missing")); err == nil {
		t.Error("a folder that is not there can be written")
	}
}
