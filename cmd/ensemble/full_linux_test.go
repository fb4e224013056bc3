package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ensemble/client"
	"ensemble/wire"
)

// TestAFullDiskRefusesWritesGoesOnReadingAndRecovers fills a real, small file
// system. It needs the right to mount one; package eventstore/sqlite tests the
// same with a file that may not grow.
func TestAFullDiskRefusesWritesGoesOnReadingAndRecovers(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("no right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	data := filepath.Join(disk, "data")
	r := start(t, data, "--log-level", "error")
	c := r.client()
	acknowledged := 0
	for {
		_, _, err := c.CreateUser(t.Context(), "Ada", "Lovelace", "")
		if err == nil {
			acknowledged++
			continue
		}
		problem, ok := errors.AsType[*client.ProblemError](err)
		if !ok || problem.Slug() != wire.StorageFull || problem.RetryAfter == 0 {
			t.Fatalf("after %d people: %v", acknowledged, err)
		}
		break
	}
	if acknowledged < 100 {
		t.Fatalf("full after %d people", acknowledged)
	}
	for range 3 {
		if u, _, err := c.User(t.Context(), int64(acknowledged)); err != nil || u.FirstName != "Ada" {
			t.Fatalf("reading on a full disk: %+v, %v", u, err)
		}
		if _, _, err := c.CreateUser(t.Context(), "Eve", "", ""); err == nil {
			t.Fatal("a full disk took a command")
		}
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	u, _, err := c.CreateUser(t.Context(), "Bob", "", "")
	if err != nil || u.ID != int64(acknowledged)+1 {
		t.Fatalf("after there was space again: %+v, %v; %d before", u, err, acknowledged)
	}
	if code := r.end(); code != 0 {
		t.Fatalf("it ended with %d: %s", code, r.stderr)
	}
	r = start(t, data)
	if u, _, err := r.client().User(t.Context(), int64(acknowledged)+1); err != nil || u.FirstName != "Bob" {
		t.Fatalf("after a restart: %+v, %v", u, err)
	}
}

// TestADiskThatMayNotBeWrittenIsNamed: also for the superuser, whom no mode stops.
func TestADiskThatMayNotBeWrittenIsNamed(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("no right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	data := filepath.Join(disk, "data")
	start(t, data).end()
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{data, filepath.Join(disk, "new")} {
		_, err := tryStart(t, folder)
		if err == nil || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), "writable") && !strings.Contains(err.Error(), "--data") {
			t.Errorf("%s: it says %v", folder, err)
		}
	}
}
