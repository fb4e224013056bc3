package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"ensemble":     func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
		clientsCommand: mainClients,
		// A data folder with a little in it, as a system leaves it that was stopped.
		"ensemble-filled": func() {
			if err := fillFolder(context.Background(), os.Args[1]); err != nil {
				_, _ = os.Stderr.WriteString(err.Error() + "\n")
				os.Exit(1)
			}
		},
	})
}

// fillFolder makes three people, one of them renamed, and two friendships, one of
// them ended.
func fillFolder(ctx context.Context, data string) error {
	s, err := openSystem(ctx, data, discardLog())
	if err != nil {
		return err
	}
	people := user.NewService(s.userStore, s.storage.keys)
	friends := friend.NewService(s.friendStore, readmodel.NewUsers(s.userStore))
	var errs []error
	note := func(_ any, err error) { errs = append(errs, err) }
	for _, name := range [][2]string{{"Ada", "Lovelace"}, {"Bob", "Builder"}, {"Eve", "Moneypenny"}} {
		note(people.Create(ctx, name[0], name[1], nil))
	}
	note(people.Rename(ctx, 2, "Bobby", ""))
	note(friends.Add(ctx, 2, 1, nil))
	note(friends.Add(ctx, 2, 3, nil))
	note(friends.Remove(ctx, 1, 2, nil))
	return errors.Join(errors.Join(errs...), s.close())
}

// leakChecked runs the tests and then looks for goroutines that they left behind.
type leakChecked struct{ *testing.M }

// Run implements testscript.TestingM.
func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return code
}

// TestScripts runs the command line as people use it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": waitReady},
	})
}

// waitReady is the script command 'ready FILE': it waits for the ready file of a
// system in the background, and sets a variable to each address in it.
func waitReady(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			continue
		}
		addresses := map[string]string{}
		ts.Check(json.Unmarshal(text, &addresses))
		for name, address := range addresses {
			ts.Setenv(name, "http://"+address)
		}
		return
	}
	ts.Fatalf("%s did not appear", args[0])
}
