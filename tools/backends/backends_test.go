// Package backends tests scripts/backends with real servers: what it starts answers, stops,
// and comes back after a crash with what it had.
package backends

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// script is scripts/backends with folders of its own.
type script struct {
	state string
	env   []string
}

// open returns the script; at the end of the test nothing runs any more.
func open(t *testing.T, env ...string) script {
	t.Helper()
	if !slices.Contains(strings.Split(os.Getenv("ENSEMBLE_REQUIRE"), ","), "pg") {
		t.Skip("starts real servers, which may have to be fetched: ENSEMBLE_REQUIRE=pg")
	}
	dir := t.TempDir()
	s := script{state: filepath.Join(dir, "state")}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // Postgres runs as somebody else
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "ENSEMBLE_BACKENDS_STATE="+s.state)
	s.env = append(s.env, env...)
	t.Cleanup(func() { s.run(t, 0, "down") })
	return s
}

// run returns what the script says, which has to exit with a code.
func (s script) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := exec.Command("../../scripts/backends", args...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s: exit code %d, want %d (%v)\n%s", strings.Join(args, " "), got, code, err, out)
	}
	return string(out)
}

// says fails unless a text has all parts.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// file returns what the script wrote about its Postgres.
func (s script) file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.state, "pg", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// pid returns the process that the script recorded.
func (s script) pid(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.Fields(s.file(t, "pid"))[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// identity returns what is the same for as long as the data is: when initdb was run.
func (s script) identity(t *testing.T) string {
	t.Helper()
	info, err := os.Stat(filepath.Join(s.state, "pg/data/PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime().String()
}

// listens says whether somebody takes connections at the recorded port.
func (s script) listens(t *testing.T) bool {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.file(t, "port"))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func TestAServerIsStartedOnceAndStoppedOnce(t *testing.T) {
	s := open(t)
	says(t, s.run(t, 1, "status", "pg"), "pg: does not run")
	says(t, s.run(t, 0, "up", "pg"), "starting PostgreSQL", "ready: PostgreSQL")
	address := regexp.MustCompile(`^export ENSEMBLE_POSTGRES='postgres://postgres@127\.0\.0\.1:(\d+)/postgres\?sslmode=disable'\n$`)
	if env := s.run(t, 0, "env"); !address.MatchString(env) || address.FindStringSubmatch(env)[1] != s.file(t, "port") {
		t.Errorf("the environment is %q", env)
	}
	if !s.listens(t) {
		t.Error("nobody takes connections")
	}
	pid := s.pid(t)
	says(t, s.run(t, 0, "status", "pg"), "PostgreSQL", "process "+strconv.Itoa(pid))
	says(t, s.run(t, 1, "status"), "kafka: does not run", "neo4j: does not run")
	says(t, s.run(t, 0, "up", "pg"), "pg runs already")
	if again := s.pid(t); again != pid {
		t.Errorf("process %d became %d", pid, again)
	}
	says(t, s.run(t, 0, "down", "pg"), "pg stopped; its data stays")
	if s.listens(t) {
		t.Error("somebody takes connections after the end")
	}
	says(t, s.run(t, 0, "down"), "pg does not run")
	if env := s.run(t, 0, "env"); env != "" {
		t.Errorf("the environment after the end is %q", env)
	}
}

func TestDataAndPortsOutliveAStopAndACrash(t *testing.T) {
	s := open(t)
	s.run(t, 0, "up", "pg")
	port, identity := s.file(t, "port"), s.identity(t)
	s.run(t, 0, "down", "pg")
	s.run(t, 0, "up", "pg")
	if err := syscall.Kill(s.pid(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.run(t, 0, "up", "pg")
	if s.file(t, "port") != port || s.identity(t) != identity {
		t.Errorf("port %s, initialised %s, became port %s, initialised %s", port, identity, s.file(t, "port"), s.identity(t))
	}
	says(t, s.run(t, 0, "status", "pg"), "PostgreSQL")
}

// TestAProcessThatIsNotOursIsLeftAlone: the recorded number may belong to another by now.
func TestAProcessThatIsNotOursIsLeftAlone(t *testing.T) {
	s := open(t)
	s.run(t, 0, "up", "pg")
	s.run(t, 0, "down", "pg")
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	record := strconv.Itoa(other.Process.Pid) + " 12345\n" // born at another time
	if err := os.WriteFile(filepath.Join(s.state, "pg/pid"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, s.run(t, 1, "status", "pg"), "does not run")
	s.run(t, 0, "down", "pg")
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process is gone: %v", err)
	}
}

// TestAPortThatIsTakenMeanwhileIsReplaced by another free one.
func TestAPortThatIsTakenMeanwhileIsReplaced(t *testing.T) {
	s := open(t)
	s.run(t, 0, "up", "pg")
	s.run(t, 0, "down", "pg")
	before := s.file(t, "port")
	other, err := net.Listen("tcp", "127.0.0.1:"+before)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.run(t, 0, "up", "pg")
	if after := s.file(t, "port"); after == before || !s.listens(t) {
		t.Errorf("the port is %s, and was %s", after, before)
	}
}

// TestWhatIsWrongIsSaidWithItsFix.
func TestWhatIsWrongIsSaidWithItsFix(t *testing.T) {
	s := open(t)
	says(t, s.run(t, 0, "--help"), "usage:", s.state, "ENSEMBLE_BACKENDS_WAIT")
	says(t, s.run(t, 2), "usage:")
	says(t, s.run(t, 1, "up", "mysql"), "there is no server named mysql", "fix: name pg, kafka or neo4j")
	says(t, s.run(t, 1, "env"), "nothing was started", "fix: scripts/backends up")
	s.run(t, 0, "up", "pg")
	s.run(t, 0, "down", "pg")
	version := filepath.Join(s.state, "pg/data/PG_VERSION")
	real := s.file(t, "data/PG_VERSION")
	if err := os.WriteFile(version, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, s.run(t, 1, "up", "pg"), "the data is PostgreSQL 9's, the server is "+real, "fix: remove "+s.state+"/pg")
	if err := os.Remove(version); err != nil { // as of an initdb that was killed: made anew
		t.Fatal(err)
	}
	s.run(t, 0, "up", "pg")
	s.run(t, 0, "down", "pg")
	if err := os.WriteFile(filepath.Join(s.state, "pg/data/postgresql.conf"), []byte("nonsense = on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, s.run(t, 1, "up", "pg"), "pg ended while it started", "nonsense", "fix:")
}

// TestPostgresComesFromNpmWhereThereIsNoOtherOne.
func TestPostgresComesFromNpmWhereThereIsNoOtherOne(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm here")
	}
	s := open(t, "ENSEMBLE_BACKENDS_PG=npm")
	says(t, s.run(t, 0, "up", "pg"), "starting PostgreSQL 18.")
	if !s.listens(t) {
		t.Error("nobody takes connections")
	}
	s.env = append(s.env, "ENSEMBLE_BACKENDS_PG=") // whatever would be started now
	says(t, s.run(t, 0, "status", "pg"), "PostgreSQL 18.")
	says(t, s.run(t, 0, "versions", "pg"), "PostgreSQL 18.")
}
