package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Process runs a system, or a part of one, as a child process, to be killed.
type Process struct {
	Binary string
	Data   string   // its data folder
	Dir    string   // a folder for what the harness needs
	Env    []string // variables beside those of this process
	// Args are the command and its flags. None: everything in one process, on Data.
	Args []string

	cmd    *exec.Cmd
	output output
	exited chan struct{}
	err    error // why it exited; read after exited is closed
}

// startTimeout is how long a system may take to start; a slow, shared machine with
// the race detector included.
const startTimeout = time.Minute

// Start starts the system and returns the address of its gateway once it serves; "" if
// it is a part of one that has none.
func (p *Process) Start(ctx context.Context) (address string, err error) {
	args := p.Args
	if len(args) == 0 {
		args = []string{
			"up", "--data", p.Data, "--edge-addr", "127.0.0.1:0",
			"--user-addr", "off", "--friend-addr", "off", "--recommendation-addr", "off",
		}
	}
	ready := filepath.Join(p.Dir, args[0]+".ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("remove the last ready file: %w", err)
	}
	//nolint:gosec,noctx // the binary under test; it is ended by Kill, not by a context
	p.cmd = exec.Command(p.Binary, append(args, "--ready-file", ready, "--log-level", "warn")...)
	p.output.Reset()
	p.cmd.Env = append(os.Environ(), p.Env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return "", fmt.Errorf("start the system: %w", err)
	}
	exited := make(chan struct{})
	p.exited = exited
	go func() { // ends with the child, for which Kill and Stop wait
		defer close(exited)
		p.err = p.cmd.Wait()
	}()
	return p.waitReady(ctx, ready)
}

// waitReady waits for the ready file.
func (p *Process) waitReady(ctx context.Context, ready string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if data, err := os.ReadFile(ready); err == nil { //nolint:gosec // our own file
			var addresses struct{ Edge string }
			if err := json.Unmarshal(data, &addresses); err != nil {
				return "", fmt.Errorf("read the ready file: %w", err)
			}
			return addresses.Edge, nil
		}
		select {
		case <-p.exited:
			return "", fmt.Errorf("the system ended before it served: %w\n%s", p.err, p.output.String())
		case <-ctx.Done():
			p.Kill()
			return "", fmt.Errorf("the system does not serve after %v\n%s", startTimeout, p.output.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Kill ends the system as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.exited
}

// Wait waits until the system has ended by itself.
func (p *Process) Wait() { <-p.exited }

// Stop asks the system to end, and returns how it ended.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return fmt.Errorf("stop the system: %w", err)
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(startTimeout):
		p.Kill()
		return fmt.Errorf("the system did not stop within %v\n%s", startTimeout, p.output.String())
	}
}

// Output returns what the system has printed since its start.
func (p *Process) Output() string { return p.output.String() }

// output gathers what a child prints.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(b)
}

// String returns what was written.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// Reset forgets what was written.
func (o *output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buffer.Reset()
}

// PID returns the id of the running process.
func (p *Process) PID() int { return p.cmd.Process.Pid }
