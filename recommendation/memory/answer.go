package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"ensemble/graph"
	"ensemble/recommendation"
)

// keepScratch is up to how many entries a list of ids is kept for the next answer:
// 1 MiB of ranks. What a longer one has taken is given back.
const keepScratch = 64 << 10

// scratch is the memory that an answer needs while it is made. It is reused, so an
// answer allocates as much for ten people as for ten thousand.
type scratch struct {
	ranked    []graph.Ranked
	ids       []int64 // shared friends
	next      [ahead]int64
	explained [recommendation.MaxExplained]int64
}

// borrow returns scratch for one answer.
func (b *Backend) borrow() *scratch {
	return b.scratch.Get().(*scratch) //nolint:forcetypeassert // the pool holds nothing else
}

// giveBack takes the scratch of an answer that is over.
func (b *Backend) giveBack(s *scratch) {
	if cap(s.ranked) > keepScratch {
		s.ranked = nil
	}
	if cap(s.ids) > keepScratch {
		s.ids = nil
	}
	b.scratch.Put(s)
}

// Recommend implements [recommendation.Backend].
func (b *Backend) Recommend(
	ctx context.Context, id int64, q recommendation.Query,
) iter.Seq2[recommendation.Candidate, error] {
	return func(yield func(recommendation.Candidate, error) bool) {
		a := answer{backend: b, scratch: b.borrow(), asker: id, explain: q.Explain, yield: yield}
		defer b.giveBack(a.scratch)
		rest := graph.Query{Limit: q.Limit, MinWeight: q.MinWeight, After: graph.Ranked(q.After)}
		for {
			ranked, err := b.graph.Rank(a.ranked[:0], id, rest)
			if err != nil {
				yield(recommendation.Candidate{}, fmt.Errorf("recommend for %d: %w", id, err))
				return
			}
			a.ranked = ranked
			shown, wantsMore := a.show(ctx, ranked)
			// Somebody who was erased since the ranking leaves a gap. It is filled
			// from behind, or a page that is short would be taken for the last.
			if !wantsMore || q.Limit <= 0 || len(ranked) < rest.Limit || shown == rest.Limit {
				return
			}
			rest.Limit, rest.After = rest.Limit-shown, ranked[len(ranked)-1]
		}
	}
}

// answer is one list of candidates on its way to who asked.
type answer struct {
	*scratch
	backend *Backend
	asker   int64
	explain bool
	yield   func(recommendation.Candidate, error) bool
}

// show yields those of the ranked who are still there, and says how many they were
// and whether more are wanted.
func (a *answer) show(ctx context.Context, ranked []graph.Ranked) (shown int, wantsMore bool) {
	for i, r := range ranked {
		if err := pause(ctx, i); err != nil {
			a.yield(recommendation.Candidate{}, err)
			return shown, false
		}
		if i%ahead == 0 {
			a.fetch(ranked[i:])
		}
		p := a.backend.present(r.ID)
		if p == nil {
			continue
		}
		c := recommendation.Candidate{User: p.profile(), Weight: r.Weight}
		if a.explain {
			var err error
			if c.Shared, err = a.explanation(r.ID); err != nil {
				a.yield(recommendation.Candidate{}, err)
				return shown, false
			}
		}
		shown++
		if !a.yield(c, nil) {
			return shown, false
		}
	}
	return shown, true
}

// fetch makes sure that the next ones are found quickly. Whether they are still there
// is asked when it is their turn.
func (a *answer) fetch(ranked []graph.Ranked) {
	n := min(len(ranked), ahead)
	for i, r := range ranked[:n] {
		a.next[i] = r.ID
	}
	a.backend.people.fetch(a.next[:n])
}

// explanation returns the lowest ids of the friends that the asker shares with
// somebody, until it is called again. It is never nil: none is an answer, too.
func (a *answer) explanation(other int64) (ids []int64, err error) {
	if a.ids, err = a.backend.graph.Mutual(a.ids[:0], a.asker, other); err != nil {
		return nil, fmt.Errorf("mutual friends of %d and %d: %w", a.asker, other, err)
	}
	return a.explained[:copy(a.explained[:], a.ids)], nil
}

// Mutual implements [recommendation.Backend].
func (b *Backend) Mutual(ctx context.Context, x, y, after int64) iter.Seq2[recommendation.Profile, error] {
	return func(yield func(recommendation.Profile, error) bool) {
		s := b.borrow()
		defer b.giveBack(s)
		ids, err := b.graph.Mutual(s.ids[:0], x, y)
		if err != nil {
			yield(recommendation.Profile{}, fmt.Errorf("mutual friends of %d and %d: %w", x, y, err))
			return
		}
		s.ids = ids
		first, found := slices.BinarySearch(ids, after)
		if found {
			first++
		}
		ids = ids[first:]
		for i, id := range ids {
			if err := pause(ctx, i); err != nil {
				yield(recommendation.Profile{}, err)
				return
			}
			if i%ahead == 0 {
				b.people.fetch(ids[i:])
			}
			if p := b.present(id); p != nil && !yield(p.profile(), nil) {
				return
			}
		}
	}
}

// present returns somebody who is there, or nil. People may be erased between the
// ranking and this question; they are left out.
func (b *Backend) present(id int64) *person {
	if p := b.people.find(id); p != nil && !p.erased() {
		return p
	}
	return nil
}

// pause looks at the context now and then.
func pause(ctx context.Context, i int) error {
	if i%1024 == 1023 {
		return ctx.Err()
	}
	return nil
}
