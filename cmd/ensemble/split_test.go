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

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/internal/chaos"
	"ensemble/internal/loadgen"
	"ensemble/internal/servertest"
	"ensemble/wire"
)

// site is where the services of a system keep what they have.
type site struct {
	data                string // a folder
	user, friend        string // addresses of the stores
	broker              string // its address, or none
	readLog             func(ctx context.Context, log string, after int64) iter.Seq2[chaos.Event, error]
	verified, unchanged func(t *testing.T, apart string) // look at what is left in the end
}

// onFiles is a site of files in a folder, without a broker.
func onFiles(t *testing.T) site {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	return site{
		data: data, broker: "none",
		user: "sqlite:" + filepath.Join(data, "user.db"), friend: "sqlite:" + filepath.Join(data, "friend.db"),
		readLog: func(ctx context.Context, log string, after int64) iter.Seq2[chaos.Event, error] {
			return readLog(ctx, filepath.Join(data, log+".db"), eventstore.Position(after))
		},
		verified: func(t *testing.T, _ string) { verified(t, data) },
		unchanged: func(t *testing.T, apart string) { // one process says the same
			if together := everything(t, start(t, data).edge); apart != together {
				t.Errorf("apart:\n%s\nin one process:\n%s", apart, together)
			}
		},
	}
}

// onServers is a site of two databases in a real Postgres, and of a real Kafka whose topics
// are empty. It skips the test where there are none.
func onServers(t *testing.T) site {
	t.Helper()
	databases := map[string]string{"user": servertest.Postgres(t), "friend": servertest.Postgres(t)}
	brokers := servertest.Kafka(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	empty := func() {
		if _, err := kadm.NewClient(client).DeleteTopics(context.Background(), "user", "friend"); err != nil {
			t.Error(err)
		}
	}
	empty()
	t.Cleanup(func() {
		empty()
		client.Close()
	})
	ignore := func(*testing.T, string) {}
	return site{
		data: filepath.Join(t.TempDir(), "data"), broker: "kafka://" + strings.Join(brokers, ","),
		user: databases["user"], friend: databases["friend"], verified: ignore, unchanged: ignore,
		readLog: func(ctx context.Context, log string, after int64) iter.Seq2[chaos.Event, error] {
			return readDatabase(ctx, databases[log], after)
		},
	}
}

// readDatabase reads a log from its database.
func readDatabase(ctx context.Context, address string, after int64) iter.Seq2[chaos.Event, error] {
	return func(yield func(chaos.Event, error) bool) {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			yield(chaos.Event{}, err)
			return
		}
		defer conn.Close(ctx)
		rows, err := conn.Query(ctx, "select position, version, number, stream, type, recorded_at from events where position > $1 order by position", after)
		if err != nil {
			yield(chaos.Event{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var e chaos.Event
			err := rows.Scan(&e.Position, &e.Version, &e.Number, &e.Stream, &e.Type, &e.Time)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(chaos.Event{}, err)
		}
	}
}

// processes are the services of a system in processes of their own.
func processes(t *testing.T, s site) *chaos.Services {
	t.Helper()
	binary, dir := buildBinary(t, ""), t.TempDir()
	users, friends, recommendations := freePort(t), freePort(t), freePort(t)
	one := func(args ...string) *chaos.Process {
		return &chaos.Process{Binary: binary, Dir: dir, Args: append(args, "--admin-addr", "off")}
	}
	return &chaos.Services{Processes: []*chaos.Process{
		one("user", "--addr", users, "--store", s.user, "--keys", filepath.Join(s.data, "keys"), "--broker", s.broker,
			"--friend-url", "http://"+friends, "--recommendation-url", "http://"+recommendations),
		one("friend", "--addr", friends, "--store", s.friend, "--user-url", "http://"+users, "--broker", s.broker),
		one("recommendation", "--addr", recommendations, "--user-url", "http://"+users, "--friend-url", "http://"+friends, "--broker", s.broker),
		one("edge", "--addr", freePort(t), "--user-url", "http://"+users, "--friend-url", "http://"+friends,
			"--recommendation-url", "http://"+recommendations),
	}}
}

// TestKillingEachServiceInTurn under load loses, doubles and invents nothing, and in the end
// everybody is recommended what brute force says, and one process on the same files.
func TestKillingEachServiceInTurn(t *testing.T) {
	t.Run("on files", func(t *testing.T) { killInTurn(t, onFiles(t)) })
	t.Run("on Postgres and Kafka", func(t *testing.T) { killInTurn(t, onServers(t)) })
}

func killInTurn(t *testing.T, s site) {
	seed := uint64(number(t, "ENSEMBLE_SEED", rand.Int()))
	t.Logf("seed %d", seed)
	services := processes(t, s)
	violations, err := chaos.Run(t.Context(), chaos.Options{
		Services: services,
		Rounds:   number(t, "ENSEMBLE_SPLIT_ROUNDS", 4),
		Seed:     seed,
		ReadLog:  s.readLog,
		Round:    func(n, commands int) { t.Logf("round %d, %d commands", n, commands) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
	s.verified(t, "")
	address, err := services.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer services.KillAll()
	apart := everything(t, address)
	if err := services.Stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Count(apart, "\n") < 10 {
		t.Errorf("there is hardly anybody:\n%s", apart)
	}
	s.unchanged(t, apart)
}

// everything returns all that a system says of everybody. It has to be settled.
func everything(t *testing.T, address string) string {
	t.Helper()
	transport := client.Transport(16)
	defer transport.CloseIdleConnections()
	c := client.New("http://"+address, &http.Client{Transport: transport, Timeout: time.Minute})
	settledAt(t, c)
	var b strings.Builder
	lists, ranks := map[int64][]int64{}, map[int64][]wire.Recommendation{}
	for u, err := range c.EachUser(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		friends, err := c.Friends(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range friends {
			lists[u.ID] = append(lists[u.ID], f.FriendID)
		}
		if ranks[u.ID], err = c.Recommend(t.Context(), u.ID, 0); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, u, friends, ranks[u.ID])
	}
	for id, ranked := range ranks {
		if want := shared(lists, id); len(ranked) != len(want) {
			t.Errorf("%d is recommended %v, and shares friends with %v", id, ranked, want)
		} else {
			for _, r := range ranked {
				if want[r.User.ID] != r.Weight {
					t.Errorf("%d shares %d friends with %d, not %d", id, want[r.User.ID], r.User.ID, r.Weight)
				}
			}
		}
	}
	return b.String()
}

// shared returns with whom somebody shares how many friends, of those who are none.
func shared(lists map[int64][]int64, id int64) map[int64]int {
	counts := map[int64]int{}
	for _, friend := range lists[id] {
		for _, other := range lists[friend] {
			counts[other]++
		}
	}
	delete(counts, id)
	for _, friend := range lists[id] {
		delete(counts, friend)
	}
	return counts
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
		t.Run(name+" on files", func(t *testing.T) { loadApart(t, onFiles(t), g) })
		t.Run(name+" on Postgres and Kafka", func(t *testing.T) { loadApart(t, onServers(t), g) })
	}
}

func loadApart(t *testing.T, s site, g *loadgen.Graph) {
	services := processes(t, s)
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
}
