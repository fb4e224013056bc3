package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ensemble/client"
	"ensemble/internal/chaos"
)

// writeNetwork writes files of so many people and friendships.
func writeNetwork(t *testing.T, people int) (peoplePath, friendsPath string, friendships int) {
	t.Helper()
	var p, f strings.Builder
	p.WriteString("id,firstName,lastName\n")
	for i := range people {
		fmt.Fprintf(&p, "p%d,Person%d,\n", i, i)
		for j := range min(i, 3) {
			fmt.Fprintf(&f, "p%d,p%d\n", i, (i*31+j)%i)
			friendships++
		}
	}
	peoplePath, friendsPath = filepath.Join(t.TempDir(), "people.csv"), filepath.Join(t.TempDir(), "friends.csv")
	for path, text := range map[string]string{peoplePath: p.String(), friendsPath: f.String()} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return peoplePath, friendsPath, friendships
}

// TestAnImportGoesOnAfterKillMinusNine kills the import and the system in turn, at
// ever later moments, until an import comes to its end.
func TestAnImportGoesOnAfterKillMinusNine(t *testing.T) {
	binary := buildBinary(t, "")
	people, friends, friendships := writeNetwork(t, 1500)
	ids := filepath.Join(t.TempDir(), "people.map")
	system := &chaos.Process{Binary: binary, Data: filepath.Join(t.TempDir(), "data"), Dir: t.TempDir()}
	address, err := system.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { system.Kill() }()
	begin := func() (*exec.Cmd, *bytes.Buffer, chan error) {
		var out bytes.Buffer
		cmd := exec.Command(binary, "import", "--target", "http://"+address, "--people", people, "--friends", friends, "--map", ids)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		return cmd, &out, ended
	}
	for round := 1; round <= 6; round++ {
		cmd, out, ended := begin()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("round %d: %v\n%s", round, err, out)
			}
			round = 7
			continue
		case <-time.After(time.Duration(round) * 60 * time.Millisecond):
		}
		if round%2 == 0 {
			system.Kill()
		}
		_ = cmd.Process.Kill()
		<-ended
		if round%2 == 0 {
			if address, err = system.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, out, ended := begin()
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
	checkImported(t, address, 1500, friendships)
}

// checkImported compares the numbers given by the logs with what the files held:
// they are dense, so the next ones tell how many there were.
func checkImported(t *testing.T, address string, people, friendships int) {
	t.Helper()
	c := client.New("http://"+address, nil)
	u, _, err := c.CreateUser(t.Context(), "Next", "", "")
	if err != nil || u.ID != int64(people)+1 {
		t.Fatalf("the next person is %d, want %d; %v", u.ID, people+1, err)
	}
	f, _, err := c.AddFriend(t.Context(), u.ID, 1, "")
	if err != nil || f.ID != int64(friendships)+1 {
		t.Fatalf("the next friendship is %d, want %d; %v", f.ID, friendships+1, err)
	}
}

func TestImportAndExportFromTheCommandLine(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "data"))
	people, friends, friendships := writeNetwork(t, 30)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	target := []string{"--target", "http://" + r.edge}
	command := func(want int, args ...string) (out, errs string) {
		t.Helper()
		var o, e bytes.Buffer
		if code := run(t.Context(), append(args, target...), &o, &e); code != want {
			t.Fatalf("%v ended with %d: %s%s", args, code, &o, &e)
		}
		return o.String(), e.String()
	}
	importing := []string{"import", "--people", people, "--friends", friends, "--map", in("map")}
	if out, _ := command(0, append(importing, "--dry-run")...); out !=
		fmt.Sprintf("would create 30 people (0 are in the map) and make %d friendships; nothing was sent\n", friendships) {
		t.Error(out)
	}
	for _, want := range []string{
		fmt.Sprintf("people: 30 created, 0 there before\nfriendships: %d made, 0 there before\n", friendships),
		fmt.Sprintf("people: 0 created, 30 there before\nfriendships: 0 made, %d there before\n", friendships),
	} {
		if out, errs := command(0, importing...); out != want || errs != "" {
			t.Errorf("%s%s", out, errs)
		}
	}
	exporting := []string{"export", "--people", in("p"), "--friends", in("f")}
	if out, _ := command(0, exporting...); out != fmt.Sprintf("30 people, %d friendships\n", friendships) {
		t.Error(out)
	}
	if _, errs := command(1, exporting...); !strings.Contains(errs, "name another file with --people or --friends") {
		t.Error(errs)
	}
	if out, _ := command(0, "import", "--people", in("p"), "--friends", in("f"), "--dry-run", "--strict"); !strings.HasPrefix(out, "would create 30") {
		t.Error(out)
	}
	if _, errs := command(1, "import", "--people", people, "--map", in("p")); !strings.Contains(errs, "another is chosen with --map") {
		t.Error(errs)
	}
	checkImported(t, r.edge, 30, friendships)
}
