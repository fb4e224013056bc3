package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/client"
	"ensemble/wire"
)

const (
	workers = 16
	crowd   = 12 // people among whom friendships are made, few, so that pairs collide
)

// load sends commands and notes their answers.
type load struct {
	ledger *Ledger
	client *client.Client
	serial *atomic.Int64 // of commands, for their keys
	people *people
}

// people are those who were created.
type people struct {
	mu        sync.Mutex
	ids       []int64
	forgotten map[int64]bool // erased, with nothing left to do; used by one goroutine
}

// add notes somebody who was created.
func (p *people) add(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids = append(p.ids, id)
}

// remove forgets somebody.
func (p *people) remove(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids = slices.DeleteFunc(p.ids, func(other int64) bool { return other == id })
}

// pair returns two of the latest people, or false while there are too few.
func (p *people) pair(rnd *rand.Rand) (a, b int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ids) < 2 {
		return 0, 0, false
	}
	latest := p.ids[max(0, len(p.ids)-crowd):]
	i := rnd.IntN(len(latest))
	j := (i + 1 + rnd.IntN(len(latest)-1)) % len(latest)
	return latest[i], latest[j], true
}

// run sends commands until the context ends, with all workers at once.
func (l *load) run(ctx context.Context, seed uint64) {
	var group sync.WaitGroup
	for w := range uint64(workers) {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, w)) //nolint:gosec // repeatable on purpose
			for ctx.Err() == nil {
				c := l.draw(rnd)
				l.ledger.Begin(c)
				if l.send(ctx, c) == nil && rnd.IntN(8) == 0 {
					_ = l.send(ctx, c) // a client that did not trust the answer
				}
			}
		})
	}
	group.Wait()
}

// draw makes up a command.
func (l *load) draw(rnd *rand.Rand) Command {
	c := Command{Key: fmt.Sprint("chaos-", l.serial.Add(1))}
	a, b, ok := l.people.pair(rnd)
	if !ok || rnd.IntN(10) == 0 {
		return c
	}
	c.By, c.To, c.Kind = a, b, AddFriend
	if rnd.IntN(40) == 0 {
		c.Kind = EraseUser
		return c
	}
	if rnd.IntN(3) == 0 {
		c.Kind = RemoveFriend
	}
	return c
}

// send sends a command and notes its answer. An error means that there was none.
func (l *load) send(ctx context.Context, c Command) error {
	answer, err := l.call(ctx, c)
	if problem, ok := errors.AsType[*client.ProblemError](err); ok && final(problem) {
		if problem.Problem.Status == http.StatusGone {
			l.ledger.Gone(c)
		} else {
			l.ledger.Refused(c)
		}
		return nil
	}
	if err != nil {
		return err
	}
	l.ledger.Succeeded(c, answer)
	return nil
}

// final says whether a refusal is the answer, and not a reason to come again.
func final(p *client.ProblemError) bool {
	return p.Problem.Status < 500 && p.RetryAfter == 0
}

// call sends a command once and returns its answer.
func (l *load) call(ctx context.Context, c Command) (Answer, error) {
	switch c.Kind {
	case CreateUser:
		u, a, err := l.client.CreateUser(ctx, "Chaos", c.Key, c.Key)
		if err != nil {
			return Answer{}, err
		}
		if !a.Replayed {
			l.people.add(u.ID)
		}
		return answerOf(a, true, u.ID)
	case AddFriend:
		f, a, err := l.client.AddFriend(ctx, c.By, c.To, c.Key)
		if err != nil {
			return Answer{}, err
		}
		return answerOf(a, a.Created, rowOf(f, a))
	case RemoveFriend:
		a, err := l.client.RemoveFriend(ctx, c.By, c.To, c.Key)
		if err != nil {
			return Answer{}, err
		}
		return answerOf(a, true, 0)
	case EraseUser:
		l.people.remove(c.By)
		a, err := l.client.Erase(ctx, c.By)
		if err != nil {
			return Answer{}, err
		}
		return answerOf(a, true, 0)
	}
	return Answer{}, fmt.Errorf("unknown kind of command %d", c.Kind)
}

// rowOf returns the number of a friendship that this command began.
func rowOf(f wire.Friend, a client.Answer) int64 {
	if a.Created {
		return f.ID
	}
	return 0
}

// answerOf reads the position from a token like "friend:77@3f2a91c0".
func answerOf(a client.Answer, changed bool, number int64) (Answer, error) {
	_, rest, _ := strings.Cut(a.EventPosition, ":")
	digits, _, _ := strings.Cut(rest, "@")
	position, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return Answer{}, fmt.Errorf("the answer has no position, but %q", a.EventPosition)
	}
	return Answer{Changed: changed, Position: position, Number: number}, nil
}

// forgotten waits until nothing is left to do for those who were erased.
func (l *load) forgotten(ctx context.Context) error {
	for _, id := range l.ledger.Erased() {
		for !l.people.forgotten[id] {
			e, err := l.client.Erasure(ctx, id)
			if err == nil && e.Complete {
				l.people.forgotten[id] = true
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("erase %d: %+v: %w", id, e, errors.Join(ctx.Err(), err))
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// settle sends every command that was not answered again, until it is.
func (l *load) settle(ctx context.Context) error {
	for _, c := range l.ledger.Open() {
		for {
			err := l.send(ctx, c)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("settle %s: %w", c.Key, errors.Join(ctx.Err(), err))
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}
