package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// askTimeout is how long the doctor waits for one answer.
const askTimeout = 3 * time.Second

// checkPorts looks whether each port could be listened on.
func (e *examination) checkPorts(ctx context.Context, f *findings) {
	for _, p := range e.flags.parts() {
		_, port, err := net.SplitHostPort(p.addr)
		if err != nil || port == "0" { // off, or said before
			continue
		}
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", p.addr)
		switch {
		case err == nil:
			_ = l.Close()
			f.ok("%s is free for %s", p.addr, p.name)
		case errors.Is(err, syscall.EADDRINUSE):
			e.checkOwner(ctx, f, p.name, p.addr)
		default:
			f.add(problem, fmt.Sprintf("Choose another with --%s-addr.", p.name), "%s can't be listened on: %v", p.addr, err)
		}
	}
}

// checkOwner says who has a port. The same system, running, is as it should be.
func (e *examination) checkOwner(ctx context.Context, f *findings, name, addr string) {
	do := fmt.Sprintf("Stop it, or choose another port with --%s-addr.", name)
	service := serviceAt(ctx, addr)
	switch {
	case service != "" && e.holder != "":
		f.ok("%s is in use by an Ensemble that runs (%s)", addr, service)
	case service != "":
		f.add(problem, do, "%s for %s is in use by an Ensemble that runs on another folder (%s)", addr, name, service)
	default:
		f.add(problem, do, "%s for %s is in use by %s", addr, name, listenerOf(e.proc, addr))
	}
}

// serviceAt asks who answers at an address; "" if it is none of ours.
func serviceAt(ctx context.Context, addr string) string {
	var info struct {
		Build struct{ Name, Version string }
	}
	if _, err := askJSON(ctx, "http://"+addr+"/actuator/info", &info); err != nil || info.Build.Name == "" {
		return ""
	}
	return info.Build.Name + " " + info.Build.Version
}

// askJSON gets a JSON document, of a megabyte at most.
func askJSON(ctx context.Context, url string, v any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(v); err != nil {
		return resp.StatusCode, fmt.Errorf("its answer is no JSON: %w", err)
	}
	return resp.StatusCode, nil
}

// Who has a port is found as lsof finds it: the table of sockets gives the inode of the
// one that listens, and the process is the one with a link to that inode among its open
// files. Only root sees the files of other users' processes; then, and on other systems
// than Linux, it is somebody.

// somebody is who it was when nothing says so.
const somebody = "another program"

// listenerOf says which process listens on a port, where Linux tells.
func listenerOf(proc, addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return somebody
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return somebody
	}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		for _, fields := range linesOf(filepath.Join(proc, table)) {
			// sl, local address, remote address, state (0A: listening), …, inode (proc_net_tcp)
			if len(fields) > 9 && fields[3] == "0A" && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", number)) {
				return processWith(proc, "socket:["+fields[9]+"]")
			}
		}
	}
	return somebody
}

// processWith returns the process that has a file open, by what its link says.
func processWith(proc, link string) string {
	paths, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*")) // the pattern is right
	for _, path := range paths {
		if target, err := os.Readlink(path); err == nil && target == link {
			return processName(proc, filepath.Base(filepath.Dir(filepath.Dir(path))))
		}
	}
	return somebody
}

// processName returns what a process is called.
func processName(proc, pid string) string {
	name, err := os.ReadFile(filepath.Join(proc, pid, "comm")) //nolint:gosec // a path of the system
	if err != nil {
		return "process " + pid
	}
	return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
}

// linesOf returns the fields of each line of a file; none if it can't be read.
func linesOf(path string) (lines [][]string) {
	file, err := os.Open(path) //nolint:gosec // a path of the system
	if err != nil {
		return nil
	}
	defer file.Close() //nolint:errcheck // only read
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		lines = append(lines, strings.Fields(scanner.Text()))
	}
	return lines
}
