package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAFullDiskForSnapshotsIsSaidOnceAndSurvived: a real, small file system where the
// snapshots are to be. It needs the right to mount one; package recommendation/memory
// tests a writer that fails at each byte.
func TestAFullDiskForSnapshotsIsSaidOnceAndSurvived(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	in := filepath.Join(data, snapshotDir)
	if err := os.MkdirAll(in, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := func(flags uintptr, options string) (err error) {
		for { // it can't be made read-only in the middle of a writing
			if err = unix.Mount("tmpfs", in, "tmpfs", flags, options); !errors.Is(err, unix.EBUSY) {
				return err
			}
		}
	}
	if err := mount(0, "size=16k,mode=700"); err != nil {
		t.Skipf("no right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(in, unix.MNT_DETACH) })
	r := start(t, data, "--snapshot-every", "5ms")
	c := r.client()
	for n := range leastEvents {
		if _, _, err := c.CreateUser(t.Context(), fmt.Sprint("Person-", n), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	const unwritten = "no snapshot of the graph could be written"
	waitFor(t, r.stderr, unwritten)
	for range 50 { // people are served while it is tried again
		if _, _, err := c.CreateUser(t.Context(), "Ada", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if said := r.stderr.String(); strings.Count(said, unwritten) != 1 || !strings.Contains(said, "no space left on device") {
		t.Errorf("it says %s", said)
	}
	if files := filesIn(t, in); len(files) > 1 {
		t.Errorf("what could not be written takes room: %v", files)
	}
	if err := mount(unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.CreateUser(t.Context(), "Eve", "", ""); err != nil {
		t.Errorf("with a folder that may not be written: %v", err)
	}
	if err := mount(unix.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	for len((&snapshotFolder{dir: in}).find()) == 0 {
		if _, _, err := c.CreateUser(t.Context(), "Bob", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if code := r.end(); code != 0 {
		t.Errorf("it ended with %d: %s", code, r.stderr)
	}
	if got := newest(t, data); got.meta.Logs[0].Position < leastEvents+51 {
		t.Errorf("the snapshot of the stop holds %d people", got.meta.Logs[0].Position)
	}
	verified(t, data)
	// From a disk that may only be read, snapshots are read.
	if err := mount(unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	r = start(t, data, "--log-level", "info")
	if _, _, err := r.client().CreateUser(t.Context(), "Zoe", "", ""); err != nil {
		t.Error(err)
	}
	if code := r.end(); code != 0 || !strings.Contains(r.stderr.String(), loaded) || strings.Count(r.stderr.String(), unwritten) != 1 {
		t.Errorf("it ended with %d and says %s", code, r.stderr)
	}
}
