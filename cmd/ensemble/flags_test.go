package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"ensemble/internal/bench"
	"ensemble/internal/loadgen"
)

// TestFlagsThatCanNotBe: each is named with what it may be, before anything is read
// or sent; there is nobody at the target.
func TestFlagsThatCanNotBe(t *testing.T) {
	people, friends, _ := writeNetwork(t, 2)
	for args, says := range map[string]string{
		"load --users 1":                               "--users has to be at least 2",
		"load --users 0":                               "--users has to be at least 2",
		"load --friendships=-1":                        "--friendships and --reads can't be negative",
		"load --reads=-1":                              "--friendships and --reads can't be negative",
		"load --clients 0":                             "--clients has to be from 1 to 4096",
		"load --clients 4097":                          "--clients has to be from 1 to 4096",
		"load --rate 0":                                "not a number of requests a second",
		"load --rate=-5/s":                             "not a number of requests a second",
		"load --rate fast":                             "not a number of requests a second",
		"load --rate 5 --ramp=-1s":                     "--ramp and --warmup can't be negative",
		"load --rate 5 --warmup=-1s":                   "--ramp and --warmup can't be negative",
		"load --rate 5 --duration=-1s":                 "--duration has to be above 0",
		"load --rate 5 --duration soon":                "--duration",
		"load --rate 5 --mix get":                      "is not KIND=WEIGHT",
		"load --rate 5 --mix get=1,get=1":              "stands there twice",
		"load --rate 5 --mix erase=0":                  "above 0",
		"load --rate 5 --in-flight 16385":              "--in-flight has to be from 1 to 16384",
		"load --rate 5 --arrivals monthly":             "--arrivals",
		"load --graph /nowhere":                        "--graph",
		"load --seed -1":                               "--seed",
		"import":                                       "name a file with --people, --friends or both",
		"import --map m":                               "name a file with --people, --friends or both",
		"import --people " + people:                    "--people needs --map FILE",
		"import --friends " + friends + " --clients 0": "--clients has to be from 1 to 4096",
		"import --friends " + friends + " --odd=-1":    "--odd has to be from 0 to 1000000",
		"import --friends /nowhere":                    "--friends",
		"import --friends " + friends + " surplus":     "surplus",
		"export":            "--people",
		"export --people p": "--friends",
		"export --people p --friends f --format xml": "--format",
		"export --people p --friends f --clients 0":  "--clients has to be from 1 to 4096",
		"bench everything":                           "must be one of",
		"bench log --events 999":                     "--events has to be from 1000 to 100000000",
		"bench log --streams 10":                     "--streams has to be from 1000 to 100000000",
		"bench graph --people 999":                   "--people has to be from 1000 to 100000000",
		"bench graph --queries 9":                    "--queries has to be from 100 to 100000000",
		"bench http --requests 99":                   "--requests has to be from 100 to 1000000",
		"bench http --requests 1000001":              "--requests has to be from 100 to 1000000",
		"bench http --profile /nowhere":              "--profile",
		"bench --dir /nowhere":                       "--dir",
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(args), &out, &errs)
		if code == 0 || out.Len() != 0 || !strings.Contains(errs.String(), says) {
			t.Errorf("%s: %d, %s%s", args, code, &out, &errs)
		}
	}
}

// TestNobodyIsAtTheTarget: each command that needs a system says which one it did not
// find, and ends with its context.
func TestNobodyIsAtTheTarget(t *testing.T) {
	people, friends, _ := writeNetwork(t, 3)
	dir := t.TempDir()
	for _, args := range []string{
		"load --users 2 --friendships 1 --reads 1",
		"import --people " + people + " --friends " + friends + " --map " + dir + "/m",
		"export --people " + dir + "/p --friends " + dir + "/f",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		var out, errs bytes.Buffer
		code := run(ctx, append(strings.Fields(args), "--target", "http://127.0.0.1:1"), &out, &errs)
		cancel()
		if code != 1 || !strings.Contains(errs.String(), "http://127.0.0.1:1") {
			t.Errorf("%s: %d, %s%s", args, code, &out, &errs)
		}
	}
}

