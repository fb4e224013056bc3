package neo4j

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"ensemble/recommendation"
	"ensemble/user"
)

const (
	// rank is the two-hop walk. Who is a friend already is found by a third hop back,
	// once for each candidate and not for each way to them.
	rank = `MATCH (me:User {userId: $me})-[:FRIEND]-(f:User)-[:FRIEND]-(c:User) WHERE c <> me
WITH me, c, count(DISTINCT f) AS weight
WHERE weight >= $least AND (weight < $weight OR (weight = $weight AND c.userId > $id))
OPTIONAL MATCH (me)-[already:FRIEND]-(c)
WITH c.userId AS id, weight, count(already) AS friends WHERE friends = 0
RETURN id, weight ORDER BY weight DESC, id`
	mutual = `MATCH (a:User {userId: $a})-[:FRIEND]-(f:User)-[:FRIEND]-(b:User {userId: $b}) WHERE f.userId > $after
RETURN DISTINCT f.userId AS id ORDER BY id`
	look = `UNWIND $ids AS id MATCH (u:User {userId: id})
RETURN id, u.firstName, u.lastName, u.key, u.created, u.modified`
	explanations = `UNWIND $ids AS id
MATCH (:User {userId: $me})-[:FRIEND]-(f:User)-[:FRIEND]-(c:User {userId: id})
WITH DISTINCT id, f.userId AS friend ORDER BY friend
RETURN id, collect(friend)[0..$most]`
)

// lookup is how many people are looked up at once.
const lookup = 100

// Recommend implements [recommendation.Backend].
func (b *Backend) Recommend(
	ctx context.Context, id int64, q recommendation.Query,
) iter.Seq2[recommendation.Candidate, error] {
	return func(yield func(recommendation.Candidate, error) bool) {
		rest := q
		for {
			ranks, err := b.rank(ctx, id, rest)
			if err != nil {
				yield(recommendation.Candidate{}, fmt.Errorf("recommend for %d: %w", id, err))
				return
			}
			shown, wantsMore := b.show(ctx, id, ranks, q.Explain, yield)
			// Somebody who was erased since the ranking leaves a gap. It is filled
			// from behind, or a page that is short would be taken for the last.
			if !wantsMore || q.Limit <= 0 || len(ranks) < rest.Limit || shown == rest.Limit {
				return
			}
			rest.Limit, rest.After = rest.Limit-shown, ranks[len(ranks)-1]
		}
	}
}

// rank returns the places of a list of candidates.
func (b *Backend) rank(ctx context.Context, id int64, q recommendation.Query) ([]recommendation.Rank, error) {
	if q.After == (recommendation.Rank{}) {
		q.After.Weight = math.MaxInt // before all of them
	}
	query := rank
	params := map[string]any{"me": id, "least": q.MinWeight, "weight": q.After.Weight, "id": q.After.ID}
	if q.Limit > 0 {
		query += " LIMIT $limit"
		params["limit"] = q.Limit
	}
	return ask(ctx, b, neo4j.AccessModeRead, query, params, func(row []any) recommendation.Rank {
		return recommendation.Rank{ID: number(row[0]), Weight: int(number(row[1]))}
	})
}

// show yields those of the ranked who are still there, and says how many they were and
// whether more are wanted.
func (b *Backend) show(
	ctx context.Context, asker int64, ranks []recommendation.Rank, explain bool,
	yield func(recommendation.Candidate, error) bool,
) (shown int, wantsMore bool) {
	for some := range slices.Chunk(ranks, lookup) {
		ids := make([]int64, len(some))
		for i, r := range some {
			ids[i] = r.ID
		}
		people, shared, err := b.lookUp(ctx, asker, ids, explain)
		if err != nil {
			yield(recommendation.Candidate{}, fmt.Errorf("recommend for %d: %w", asker, err))
			return shown, false
		}
		for _, r := range some {
			u, there := people[r.ID]
			if !there {
				continue
			}
			c := recommendation.Candidate{User: recommendation.Profile{User: u}, Weight: r.Weight}
			if explain {
				c.Shared = append([]int64{}, shared[r.ID]...) // none is an answer, too
			}
			shown++
			if !yield(c, nil) {
				return shown, false
			}
		}
	}
	return shown, true
}

// lookUp returns those who are there, and if wanted whom each shares with the asker.
func (b *Backend) lookUp(
	ctx context.Context, asker int64, ids []int64, explain bool,
) (people map[int64]user.User, shared map[int64][]int64, err error) {
	if people, err = b.people(ctx, ids); err != nil || !explain {
		return people, nil, err
	}
	shared = make(map[int64][]int64, len(ids))
	params := map[string]any{"ids": ids, "me": asker, "most": recommendation.MaxExplained}
	_, err = ask(ctx, b, neo4j.AccessModeRead, explanations, params, func(row []any) struct{} {
		friends, _ := row[1].([]any)
		list := make([]int64, len(friends))
		for i, f := range friends {
			list[i] = number(f)
		}
		shared[number(row[0])] = list
		return struct{}{}
	})
	return people, shared, err
}

// people returns those who are there, by their id.
func (b *Backend) people(ctx context.Context, ids []int64) (map[int64]user.User, error) {
	people := make(map[int64]user.User, len(ids))
	_, err := ask(ctx, b, neo4j.AccessModeRead, look, map[string]any{"ids": ids}, func(row []any) struct{} {
		people[number(row[0])] = user.User{
			ID: number(row[0]), FirstName: text(row[1]), LastName: text(row[2]), Key: number(row[3]),
			CreatedAt: moment(row[4]), LastModified: moment(row[5]),
		}
		return struct{}{}
	})
	return people, err
}

// moment returns the time of so many microseconds since 1970; 0 is the zero time.
func moment(v any) time.Time {
	if number(v) == 0 {
		return time.Time{}
	}
	return time.UnixMicro(number(v)).UTC()
}

// Mutual implements [recommendation.Backend].
func (b *Backend) Mutual(ctx context.Context, x, y, after int64) iter.Seq2[recommendation.Profile, error] {
	return func(yield func(recommendation.Profile, error) bool) {
		if x == y {
			return
		}
		fail := func(err error) {
			yield(recommendation.Profile{}, fmt.Errorf("mutual friends of %d and %d: %w", x, y, err))
		}
		ids, err := ask(ctx, b, neo4j.AccessModeRead, mutual, map[string]any{"a": x, "b": y, "after": after}, first)
		if err != nil {
			fail(err)
			return
		}
		for some := range slices.Chunk(ids, lookup) {
			people, err := b.people(ctx, some)
			if err != nil {
				fail(err)
				return
			}
			for _, id := range some {
				if u, there := people[id]; there && !yield(recommendation.Profile{User: u}, nil) {
					return
				}
			}
		}
	}
}
