package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// fakeProc makes a folder as Linux shows it, with two processes.
func fakeProc(t *testing.T, tables map[string]string) string {
	t.Helper()
	proc := t.TempDir()
	for pid, name := range map[string]string{"12": "mail", "34": "postgres"} {
		if err := os.MkdirAll(filepath.Join(proc, pid, "fd"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("socket:["+pid+"000]", filepath.Join(proc, pid, "fd", "3")); err != nil {
			t.Skip(err)
		}
	}
	for name, text := range tables {
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

func TestWhoListensIsReadFromTheTablesOfTheSystem(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(address, state, inode string) string {
		return "   0: " + address + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000  1000        0 " + inode + " 1 0\n"
	}
	proc := fakeProc(t, map[string]string{
		"net/tcp":  head + line("0100007F:2328", "01", "12000") + line("0100007F:2328", "0A", "34000") + line("0100007F:1F90", "0A", "99000"),
		"net/tcp6": head + line("00000000000000000000000001000000:0019", "0A", "12000") + "short\n",
	})
	for addr, want := range map[string]string{
		"127.0.0.1:9000": "postgres (process 34)", // not the one that is only connected
		"[::1]:25":       "mail (process 12)",
		"127.0.0.1:8080": somebody, // of a user whose files we may not see
		"127.0.0.1:1":    somebody,
		"nonsense":       somebody,
		"127.0.0.1:nope": somebody,
	} {
		if got := listenerOf(proc, addr); got != want {
			t.Errorf("%s is said to be of %s, want %s", addr, got, want)
		}
	}
	if got := listenerOf(t.TempDir(), "127.0.0.1:9000"); got != somebody {
		t.Errorf("where nothing is told: %s", got)
	}
}

func TestWhoHoldsALockIsReadFromTheTableOfTheSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "user.db.lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inode := inodeOf(path)
	if inode == "" {
		t.Skip("files have no numbers here")
	}
	for table, want := range map[string]string{
		fmt.Sprintf("1: FLOCK  ADVISORY  WRITE 34 fe:00:%s 0 EOF\n", inode):                 "postgres (process 34)",
		fmt.Sprintf("1: FLOCK  ADVISORY  WRITE 56 fe:00:%s 0 EOF\n", inode):                 "process 56", // gone meanwhile
		fmt.Sprintf("1: POSIX  ADVISORY  WRITE 34 fe:00:%s 0 EOF\n", inode):                 somebody,
		fmt.Sprintf("1: FLOCK  ADVISORY  WRITE 34 fe:00:1%s 0 EOF\n2: -> FLOCK\n\n", inode): somebody,
		"": somebody,
	} {
		if got := lockHolder(fakeProc(t, map[string]string{"locks": table}), path); got != want {
			t.Errorf("%q: %s, want %s", table, got, want)
		}
	}
	if inodeOf(path+".missing") != "" {
		t.Error("a file that is not there has a number")
	}
}
