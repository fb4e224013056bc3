package graph

import "fmt"

// waveSize is how many changes are looked up together, so that their cache misses
// overlap.
const waveSize = 32

// wave is the scratch of a wave.
type wave struct {
	numbers [waveSize][2]uint32
	touched uint64 // keeps the compiler from leaving out reads that only fill the cache
}

// Apply makes changes in order and returns how many of them changed anything. At
// the first one that can't be made it stops; those before it are made.
//
// Errors: [ErrID], [ErrFull].
func (g *Graph) Apply(changes []Change) (changed int, err error) {
	g.writing.Lock()
	defer g.writing.Unlock()
	for done := 0; done < len(changes); done += waveSize {
		n, err := g.applyWave(changes[done:min(done+waveSize, len(changes))])
		changed += n
		if err != nil {
			return changed, err
		}
		g.reclaim()
	}
	return changed, nil
}

// reclaim ends an epoch, and takes back what nobody sees anymore.
func (g *Graph) reclaim() {
	if len(g.memory.retired) > 0 {
		g.memory.reclaim(g.readers.oldest(g.readers.epoch.Add(1)))
	}
}

// applyWave makes some changes: it first touches all that they will need, step by step
// as one leads to the next.
func (g *Graph) applyWave(changes []Change) (changed int, err error) {
	g.touchSlots(changes)
	ready, failure := g.number(changes)
	g.touchLists(changes[:ready])
	for i := range changes[:ready] {
		did, err := g.apply(changes[i].Kind, g.wave.numbers[i][0], g.wave.numbers[i][1])
		if err != nil {
			return changed, fmt.Errorf("change %+v: %w", changes[i], err)
		}
		if did {
			changed++
		}
	}
	return changed, failure
}

// touchSlots brings the slots of the people into the cache.
func (g *Graph) touchSlots(changes []Change) {
	t := g.tables.Load()
	sum := uint64(0)
	for i := range changes {
		sum += t.slots[t.slot(hash(changes[i].From))] + t.slots[t.slot(hash(changes[i].To))]
	}
	g.wave.touched += sum
}

// number gives everybody their number. It returns how many changes can be made, and
// why not the next one.
func (g *Graph) number(changes []Change) (ready int, err error) {
	for i := range changes {
		c, n := &changes[i], &g.wave.numbers[i]
		if c.Kind > RemoveUser {
			return i, fmt.Errorf("change %+v: unknown kind of change", *c)
		}
		if n[0], err = g.numberOf(c.From); err == nil && c.Kind <= Disconnect {
			n[1], err = g.numberOf(c.To)
		}
		if err != nil {
			return i, fmt.Errorf("change %+v: %w", *c, err)
		}
	}
	return len(changes), nil
}

// touchLists brings the beginning of the shorter list of each pair and the ends of
// both into the cache.
func (g *Graph) touchLists(changes []Change) {
	t := g.tables.Load()
	sum := uint64(0)
	for i := range changes {
		n := &g.wave.numbers[i]
		sum += t.people[n[0]].word + t.people[n[1]].word // the writer reads plainly: nobody else writes
	}
	for i := range changes {
		if changes[i].Kind > Disconnect {
			continue
		}
		a, b := t.list(word(t.people[g.wave.numbers[i][0]].word)), t.list(word(t.people[g.wave.numbers[i][1]].word))
		if len(a) > 0 && len(b) > 0 {
			sum += uint64(a[len(a)-1]) + uint64(b[len(b)-1])
			if len(b) < len(a) {
				a = b
			}
			sum += uint64(a[0]) + uint64(a[len(a)/2])
		}
	}
	g.wave.touched += sum
}

// apply makes one change and says whether it changed anything.
func (g *Graph) apply(k Kind, from, to uint32) (bool, error) {
	t := g.tables.Load()
	switch k {
	case AddUser:
		return g.setPresence(t, from, known), nil
	case RemoveUser:
		return g.setPresence(t, from, erased), nil
	case Disconnect:
		if from == to {
			return false, nil
		}
		return g.disconnect(t, from, to)
	default:
		if from == to {
			return false, nil
		}
		return g.connect(t, from, to)
	}
}

