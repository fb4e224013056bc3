package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWhatTheConfigurationGetsWrongIsSaid(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		want []string // nothing: it is well
	}{
		{name: "nothing"},
		{name: "a good file", args: []string{"--config", write("good.json", `{"demo":true}`)}},
		{"a name that is no flag", []string{"--config", write("names.json", `{"demo":true,"edge-address":"x","dada":1}`)}, nil, []string{
			`problem configuration: ` + dir + `/names.json has "dada", which is no flag → Correct or remove the line; 'ensemble config' shows the names.`,
			`problem configuration: ` + dir + `/names.json has "edge-address", which is no flag → `,
		}},
		{"no JSON", []string{"--config", write("torn.json", `{"demo":`)}, nil, []string{
			"problem configuration: " + dir + "/torn.json is not one JSON object: unexpected end of JSON input → Compare it with what 'ensemble config' prints.",
		}},
		{"no file", []string{"--config", dir + "/missing.json"}, nil, []string{
			"problem configuration: the configuration can't be read: open " + dir + "/missing.json: no such file or directory → Name another file with --config, or make this one readable.",
		}},
		{"a variable that sets nothing", nil, map[string]string{"ENSEMBLE_EDGE_ADDRE": "x"}, []string{
			"hint configuration: ENSEMBLE_EDGE_ADDRE is set, but no flag has this name: it does nothing → Correct its name or remove it; 'ensemble up --help' shows the names.",
		}},
		{"a variable that sets something", nil, map[string]string{"ENSEMBLE_USER_ADDR": "off", "ENSEMBLE_CONFIG": ""}, nil},
		{"Spring's variable beside ours", nil, map[string]string{"PORT": "1", "SERVER_PORT": "0", "ENSEMBLE_EDGE_ADDR": "127.0.0.1:0"}, []string{
			"hint configuration: SERVER_PORT does nothing, for ENSEMBLE_EDGE_ADDR is set and wins → Remove one of the two.",
			"hint configuration: PORT does nothing, for ENSEMBLE_EDGE_ADDR is set and wins → Remove one of the two.",
		}},
		{"Spring's variables that work", nil, map[string]string{
			"SPRING_PROFILES_ACTIVE": "docker", "PROMETHEUS_PUSH_ENABLED": "false", "PROMETHEUS_URL": "http://x",
		}, nil},
		{"Spring's variables that do nothing", nil, map[string]string{"SPRING_DATASOURCE_URL": "x", "KUBERNETES_TRUST_CERTIFICATES": "true", "POSTGRES_HOST": "db"}, []string{
			"hint configuration: KUBERNETES_TRUST_CERTIFICATES of the Spring system is accepted and does nothing",
			"hint configuration: POSTGRES_HOST of the Spring system is accepted and does nothing",
			"hint configuration: SPRING_DATASOURCE_URL of the Spring system is accepted and does nothing in 'up', which needs no other server → Remove it if nothing else reads it.",
		}},
		{"pushing nowhere", []string{"--prometheus-push-enabled"}, nil, []string{
			"problem configuration: --prometheus-push-enabled needs to know where to: give --prometheus-url, or leave it out → Change the flag, its variable or its line in the file.",
		}},
		{"an address for everybody", []string{"--user-addr", "0.0.0.0:0"}, nil, []string{
			"problem configuration: --user-addr 0.0.0.0:0 can be reached from other machines, and there is no sign-in → Use 127.0.0.1, or add --insecure-no-auth if a firewall or a proxy guards it.",
		}},
		{"the same on purpose", []string{"--user-addr", "0.0.0.0:0", "--insecure-no-auth"}, nil, []string{
			"hint configuration: --user-addr 0.0.0.0:0 lets whoever reaches it read and change everything → Make sure that a firewall or a proxy guards it.",
		}},
		{"no address", []string{"--user-addr", "8120"}, nil, []string{
			`problem configuration: --user-addr "8120" is not HOST:PORT → Write it like 127.0.0.1:9000, or off.`,
		}},
		{"one address for two", []string{"--user-addr", "[::1]:48121", "--friend-addr", "[::1]:48121"}, nil, []string{
			"problem configuration: --user-addr and --friend-addr are both [::1]:48121 → Give one of them another port.",
		}},
		{"any port for two", []string{"--user-addr", "127.0.0.1:0", "--friend-addr", "127.0.0.1:0"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			data := filepath.Join(t.TempDir(), "data")
			found, code := doctor(t, data, c.args...)
			var got []string
			for line := range strings.Lines(unwell(found, data)) {
				if strings.Contains(line, " configuration: ") {
					got = append(got, line)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(got), len(c.want), strings.Join(got, ""))
			}
			problems := 0
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("it says\n%swant\n%s", got[i], want)
				}
				problems += strings.Count(want, "problem ")
			}
			if c.name != "one address for two" && code != min(1, problems) { // whose port may not be there at all
				t.Errorf("ended with %d", code)
			}
		})
	}
}

// TestEverySpringNameBelongsToAFlag: a flag that was renamed would lose its variable.
func TestEverySpringNameBelongsToAFlag(t *testing.T) {
	var c cli
	parser, err := newParser(&c, &console{})
	if err != nil {
		t.Fatal(err)
	}
	flags := flagsOf(parser.Model)
	for name := range springVariables() {
		if flags[name] == nil || len(flags[name].Envs) == 0 {
			t.Errorf("there is no flag %s", name)
		}
	}
}

// TestVariablesOfTestsSetNoFlag: a test with a seed of its own would otherwise not be run
// with the one that it names.
func TestVariablesOfTestsSetNoFlag(t *testing.T) {
	var c cli
	parser, err := newParser(&c, &console{})
	if err != nil {
		t.Fatal(err)
	}
	for name, flag := range flagsOf(parser.Model) {
		for _, env := range flag.Envs {
			if slices.Contains(variablesOfTests(), env) {
				t.Errorf("%s sets --%s", env, name)
			}
		}
	}
}
