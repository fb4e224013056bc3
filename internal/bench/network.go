package bench

import (
	"math"
	"math/rand/v2"
	"slices"

	"ensemble/graph"
)

// What generated networks are like. That friends of people are lognormal, that there
// is a limit of 5,000, and that there are communities is as in Facebook's network of
// 2011 (median 99, mean 190; Ugander, Karrer, Backstrom, Marlow: "The Anatomy of the
// Facebook Social Graph"); the mean is half of that, and sigma is 1 instead of 1.1.
const (
	meanDegree = 100
	mostDegree = 5_000
	inside     = 0.7 // of somebody's friends, about, are of their community

	smallest, largest = 300, 3_000 // communities
)

// Network is a generated one. The ids of its people are 1, 2 and so on.
type Network struct {
	People int
	// Pairs are the friendships, each once, nobody with themself, in random order.
	Pairs [][2]int32

	community []int32 // by id
}

// Generated returns the network of so many people, the same in every run:
//
//   - lognormal degrees of a mean of 100, at most 5,000 and a quarter of the people,
//   - communities of 300 to 3,000 people, within which two thirds of the friendships
//     are, more of them between those who have many friends,
//   - ids that say nothing: neither about community nor about degree.
//
// A hundred thousand people have five million friendships, within 1 %, and a million
// have fifty, in half a gigabyte; twice as much is needed on the way.
func Generated(people int) *Network {
	source := rand.NewPCG(1, 2)
	m := &making{source: source, rnd: rand.New(source)} //nolint:gosec // repeatable on purpose
	m.drawDegrees(people)
	m.drawCommunities(people)
	// With room for all: growing would copy them, and need twice the memory.
	m.pairs = make([][2]int32, 0, people*(meanDegree/2+3))
	m.befriendInside()
	m.befriendOutside()
	return m.network()
}

// making is a network while it is made. Its people are not named yet: they have
// places, those of a community one behind the other.
type making struct {
	source    *rand.PCG
	rnd       *rand.Rand // of the source
	degree    []int32    // by place: how many friends somebody is going to have
	have      []int32    // and has
	community []int32    // by place
	borders   []int      // places where communities begin, and the end
	pairs     [][2]int32 // of places
}

// drawDegrees says how many friends everybody is going to have.
func (m *making) drawDegrees(people int) {
	m.degree, m.have = make([]int32, people), make([]int32, people)
	mu := math.Log(meanDegree) - 0.5 // the mean of a lognormal is e^(mu + sigma²/2)
	most := min(mostDegree, people/4)
	for i := range m.degree {
		d := math.Exp(mu+m.rnd.NormFloat64()) + m.rnd.Float64() // rounded at random, for the mean's sake
		m.degree[i] = int32(min(max(int(d), 1), most))
	}
}

// drawCommunities cuts the places into communities; as many are small as are large,
// on a scale of powers.
func (m *making) drawCommunities(people int) {
	m.community = make([]int32, people)
	high := float64(min(largest, people/4+1))
	low := min(smallest, high)
	for at := 0; at < people; {
		size := int(low * math.Pow(high/low, m.rnd.Float64()))
		end := min(at+max(size, 1), people)
		for i := at; i < end; i++ {
			m.community[i] = int32(len(m.borders))
		}
		m.borders = append(m.borders, at)
		at = end
	}
	m.borders = append(m.borders, people)
}

// befriendInside lets people of each community meet: every two of them with a
// probability that grows with the degrees of both. Nobody is to know more than about
// half of their community.
func (m *making) befriendInside() {
	weights := make([]float32, len(m.degree))
	for c := range len(m.borders) - 1 {
		from, to := m.borders[c], m.borders[c+1]
		var all float64
		for i := from; i < to; i++ {
			weights[i] = min(inside*float32(m.degree[i]), float32(to-from)/2)
			all += float64(weights[i])
		}
		// A pair meets with a probability of w(i)*w(j)/all, at most 1 (Chung and Lu,
		// "Connected Components in Random Graphs with Given Expected Degree Sequences",
		// 2002): so everybody has about their weight in friends, and no pair comes twice.
		for i := from; i < to; i++ {
			scale := float32(float64(weights[i]) / all * (1 << 32))
			for j := i + 1; j < to; j++ {
				if float32(uint32(m.source.Uint64())) < scale*weights[j] {
					m.befriend(int32(i), int32(j))
				}
			}
		}
	}
}