// connect sets the direction bit from → to, in both lists.
func (g *Graph) connect(t *tables, from, to uint32) (bool, error) {
	a, b := t.list(t.word(from)), t.list(t.word(to))
	i, j, found := locate(a, b, from, to)
	if !found {
		return true, g.push(from, to)
	}
	if a[i]&out != 0 {
		return false, nil
	}
	return true, g.replace(edit{from, i, a[i] | out}, edit{to, j, b[j] | in})
}

// disconnect clears the direction bit from → to; without any the two are strangers.
func (g *Graph) disconnect(t *tables, from, to uint32) (bool, error) {
	a, b := t.list(t.word(from)), t.list(t.word(to))
	i, j, found := locate(a, b, from, to)
	if !found || a[i]&out == 0 {
		return false, nil
	}
	return true, g.replace(edit{from, i, a[i] &^ out}, edit{to, j, b[j] &^ in})
}

// push connects two strangers. Nothing is changed if there is no room for both.
func (g *Graph) push(from, to uint32) error {
	w, err := g.makeRoom(from)
	if err != nil {
		return err
	}
	v, err := g.makeRoom(to)
	if err != nil {
		if w.full() {
			g.memory.give(w.block(), w.length()+1)
		}
		return err
	}
	g.append(from, w, entry(to)<<entryBits|out)
	g.append(to, v, entry(from)<<entryBits|in)
	g.halves.Add(2)
	return nil
}

// full says whether a list has all of its block.
func (w word) full() bool {
	return w.length()%unit == 0 && w.length() == units(w.length())*unit
}

// makeRoom returns what the word of a person becomes so that there is room for one
// more: a copy in another block, if their list is full.
func (g *Graph) makeRoom(n uint32) (word, error) {
	w := g.tables.Load().word(n)
	if !w.full() {
		return w, nil
	}
	block, err := g.take(w.length() + 1)
	if err != nil {
		return 0, err
	}
	t := g.tables.Load()
	copy(t.entries(block, w.length()), t.list(w))
	return list(block, w.presence(), w.length()), nil
}

// append writes an entry where no reader looks, and then lets them. If that is in
// another block, the old one is retired.
func (g *Graph) append(n uint32, w word, e entry) {
	t, length := g.tables.Load(), w.length()
	before := t.word(n)
	t.entries(w.block(), length+1)[length] = e
	t.set(n, w.holding(length+1))
	if before.full() {
		g.memory.retire(g.readers.epoch.Load(), before)
	}
}

// edit is what becomes of one entry of a list. Without a direction it is taken out.
type edit struct {
	owner uint32
	index int
	entry entry
}

// length returns how long a list will be.
func (e edit) length(w word) int {
	if e.entry&bothWays == 0 {
		return w.length() - 1
	}
	return w.length()
}

// replace edits the lists of a pair in copies. Nothing is changed if there is no room
// for both.
func (g *Graph) replace(first, second edit) error {
	t := g.tables.Load()
	n, m := first.length(t.word(first.owner)), second.length(t.word(second.owner))
	a, err := g.take(n)
	if err != nil {
		return err
	}
	b, err := g.take(m)
	if err != nil {
		g.memory.give(a, n)
		return err
	}
	g.exchange(first, a)
	g.exchange(second, b)
	return nil
}

// exchange makes the edited list in another block, publishes it, and retires the old.
func (g *Graph) exchange(e edit, block uint32) {
	t := g.tables.Load()
	w := t.word(e.owner)
	before, length := t.list(w), e.length(w)
	if length > 0 {
		after := t.entries(block, length)
		copy(after, before)
		if length == len(before) {
			after[e.index] = e.entry
		} else if e.index < length {
			after[e.index] = before[length]
		}
	}
	g.halves.Add(int64(length - len(before)))
	t.set(e.owner, list(block, w.presence(), length))
	g.memory.retire(g.readers.epoch.Load(), w)
}

// locate finds the entries of two people in each other's list. It looks through
// the shorter list first: mostly there is nothing to find.
func locate(a, b []entry, from, to uint32) (i, j int, found bool) {
	if len(a) <= len(b) {
		if i = index(a, to); i < 0 {
			return 0, 0, false
		}
		return i, index(b, from), true
	}
	if j = index(b, from); j < 0 {
		return 0, 0, false
	}
	return index(a, to), j, true
}

// indexGo returns where somebody is in a list, -1 if nowhere.
func indexGo(list []entry, n uint32) int {
	for i, e := range list {
		if e.number() == n {
			return i
		}
	}
	return -1
}
