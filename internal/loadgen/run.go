package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"ensemble/client"
)

// Options says what Run does.
type Options struct {
	Client  *client.Client
	Workers int    // requests under way at once; 0 means 64
	Graph   *Graph // whom and what to load
	Reads   int    // questions to ask afterwards
	Seed    uint64 // of names and questions
	// Keys begins every idempotency key. Two runs with the same Keys against the
	// same system do the work of one; a prefix of its own makes a run of its own.
	Keys string
	// IDs, if set, receives the ids that the people were given, by index; it has to
	// be as long as Graph.People.
	IDs []int64
	// Progress, if set, is told how far a phase is. It is called from many
	// goroutines.
	Progress func(phase string, done, total int)
}

// Run creates the people of a network, then their friendships, then asks
// questions, and reports each of these phases. It ends early, with what it has
// measured so far, when its context ends or commands fail for good.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Workers == 0 {
		o.Workers = 64
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.IDs == nil {
		o.IDs = make([]int64, len(o.Graph.People))
	}
	r := run{Options: o, ids: o.IDs, names: NewNames(o.Seed)}
	var report Report
	for _, p := range []phase{
		{"users", len(r.ids), r.createUser},
		{"friendships", len(o.Graph.Friendships), r.addFriend},
		{"reads", o.Reads, r.read},
	} {
		if p.total == 0 {
			continue
		}
		result, err := r.perform(ctx, p)
		report.Phases = append(report.Phases, result)
		if err != nil {
			return report, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return report, nil
}

// run is a load under way.
type run struct {
	Options
	ids   []int64 // given to the people, by index
	names *Names
}

// phase is work that may be done in any order.
type phase struct {
	name  string
	total int
	do    func(ctx context.Context, i int) error
}

// createUser creates a person and notes the id they were given.
func (r *run) createUser(ctx context.Context, i int) error {
	first, last := r.names.Of(r.Graph.People[i])
	u, _, err := r.Client.CreateUser(ctx, first, last, r.key("user", i))
	r.ids[i] = u.ID
	return err
}

// addFriend makes a friendship between people that were created.
func (r *run) addFriend(ctx context.Context, i int) error {
	pair := r.Graph.Friendships[i]
	_, _, err := r.Client.AddFriend(ctx, r.ids[pair[0]], r.ids[pair[1]], r.key("friend", i))
	return err
}

// read asks one of four questions: recommendations half of the time, as that is
// what the product is for.
func (r *run) read(ctx context.Context, i int) error {
	rnd := rand.New(rand.NewPCG(r.Seed, uint64(i))) //nolint:gosec // repeatable on purpose
	a, b := r.ids[rnd.IntN(len(r.ids))], r.ids[rnd.IntN(len(r.ids))]
	var err error
	switch i % 4 {
	case 0:
		_, err = r.Client.Mutual(ctx, a, b)
	case 1:
		_, err = r.Client.Friends(ctx, a)
	default:
		_, err = r.Client.Recommend(ctx, a, 10)
	}
	return err
}

// key returns the idempotency key of a command, the same in every attempt.
func (r *run) key(kind string, i int) string { return r.Keys + kind + "-" + strconv.Itoa(i) }
