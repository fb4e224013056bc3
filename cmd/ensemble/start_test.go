package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAStartThatIsStoppedHalfwayLeavesAFolderThatStarts, wherever the stop finds it.
func TestAStartThatIsStoppedHalfwayLeavesAFolderThatStarts(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		out := new(lockedBuffer)
		code := run(ctx, []string{
			"up", "--data", data, "--edge-addr", "127.0.0.1:0", "--user-addr", "off", "--friend-addr", "off", "--recommendation-addr", "off",
		}, io.Discard, out)
		cancel()
		if strings.Contains(out.String(), "damaged") || code > 1 {
			t.Fatalf("stopped after %v it ends with %d: %s", after, code, out)
		}
	}
	r := start(t, data)
	if u, _, err := r.client().CreateUser(t.Context(), "Ada", "", ""); err != nil || u.ID != 1 {
		t.Fatalf("%+v, %v", u, err)
	}
}

// TestADemonstrationThatIsStoppedIsNotTakenForComplete: the next start goes on with it,
// as it does after kill -9.
func TestADemonstrationThatIsStoppedIsNotTakenForComplete(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	out := new(lockedBuffer)
	go func() {
		ended <- run(ctx, []string{
			"up", "--demo", "--data", data, "--edge-addr", "127.0.0.1:0", "--user-addr", "off", "--friend-addr", "off", "--recommendation-addr", "off",
		}, io.Discard, out)
	}()
	for !exists(filepath.Join(data, demoLoading)) {
		select {
		case code := <-ended:
			t.Fatalf("it ended with %d: %s", code, out)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("stopping ended with %d: %s", code, out)
	}
	if loading, loaded := exists(filepath.Join(data, demoLoading)), exists(filepath.Join(data, demoLoaded)); loading == loaded {
		t.Errorf("it is loading: %v, it is loaded: %v", loading, loaded)
	}
	verified(t, data)
}

// TestTheReadyFileIsWholeWheneverItIsThere: who waits for it never reads half of it, and
// every port in it answers.
func TestTheReadyFileIsWholeWheneverItIsThere(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready.json")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	out := new(lockedBuffer)
	go func() {
		ended <- run(ctx, []string{
			"up", "--data", filepath.Join(t.TempDir(), "data"), "--ready-file", ready, "--edge-addr", "127.0.0.1:0", "--user-addr", "127.0.0.1:0",
			"--friend-addr", "127.0.0.1:0", "--recommendation-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--discovery-addr", "off",
		}, io.Discard, out)
	}()
	var addresses map[string]string
	for {
		text, err := os.ReadFile(ready)
		if err == nil {
			if err := json.Unmarshal(text, &addresses); err != nil {
				t.Fatalf("%q is read: %v", text, err)
			}
			break
		}
		select {
		case code := <-ended:
			t.Fatalf("it ended with %d: %s", code, out)
		default:
		}
	}
	seen := map[string]bool{}
	for name, address := range addresses {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil || seen[address] || strings.HasSuffix(address, ":0") {
			t.Errorf("%s is said to be at %s: %v", name, address, err)
			continue
		}
		seen[address] = true
		_ = conn.Close()
	}
	if len(addresses) != 5 {
		t.Errorf("the addresses are %v", addresses)
	}
	if left, _ := filepath.Glob(ready + "?*"); len(left) > 0 {
		t.Errorf("beside it lies %v", left)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("it ended with %d: %s", code, out)
	}
}

// TestOfManyThatStartOnOneFolderOneRuns and the others say why they don't.
func TestOfManyThatStartOnOneFolderOneRuns(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var mu sync.Mutex
	var up []*running
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			r, err := tryStart(t, data)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				up = append(up, r)
			case !strings.Contains(err.Error(), "open in another process") && !strings.Contains(err.Error(), "in use"):
				t.Errorf("a latecomer says %v", err)
			}
		})
	}
	group.Wait()
	if len(up) > 1 {
		t.Fatalf("%d processes run on one folder", len(up))
	}
	for _, r := range up {
		if _, _, err := r.client().CreateUser(t.Context(), "Ada", "", ""); err != nil {
			t.Error(err)
		}
		r.end()
	}
	start(t, data)
}

// TestWhatIsNotATerminalGetsJSON: each line of the log is one object, with a time, a
// level and words, and no colours; the addresses are for people and go elsewhere.
func TestWhatIsNotATerminalGetsJSON(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := filepath.Join(t.TempDir(), "ready.json")
	out, logged := new(lockedBuffer), new(lockedBuffer)
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{
			"up", "--data", filepath.Join(t.TempDir(), "data"), "--ready-file", ready, "--edge-addr", "127.0.0.1:0",
			"--user-addr", "off", "--friend-addr", "off", "--recommendation-addr", "off",
		}, out, logged)
	}()
	for !exists(ready) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("it ended with %d", code)
	}
	for line := range bytes.SplitSeq(bytes.TrimSpace([]byte(logged.String())), []byte("\n")) {
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal(line, &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
	if both := out.String() + logged.String(); strings.Contains(both, "\x1b") {
		t.Errorf("there are colours in %q", both)
	}
	if !strings.Contains(out.String(), "Ensemble is up.") || strings.Contains(logged.String(), "Ensemble is up.") {
		t.Errorf("people read %q", out)
	}
}
