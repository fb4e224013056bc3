// Package adopt takes the people and friendships of another system over into logs of our
// own, with the ids that they have there, so that whoever knows an id still means the same
// person.
//
// It guarantees that
//
//   - nothing is left out or changed without being reported ([Report]),
//   - every person and every row keeps their id; ids that are free then are never given to
//     anybody else, as long as they are below the highest one,
//   - the logs have to be empty, and hold ordinary events afterwards: nobody who reads them
//     sees that they were not made by commands.
//
// What can't be kept is when something happened: a log gives its events the time of their
// commit.
//
// # Three steps
//
//	network, err := adopt.FromTopics(ctx, b, adopt.Topics{…})   // what is there
//	network, report := network.Settle()                         // what is odd, and what becomes of it
//	err = adopt.Write(ctx, network, adopt.Target{…})            // into the logs
//
// Settle looks and decides, and neither reads nor writes anything, so a report can be had
// without an import.
package adopt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"ensemble/user"
)

// Person is somebody of another system.
type Person struct {
	ID                  int64
	FirstName, LastName string
	Erased              bool // their name is gone, and their id must not be given again
}

// Row is a friendship of another system: By has added To.
type Row struct {
	ID     int64 // 0: it has none
	By, To int64
}

// Network is what another system has.
type Network struct {
	People []Person
	Rows   []Row
	Odd    Report // what was found while it was read
}

// keep is how many examples of each finding a report has.
const keep = 5

// Finding is one kind of oddity.
type Finding struct {
	What     string // "a friendship with oneself"
	Done     string // "left out"
	Count    int
	Examples []string // the first ones
}

// Report is everything odd, in the order in which it first came.
type Report []Finding

// Note counts something odd.
func (r *Report) Note(what, done, example string) {
	i := slices.IndexFunc(*r, func(f Finding) bool { return f.What == what })
	if i < 0 {
		i = len(*r)
		*r = append(*r, Finding{What: what, Done: done})
	}
	f := &(*r)[i]
	if f.Count++; len(f.Examples) < keep {
		f.Examples = append(f.Examples, example)
	}
}

// Count returns how many oddities there are.
func (r Report) Count() (sum int) {
	for _, f := range r {
		sum += f.Count
	}
	return sum
}

// String returns the report for people; "" if nothing is odd.
func (r Report) String() string {
	var b strings.Builder
	for _, f := range r {
		fmt.Fprintf(&b, "%d × %s: %s\n", f.Count, f.What, f.Done)
		for _, example := range f.Examples {
			fmt.Fprintf(&b, "  %s\n", example)
		}
		if more := f.Count - len(f.Examples); more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
	}
	return b.String()
}

// Settle returns the network as it can be written, ascending by id, and everything odd
// about it with what became of each.
func (n Network) Settle() (Network, Report) {
	s := settling{report: slices.Clone(n.Odd), there: map[int64]bool{}, pairs: map[[2]int64]int64{}, ids: map[int64]bool{}}
	for _, p := range sorted(n.People, func(p Person) int64 { return p.ID }) {
		s.person(p)
	}
	for _, r := range n.Rows {
		s.highest = max(s.highest, r.ID)
	}
	for _, r := range sorted(n.Rows, func(r Row) int64 { return r.ID }) {
		s.row(r)
	}
	s.rows = sorted(s.rows, func(r Row) int64 { return r.ID })
	return Network{People: s.people, Rows: s.rows}, s.report
}

// sorted returns a copy that ascends.
func sorted[T any](all []T, by func(T) int64) []T {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(by(a), by(b)) })
	return all
}

// settling is a network that is being looked at.
type settling struct {
	report  Report
	people  []Person
	rows    []Row
	there   map[int64]bool     // who is there; false: erased
	pairs   map[[2]int64]int64 // the row of each direction
	ids     map[int64]bool     // of rows
	highest int64              // id of a row
}

// person takes somebody in.
func (s *settling) person(p Person) {
	if _, before := s.there[p.ID]; before || p.ID < 1 {
		s.report.Note("a person whose id is taken, or none", "left out", fmt.Sprintf("user %d", p.ID))
		return
	}
	s.there[p.ID] = !p.Erased
	if !p.Erased && len(user.Validate(p.FirstName, p.LastName)) > 0 {
		s.report.Note("a name that is not allowed", "changed to one that is", fmt.Sprintf("user %d", p.ID))
		p.FirstName, p.LastName = allowed(p.FirstName), allowed(p.LastName)
		if strings.TrimSpace(p.FirstName) == "" {
			p.FirstName = unnamed
		}
	}
	s.people = append(s.people, p)
}

// unnamed is the first name of somebody who had none.
const unnamed = "[unnamed]"

// allowed returns a name without what no name may have.
func allowed(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	if letters := []rune(name); len(letters) > user.MaxName {
		name = string(letters[:user.MaxName])
	}
	return name
}

// row takes a friendship in.
func (s *settling) row(r Row) {
	said := fmt.Sprintf("row %d, %d added %d", r.ID, r.By, r.To)
	byThere, byKnown := s.there[r.By]
	toThere, toKnown := s.there[r.To]
	switch first, repeated := s.pairs[[2]int64{r.By, r.To}]; {
	case r.By == r.To:
		s.report.Note("a friendship with oneself", "left out", said)
		return
	case !byKnown || !toKnown:
		s.report.Note("a friendship with somebody who is not there", "left out", said)
		return
	case !byThere || !toThere:
		s.report.Note("a friendship with somebody who was erased", "left out", said)
		return
	case repeated:
		s.report.Note("a friendship that is there already", "left out", fmt.Sprintf("%s, as row %d says", said, first))
		return
	}
	if r.ID < 1 || s.ids[r.ID] {
		s.highest++
		s.report.Note("a friendship whose id is taken, or none", "given the next free one", fmt.Sprintf("%s, is row %d now", said, s.highest))
		r.ID = s.highest
	}
	if other, reversed := s.pairs[[2]int64{r.To, r.By}]; reversed {
		s.report.Note("a friendship that both have added", "kept in both directions; removing it removes both rows",
			fmt.Sprintf("%s, as row %d the other way round", said, other))
	}
	s.ids[r.ID], s.pairs[[2]int64{r.By, r.To}] = true, r.ID
	s.rows = append(s.rows, r)
}
