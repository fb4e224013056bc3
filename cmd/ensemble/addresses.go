package main

import (
	"fmt"
	"io"
	"strings"

	"ensemble/internal/telemetry"
)

// print shows a person where everything is, and three things to try.
func (l listeners) print(out io.Writer, demo bool) error {
	var b strings.Builder
	bold, plain := l.list(&b, out, "Ensemble is up.")
	gateway := "http://" + l.address("edge")
	if l.address("edge") != "" {
		fmt.Fprintf(&b, "\n%sThree things to try:%s\n\n", bold, plain)
		for _, line := range tries(gateway, demo) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	_, err := fmt.Fprintln(out, b.String())
	return err
}

// list writes what is up and where it listens, in colour for a terminal, and returns what
// makes text bold there.
func (l listeners) list(b *strings.Builder, out io.Writer, title string) (bold, plain string) {
	if telemetry.IsTerminal(out) {
		bold, plain = "\x1b[1m", "\x1b[0m"
	}
	fmt.Fprintf(b, "\n%s%s%s Stop it with Ctrl-C.\n\n", bold, title, plain)
	for _, one := range l {
		fmt.Fprintf(b, "  %-15s http://%s\n", one.name, one.Addr())
	}
	return bold, plain
}

// tries are commands that work as printed. Without the demonstration's people the
// first makes one.
func tries(gateway string, demo bool) []string {
	create := "curl -X POST " + gateway + "/user/v1/users -H 'Content-Type: application/json' " +
		`-d '{"firstName":"Ada","lastName":"Lovelace"}'`
	if !demo {
		return []string{
			create,
			"curl " + gateway + "/user/v1/users",
			"curl " + gateway + "/actuator/health",
		}
	}
	return []string{
		"curl '" + gateway + "/recommendation/v1/users/1/commands/recommendFriends?limit=3'",
		"curl '" + gateway + "/friend/v1/users/1/friends?limit=3'",
		create,
	}
}
