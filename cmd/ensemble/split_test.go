package main

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/internal/chaos"
	"ensemble/internal/loadgen"
)

// processes are the services of a system in processes of their own, on files in a folder.
func processes(t *testing.T, data string) *chaos.Services {
	t.Helper()
	binary, dir := buildBinary(t, ""), t.TempDir()
	users, friends, recommendations := freePort(t), freePort(t), freePort(t)
	one := func(args ...string) *chaos.Process {
		return &chaos.Process{Binary: binary, Dir: dir, Args: append(args, "--admin-addr", "off")}
	}
	return &chaos.Services{Processes: []*chaos.Process{
		one("user", "--addr", users, "--store", "sqlite:"+filepath.Join(data, "user.db"), "--keys", filepath.Join(data, "keys"),
			"--friend-url", "http://"+friends, "--recommendation-url", "http://"+recommendations),
		one("friend", "--addr", friends, "--store", "sqlite:"+filepath.Join(data, "friend.db"), "--user-url", "http://"+users),
		one("recommendation", "--addr", recommendations, "--user-url", "http://"+users, "--friend-url", "http://"+friends),
		one("edge", "--addr", freePort(t), "--user-url", "http://"+users, "--friend-url", "http://"+friends,
			"--recommendation-url", "http://"+recommendations),
	}}
}

// TestKillingEachServiceInTurn under load loses, doubles and invents nothing, and in the end
// everybody is recommended what one process recommends on the same files.
func TestKillingEachServiceInTurn(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	seed := uint64(number(t, "ENSEMBLE_SEED", rand.Int()))
	t.Logf("seed %d", seed)
	services := processes(t, data)
	violations, err := chaos.Run(t.Context(), chaos.Options{
		Services: services,
		Rounds:   number(t, "ENSEMBLE_SPLIT_ROUNDS", 4),
		Seed:     seed,
		ReadLog: func(ctx context.Context, log string, after int64) iter.Seq2[chaos.Event, error] {
			return readLog(ctx, filepath.Join(data, log+".db"), eventstore.Position(after))
		},
		Round: func(n, commands int) { t.Logf("round %d, %d commands", n, commands) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
	verified(t, data)
	address, err := services.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer services.KillAll()
	apart := everything(t, address)
	if err := services.Stop(); err != nil {
		t.Fatal(err)
	}
	r := start(t, data)
	if together := everything(t, r.edge); apart != together || strings.Count(apart, "\n") < 10 {
		t.Errorf("apart:\n%s\nin one process:\n%s", apart, together)
	}
}

// everything returns all that a system says of everybody. It has to be settled.
func everything(t *testing.T, address string) string {
	t.Helper()
	transport := client.Transport(16)
	defer transport.CloseIdleConnections()
	c := client.New("http://"+address, &http.Client{Transport: transport, Timeout: time.Minute})
	settledAt(t, c)
	var b strings.Builder
	for u, err := range c.EachUser(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		friends, err := c.Friends(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		ranked, err := c.Recommend(t.Context(), u.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, u, friends, ranked)
	}
	return b.String()
}

// settledAt waits until recommendations have read both logs to where they end.
func settledAt(t *testing.T, c *client.Client) {
	t.Helper()
	users, err := c.Head(t.Context(), "user")
	if err != nil {
		t.Fatal(err)
	}
	friends, err := c.Head(t.Context(), "friend")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "recommendations know everything", func() bool {
		at, err := c.Known(t.Context())
		return err == nil && at["user"] >= users.Position && at["friend"] >= friends.Position
	})
}

// TestRealNetworksThroughServicesThatRunApart: the networks go in as commands through the
// gateway, and everybody's answers are what brute force says. ENSEMBLE_SPLIT=1 runs it.
func TestRealNetworksThroughServicesThatRunApart(t *testing.T) {
	if os.Getenv("ENSEMBLE_SPLIT") == "" {
		t.Skip("takes a minute a network: make test-split")
	}
	for name, g := range networks(t) {
		t.Run(name, func(t *testing.T) {
			services := processes(t, filepath.Join(t.TempDir(), "data"))
			address, err := services.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer services.KillAll()
			transport := client.Transport(64)
			defer transport.CloseIdleConnections()
			c := client.New("http://"+address, &http.Client{Transport: transport})
			ids := make([]int64, len(g.People))
			report, err := loadgen.Run(t.Context(), loadgen.Options{Client: c, Graph: g, Keys: "split-", IDs: ids})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range report.Phases {
				t.Logf("%d %s in %v", p.Done, p.Name, p.Took)
				if len(p.Errors) > 0 {
					t.Errorf("%s: %v", p.Name, p.Errors)
				}
			}
			dense(t, ids)
			settledAt(t, c)
			compareAll(t, c, g, ids)
			if err := services.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
