package loadgen

import "math/rand/v2"

// Random returns a network of so many people and friendships, the same for the
// same seed. Everybody has equal chances; there are never more friendships than
// half of all pairs.
func Random(people, friendships int, seed uint64) *Graph {
	rnd := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable on purpose
	g := &Graph{People: make([]int64, people)}
	for i := range g.People {
		g.People[i] = int64(i + 1)
	}
	friendships = min(friendships, people*(people-1)/4)
	seen := make(map[[2]int]struct{}, max(friendships, 0))
	for len(seen) < friendships {
		i, j := rnd.IntN(people), rnd.IntN(people)
		pair := [2]int{min(i, j), max(i, j)}
		if _, taken := seen[pair]; taken || i == j {
			continue
		}
		seen[pair] = struct{}{}
		g.Friendships = append(g.Friendships, [2]int{i, j})
	}
	return g
}
