package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// environ is the environment, as os.Environ returns it.
type environ []string

// checkVersions says what is running where.
func (e *examination) checkVersions(_ context.Context, f *findings) {
	kernel := ""
	if text, err := os.ReadFile(e.proc + "/sys/kernel/osrelease"); err == nil {
		kernel = ", kernel " + strings.TrimSpace(string(text))
	}
	f.ok("ensemble %s, %s, %s/%s%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel)
}

// checkConfiguration looks at the file, the variables and the flags, and at what they
// make together.
func (e *examination) checkConfiguration(_ context.Context, f *findings) {
	e.checkFile(f)
	e.checkVariables(f)
	if err := e.flags.check(); err != nil {
		f.add(problem, "Change the flag, its variable or its line in the file.", "%v", err)
	}
	e.checkAddresses(f)
	if len(f.list) == 0 {
		f.ok("nothing contradicts itself")
	}
}

// checkFile looks at the file that --config names.
func (e *examination) checkFile(f *findings) {
	if e.config == "" {
		return
	}
	text, err := os.ReadFile(e.config)
	if err != nil {
		f.add(problem, "Name another file with --config, or make this one readable.", "the configuration can't be read: %v", err)
		return
	}
	values := fileValues{}
	if err := json.Unmarshal(text, &values); err != nil {
		f.add(problem, "Compare it with what 'ensemble config' prints.", "%s is not one JSON object: %v", e.config, err)
		return
	}
	known := flagsOf(e.model)
	for _, name := range sortedKeys(values) {
		if known[name] == nil {
			f.add(problem, "Correct or remove the line; 'ensemble config' shows the names.", "%s has %q, which is no flag", e.config, name)
		}
	}
}

// flagsOf returns every flag of every command.
func flagsOf(app *kong.Application) map[string]*kong.Flag {
	known := map[string]*kong.Flag{}
	nodes := []*kong.Node{app.Node}
	for len(nodes) > 0 {
		for _, flag := range nodes[0].Flags {
			known[flag.Name] = flag
		}
		nodes = append(nodes[1:], nodes[0].Children...)
	}
	return known
}

// Three kinds of variables can set nothing without anybody noticing:
//
//	ENSEMBLE_EDGE_ADDRE         a name that was mistyped
//	PORT beside SERVER_PORT     one that another one wins over
//	SPRING_DATASOURCE_URL       one that only the Spring system needs
//
// None of them is a problem: the system runs, only not as somebody meant it to.

// checkVariables looks for variables that set nothing.
func (e *examination) checkVariables(f *findings) {
	flags, set := flagsOf(e.model), map[string]bool{}
	ours := map[string]string{"ENSEMBLE_CRASH_AT": "", "ENSEMBLE_SOAK": ""} // of tests
	for name, flag := range flags {
		for _, env := range flag.Envs {
			ours[env] = name
			if isSecret(name) {
				ours[env+"_FILE"] = name
			}
		}
	}
	for _, pair := range e.env {
		name, _, _ := strings.Cut(pair, "=")
		set[name] = true
	}
	for _, name := range sortedKeys(set) {
		if _, known := ours[name]; strings.HasPrefix(name, "ENSEMBLE_") && !known {
			f.add(hint, "Correct its name or remove it; 'ensemble up --help' shows the names.", "%s is set, but no flag has this name: it does nothing", name)
		}
		if strings.HasPrefix(name, "SPRING_") || springIgnored(name) {
			e.checkSpring(f, name)
		}
	}
	for _, flag := range sortedKeys(springVariables()) {
		names := springVariables()[flag]
		winners := append(slices.Clone(flags[flag].Envs), names...)
		first := slices.IndexFunc(winners, func(name string) bool { return set[name] })
		for _, name := range names {
			switch {
			case !set[name]:
			case winners[first] != name:
				f.add(hint, "Remove one of the two.", "%s does nothing, for %s is set and wins", name, winners[first])
			default:
				f.ok("%s sets --%s", name, flag)
			}
		}
	}
}

// springIgnored says whether a variable means something to the Spring system only.
func springIgnored(name string) bool {
	return name == "KUBERNETES_TRUST_CERTIFICATES" || strings.HasPrefix(name, "EUREKA_CLIENT_") || strings.HasPrefix(name, "POSTGRES_")
}

// checkSpring says what a variable of the Spring system does here, unless it sets a
// flag.
func (*examination) checkSpring(f *findings, name string) {
	for _, names := range springVariables() {
		if slices.Contains(names, name) {
			return
		}
	}
	f.add(hint, "Remove it if nothing else reads it.", "%s of the Spring system is accepted and does nothing in 'up', which needs no other server", name)
}

// parts lists what 'up' listens for.
func (f *upFlags) parts() []part {
	return []part{
		{"edge", "edge-addr", f.EdgeAddr},
		{"user", "user-addr", f.UserAddr},
		{"friend", "friend-addr", f.FriendAddr},
		{"recommendation", "recommendation-addr", f.RecommendationAddr},
		{"discovery", "discovery-addr", f.DiscoveryAddr},
		{"admin", "admin-addr", f.AdminAddr},
	}
}

// What listening itself would refuse is refused here in the same words as far as they
// are known before: the form, loopback, and two parts on one port, which would otherwise
// show as a port in use by ourselves.

// checkAddresses looks for addresses that can't be, or can't be together.
func (e *examination) checkAddresses(f *findings) {
	taken := map[string]string{}
	for _, p := range e.flags.parts() {
		if p.addr == "off" {
			continue
		}
		host, port, err := net.SplitHostPort(p.addr)
		flag := fmt.Sprintf("--%s-addr", p.name)
		switch {
		case err != nil:
			f.add(problem, "Write it like 127.0.0.1:9000, or off.", "%s %q is not HOST:PORT", flag, p.addr)
			continue
		case !loopback(host) && !e.flags.InsecureNoAuth:
			f.add(problem, "Use 127.0.0.1, or add --insecure-no-auth if a firewall or a proxy guards it.",
				"%s %s can be reached from other machines, and there is no sign-in", flag, p.addr)
		case !loopback(host):
			f.add(hint, "Make sure that a firewall or a proxy guards it.", "%s %s lets whoever reaches it read and change everything", flag, p.addr)
		}
		if other := taken[p.addr]; other != "" && port != "0" {
			f.add(problem, "Give one of them another port.", "%s and %s are both %s", other, flag, p.addr)
		}
		taken[p.addr] = flag
	}
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
