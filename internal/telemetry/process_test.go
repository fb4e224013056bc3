package telemetry

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// machine makes a folder like /proc.
func machine(t *testing.T, stat, load string) string {
	t.Helper()
	dir := t.TempDir()
	setMachine(t, dir, stat, load)
	return dir
}

// setMachine lets the machine say something else.
func setMachine(t *testing.T, dir, stat, load string) {
	t.Helper()
	for name, text := range map[string]string{"stat": stat, "loadavg": load} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheProcessIsMeasuredBySpringsNames(t *testing.T) {
	m := NewMetrics()
	m.SetEnvironment("kubernetes")
	text := page(t, m, "friend-service")
	names := []string{"process_uptime_seconds", "system_cpu_count"}
	if runtime.GOOS == "linux" {
		names = append(names, "process_start_time_seconds", "process_cpu_usage", "system_cpu_usage", "system_load_average_1m")
	}
	for _, name := range names {
		if !strings.Contains(text, "\n"+name+`{application="friend-service",environment="kubernetes"} `) {
			t.Errorf("no %s in\n%s", name, text)
		}
	}
	if strings.Contains(text, "jvm_") {
		t.Error("it pretends to be a Java machine")
	}
}

func TestSharesAreMeasuredBetweenTwoLooks(t *testing.T) {
	dir := machine(t, "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n", "0.52 0.58 0.59 1/467 11111\n")
	p := newProcess(dir)[1].(*process)
	now := time.Now().Add(10 * time.Second)
	setMachine(t, dir, "cpu  200 50 150 900 100 0 0 0 900 0\n", "1.5 1 1 1/1 1\n")
	shares := p.sample(now)
	// 100 user, 50 nice, 50 system of those and 100 idle, 100 waiting; guests count as users.
	if shares["system_cpu_usage"] != .5 || shares["system_load_average_1m"] != 1.5 {
		t.Errorf("shares %v", shares)
	}
	setMachine(t, dir, "cpu  300 50 150 900 100 0 0 0 0 0\n", "9 9 9 1/1 1\n")
	if again := p.sample(now.Add(time.Millisecond)); again["system_cpu_usage"] != .5 || again["system_load_average_1m"] != 1.5 {
		t.Errorf("a look right after shows what the look costs: %v", again)
	}
	if later := p.sample(now.Add(time.Minute)); later["system_cpu_usage"] != 1 || later["system_load_average_1m"] != 9 {
		t.Errorf("later %v", later)
	}
	if usage := shares["process_cpu_usage"]; runtime.GOOS == "linux" && (usage < 0 || usage > 1) {
		t.Errorf("the process used %v", usage)
	}
}

// TestWhatCanNotBeKnownIsNotMadeUp: a share of 0 would be a lie.
func TestWhatCanNotBeKnownIsNotMadeUp(t *testing.T) {
	for name, texts := range map[string][2]string{
		"no such files":  {"", ""},
		"empty":          {"\n", "\n"},
		"other words":    {"intr 1 2 3 4 5\n", "none\n"},
		"no numbers":     {"cpu a b c d e\n", "x y z\n"},
		"too few fields": {"cpu 1 2 3\n", "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(machine(t, texts[0], texts[1]))[1].(*process)
			shares := p.sample(time.Now().Add(time.Minute))
			for _, metric := range []string{"system_cpu_usage", "system_load_average_1m"} {
				if value, ok := shares[metric]; ok {
					t.Errorf("%s is said to be %v", metric, value)
				}
			}
		})
	}
}

func TestASharePartlyRunBackwardsIsNone(t *testing.T) {
	for _, c := range []struct{ part, whole, want float64 }{
		{1, 2, .5}, {-1, 2, 0}, {3, 2, 1}, {1, 0, 0}, {1, -5, 0}, {0, 1, 0},
	} {
		if got := share(c.part, c.whole); got != c.want {
			t.Errorf("%v of %v is %v, want %v", c.part, c.whole, got, c.want)
		}
	}
}

func FuzzReadTicks(f *testing.F) {
	for _, seed := range []string{"cpu  1 2 3 4 5 6 7 8 9 10\n", "cpu", "cpu 1e309 -1 NaN 4 5", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "stat")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := readTicks(path); ok && !strings.HasPrefix(strings.TrimSpace(text), "cpu") {
			t.Fatalf("%q was taken for times of processors", text)
		}
	})
}
