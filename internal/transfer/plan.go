package transfer

import (
	"errors"
	"fmt"
)

// Files says what is imported.
type Files struct {
	People  string // CSV or NDJSON; "" for none
	Friends string // an edge list; "" for none
	Map     string // where ids are noted
	NoMap   bool   // People are only looked at, and need no Map
	// Keep is how many lines of each reason are reported with their numbers.
	Keep int
}

// Plan is what an import is about to do. It is used for one Import.
type Plan struct {
	Odd []*Odd // of each file

	dir         *directory
	ids         *idMap
	people      []person     // to be created
	noted       int          // people of the file who are in the map
	friendships []friendship // to be made
	peopleSum   string       // SHA-256 of the files
	friendsSum  string
	friendsOdd  *Odd
}

// Read reads and judges all files; nothing is sent or written.
//
// Errors: [ErrMap], those of the files; of a file that is none of people.
func Read(f Files) (*Plan, error) {
	p := &Plan{dir: newDirectory(), ids: &idMap{}}
	if f.Map != "" {
		var err error
		if p.ids, err = readMap(f.Map, p.dir); err != nil {
			return nil, fmt.Errorf("read the map: %w", err)
		}
	}
	p.dir.target = f.People == "" && !p.ids.begun
	if f.People != "" {
		if err := p.readPeople(f); err != nil {
			return nil, err
		}
	}
	if f.Friends == "" {
		return p, nil
	}
	p.friendsOdd = p.oddOf(f.Friends, f.Keep)
	r := friendsReader{dir: p.dir, odd: p.friendsOdd, seen: map[[2]int32]bool{}}
	var err error
	p.friendsSum, err = each(f.Friends, r.odd, r.line)
	p.friendships = r.found
	return p, err
}

// readPeople reads the file of people, and takes out who was created before.
func (p *Plan) readPeople(f Files) (err error) {
	if f.Map == "" && !f.NoMap {
		return errors.New("people need a map, in which the ids that they are given are noted")
	}
	r := peopleReader{dir: p.dir, odd: p.oddOf(f.People, f.Keep)}
	if p.peopleSum, err = each(f.People, r.odd, r.line); err != nil {
		return err
	}
	if p.ids.begun && p.ids.people != p.peopleSum {
		return fmt.Errorf("%w: %s was begun with another file of people, or %s has changed since then; "+
			"go on with the file as it was, or begin a new map", ErrMap, f.Map, f.People)
	}
	p.ids.people = p.peopleSum
	for _, person := range r.found {
		if p.dir.ids[person.who] != 0 {
			p.noted++
			continue
		}
		p.people = append(p.people, person)
	}
	return nil
}

// oddOf begins the report of a file.
func (p *Plan) oddOf(file string, keep int) *Odd {
	odd := &Odd{File: file, keep: keep}
	p.Odd = append(p.Odd, odd)
	return odd
}

// People returns how many people are to be created, and how many of the file are
// in the map already.
func (p *Plan) People() (create, noted int) { return len(p.people), p.noted }

// Friendships returns how many friendships are to be made.
func (p *Plan) Friendships() int { return len(p.friendships) }

// OddLines returns how many lines of all files are not taken in.
func (p *Plan) OddLines() (sum int) {
	for _, odd := range p.Odd {
		sum += odd.Count()
	}
	return sum
}