func TestARunIsRepeatedByTheCommandOfItsReport(t *testing.T) {
	usual := benchCmd{What: "all", People: 100_000, Queries: 10_000, Events: 200_000, Streams: 1_000_000, Request: 50_000}
	for _, c := range []struct {
		change func(*benchCmd)
		want   string
	}{
		{func(*benchCmd) {}, "ensemble bench all"},
		{func(c *benchCmd) { c.What = "log" }, "ensemble bench log"},
		{func(c *benchCmd) { c.What, c.People = "graph", 1_000_000 }, "ensemble bench graph --people 1000000"},
		{func(c *benchCmd) { c.Events, c.Request = 1000, 100 }, "ensemble bench all --events 1000 --requests 100"},
		{func(c *benchCmd) { c.What, c.Queries = "graph", 500 }, "ensemble bench graph --queries 500"},
		{func(c *benchCmd) { c.Streams = 5000 }, "ensemble bench all --streams 5000"},
	} {
		cmd := usual
		c.change(&cmd)
		if got := cmd.command(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if err := cmd.Validate(); err != nil {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}

// TestTheLogIsBenchedInAFolderThatIsEmptyAfterwards: the smallest run there is.
func TestTheLogIsBenchedInAFolderThatIsEmptyAfterwards(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"bench", "log", "--events", "1000", "--streams", "1000", "--dir", dir}, &out, &errs)
	if code != 0 || !strings.Contains(out.String(), "| replay with checksums, one core |") ||
		!strings.Contains(out.String(), "`ensemble bench log --events 1000 --streams 1000`") ||
		errs.String() != "measuring: The log on SQLite\n" {
		t.Errorf("%d: %s%s", code, &out, &errs)
	}
	if left := filesWith(t, dir, ""); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestABenchThatIsInterruptedLeavesNothing: neither files nor goroutines; the leak
// check at the end of all tests sees those.
func TestABenchThatIsInterruptedLeavesNothing(t *testing.T) {
	for _, what := range []string{"log", "graph", "http"} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		var out, errs bytes.Buffer
		code := run(ctx, []string{"bench", what, "--dir", dir}, &out, &errs)
		cancel()
		if code != 130 || out.Len() != 0 || !strings.HasPrefix(errs.String(), "measuring: ") { // 130: as a shell says of Ctrl-C
			t.Errorf("%s: %d, %s%s", what, code, &out, &errs)
		}
		if left := filesWith(t, dir, ""); len(left) != 0 {
			t.Errorf("%s left behind: %v", what, left)
		}
	}
}

// TestTheTablesOfABenchAreThoseOfItsHelp: nobody is offered a table that is not there.
func TestTheTablesOfABenchAreThoseOfItsHelp(t *testing.T) {
	var names []string
	for _, table := range (&benchCmd{}).tables(t.TempDir()) {
		names = append(names, table.name)
		if table.title == "" || table.note == "" {
			t.Errorf("%+v", table)
		}
	}
	if got := strings.Join(names, ","); got != "log,graph,http" {
		t.Errorf("%s", got)
	}
	if void := (bench.Report{}).Void(); len(void) != 0 {
		t.Errorf("%v", void)
	}
}

// TestAReportIsWholeAlsoWhenItIsVoid: what was measured is printed, and why it means
// nothing is the error.
func TestAReportIsWholeAlsoWhenItIsVoid(t *testing.T) {
	closed := loadgen.Report{Phases: []loadgen.Phase{
		{Name: "users", Done: 5, Took: time.Second, Retries: 2, Errors: map[string]int{"503 busy": 2}},
	}}
	open := &loadgen.OpenReport{Mix: "get=1", Planned: 9, Unsent: 4, InFlight: 1}
	for output, wants := range map[string][]string{
		"text": {"users     5    1s", "users: 2 × 503 busy (retries: 2)", "open load: get=1", "4 were never sent"},
		"json": {`"done": 5`, `"unsent": 4`, `"users: 2 × 503 busy"`},
	} {
		var out bytes.Buffer
		c := &loadCmd{Output: output}
		err := c.report(&console{out: &out}, loadgen.About{Target: "http://t", Seed: 7}, closed, open)
		if err == nil || !strings.HasPrefix(err.Error(), "this run is void: users: 2 × 503 busy; 4 of 9 requests were never sent") {
			t.Errorf("%s: %v", output, err)
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s lacks %q:\n%s", output, want, &out)
			}
		}
	}
}
