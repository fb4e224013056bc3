package memory_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"ensemble/decider"
	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/recommendation/backendtest"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// benchPeople is how many people the benchmarks have; they have lognormal degrees
// of a mean of 100.
const benchPeople = 10_000

// town returns a backend with a network of usual density.
func town(b *testing.B) *memory.Backend {
	b.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	backend := memory.New()
	people := make([]recommendation.Person, benchPeople)
	var events []friend.Event
	for i := range people {
		id := int64(i + 1)
		people[i] = recommendation.Person{ID: id, Event: decider.Recorded[user.Event]{
			Event: user.Created{FirstName: "Ada", LastName: "Lovelace", Key: id}, Number: id, Time: time.Unix(id, 0),
		}}
		for range min(int(math.Exp(rnd.NormFloat64()+3.41)), 2_500) {
			if to := rnd.Int64N(benchPeople) + 1; to != id {
				events = append(events, friend.Added{By: id, To: to})
			}
		}
	}
	if err := backend.ApplyUsers(b.Context(), people); err != nil {
		b.Fatal(err)
	}
	if err := backend.ApplyFriends(b.Context(), backendtest.Friendships(events...)); err != nil {
		b.Fatal(err)
	}
	return backend
}

func BenchmarkRecommend(b *testing.B) {
	backend := town(b)
	for name, q := range map[string]recommendation.Query{
		"ten":       {Limit: 10},
		"eleven":    {Limit: 11}, // what a page of ten asks for
		"next ten":  {Limit: 11, After: recommendation.Rank{Weight: 3, ID: benchPeople / 2}},
		"strong":    {Limit: 11, MinWeight: 4},
		"explained": {Limit: 11, Explain: true},
		"all":       {},
	} {
		b.Run(name, func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(3, 4))
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range backend.Recommend(b.Context(), rnd.Int64N(benchPeople)+1, q) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