// befriend makes two people friends.
func (m *making) befriend(i, j int32) {
	m.pairs = append(m.pairs, [2]int32{i, j})
	m.have[i]++
	m.have[j]++
}

// befriendOutside gives everybody the friends that they still miss: all who miss
// some stand in a random row, as often as they miss one, and neighbours become
// friends, unless they are of one community; those stand in the next row. Who met
// twice keeps one friendship, which is why some are missing in the end.
func (m *making) befriendOutside() {
	var row []int32
	for i := range m.degree {
		for range m.degree[i] - m.have[i] {
			row = append(row, int32(i))
		}
	}
	met := make([]uint64, 0, len(row)/2)
	const rounds = 8 // more would not find anybody for those who are left
	for range rounds {
		shuffle(m.rnd, row)
		left := row[:0]
		for k := 0; k+1 < len(row); k += 2 {
			a, b := min(row[k], row[k+1]), max(row[k], row[k+1])
			if m.community[a] == m.community[b] {
				left = append(left, a, b)
				continue
			}
			met = append(met, uint64(a)<<32|uint64(b))
		}
		row = left
	}
	// Sorted, who met twice stands side by side.
	slices.Sort(met)
	for _, pair := range slices.Compact(met) {
		m.befriend(int32(pair>>32), int32(pair&math.MaxUint32))
	}
}

// network names the people and mixes their friendships.
func (m *making) network() *Network {
	n := &Network{People: len(m.degree), Pairs: m.pairs, community: make([]int32, len(m.degree)+1)}
	// The place says the community, and in it the degree nothing; the id says neither.
	ids := make([]int32, n.People)
	for i := range ids {
		ids[i] = int32(i) + 1
	}
	shuffle(m.rnd, ids)
	for place, id := range ids {
		n.community[id] = m.community[place]
	}
	for i, p := range n.Pairs {
		n.Pairs[i] = [2]int32{ids[p[0]], ids[p[1]]}
	}
	// Friendships are not made one person after the other, nor one community.
	shuffle(m.rnd, n.Pairs)
	return n
}

// shuffle puts a list into random order.
func shuffle[T any](rnd *rand.Rand, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := rnd.IntN(i + 1)
		list[i], list[j] = list[j], list[i]
	}
}

// Inside returns which share of the friendships is within communities.
func (n *Network) Inside() float64 {
	within := 0
	for _, p := range n.Pairs {
		if n.community[p[0]] == n.community[p[1]] {
			within++
		}
	}
	return float64(within) / float64(max(len(n.Pairs), 1))
}

// Changes calls do with what builds the network, in parts of up to a thousand
// changes: its people by id, then its friendships. A part is good until do returns;
// an error of do ends it.
func (n *Network) Changes(do func([]graph.Change) error) error {
	const most = 1000 // about a page of a log
	part := make([]graph.Change, 0, most)
	add := func(c graph.Change) (err error) {
		if part = append(part, c); len(part) == most {
			err = do(part)
			part = part[:0]
		}
		return err
	}
	for id := range int64(n.People) {
		if err := add(graph.Change{Kind: graph.AddUser, From: id + 1}); err != nil {
			return err
		}
	}
	for _, p := range n.Pairs {
		if err := add(graph.Change{Kind: graph.Connect, From: int64(p[0]), To: int64(p[1])}); err != nil {
			return err
		}
	}
	if len(part) == 0 {
		return nil
	}
	return do(part)
}
