package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"ensemble/client"
	"ensemble/wire"
)

// Options says how Import and Export work.
type Options struct {
	Client  *client.Client
	Workers int // requests under way at once; 0 means 64
	// Page is how many people Export asks for at once, one less than the target
	// gives at most; 0 means 999.
	Page int
	// Progress, if set, is told how far a part is. It is called from many
	// goroutines.
	Progress func(part string, done, total int)
}

// defaults fills in what is not said.
func (o *Options) defaults() {
	if o.Workers == 0 {
		o.Workers = 64
	}
	if o.Page == 0 {
		o.Page = 999
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
}

// Result is what an import has done.
type Result struct {
	PeopleCreated, PeopleBefore        int // in the target now: new ones, and those there before
	FriendshipsMade, FriendshipsBefore int
}

// Import carries a plan out: first the people, whose ids are noted in the map as
// they are answered, then the friendships. What the target refuses for a reason that
// lies in a line goes to the plan's Odd; everything else ends the import, which then
// goes on when the files are read and imported again.
//
// Errors: [ErrMap]; those of the target, after attempts of about 40 seconds; of the
// map; of the context.
func Import(ctx context.Context, p *Plan, o Options) (r Result, err error) {
	o.defaults()
	i := importer{Plan: p, Options: o}
	if err := i.checkTarget(ctx); err != nil {
		return Result{}, err
	}
	if len(p.people) > 0 {
		if err := p.ids.open(); err != nil {
			return Result{}, fmt.Errorf("open the map: %w", err)
		}
		defer func() {
			if closing := p.ids.close(); closing != nil {
				err = errors.Join(err, fmt.Errorf("close the map: %w", closing))
			}
		}()
	}
	err = i.all(ctx, "people", len(p.people), i.createPerson)
	if err == nil {
		err = i.all(ctx, "friendships", len(p.friendships), i.makeFriends)
	}
	return Result{
		PeopleCreated: int(i.created.Load()), PeopleBefore: p.noted + int(i.were.Load()),
		FriendshipsMade: int(i.made.Load()), FriendshipsBefore: int(i.existed.Load()),
	}, err
}

// importer is an import under way.
type importer struct {
	*Plan
	Options
	created, were, made, existed atomic.Int64
}

// all does all of a part, with the workers there are. The first failure ends it.
func (o *Options) all(ctx context.Context, part string, total int, do func(ctx context.Context, n int) error) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(o.Workers)
	var done atomic.Int64
	for n := range total {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := do(working, n); err != nil {
				return err
			}
			o.Progress(part, int(done.Add(1)), total)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return ctx.Err()
}

// checkTarget looks for somebody of the map in the target: a map of another system
// would befriend strangers.
func (i *importer) checkTarget(ctx context.Context) error {
	for who, id := range i.dir.ids {
		if id == 0 || i.dir.target {
			continue
		}
		var answer client.Answer
		err := client.Persist(ctx, func(ctx context.Context) (err error) {
			_, answer, err = i.Client.User(ctx, id)
			return err
		}, nil)
		switch status := statusOf(err); {
		case status == http.StatusGone:
			continue // erased since; somebody else will know
		case status == http.StatusNotFound, err == nil && i.ids.log != logOf(answer):
			return fmt.Errorf("%w: it says that %s is user %d, but the target is another system, or was set up anew; "+
				"begin a new map, or go to the system the map was made with", ErrMap, i.dir.external[who], id)
		default:
			return err
		}
	}
	return nil
}

// logOf returns which log an answer about a person comes from, the end of its ETag;
// "" for systems that do not say.
func logOf(a client.Answer) string {
	_, log, _ := strings.Cut(strings.Trim(a.ETag, `"`), "-")
	return log
}

// statusOf returns the status of a refusal, 0 if it is none.
func statusOf(err error) int {
	if problem, ok := errors.AsType[*client.ProblemError](err); ok {
		return problem.Problem.Status
	}
	return 0
}

// keyReused says whether a key came before with another body, as from a build that
// writes the same line otherwise: nothing is known of the person then.
func keyReused(err error) bool {
	problem, ok := errors.AsType[*client.ProblemError](err)
	return ok && problem.Slug() == wire.KeyReused
}

// key returns the idempotency key of a line.
func key(sum string, line int) string { return "import-" + sum[:32] + "-" + strconv.Itoa(line) }

// createPerson creates somebody and notes their id.
func (i *importer) createPerson(ctx context.Context, n int) error {
	p := &i.people[n]
	var u wire.User
	var answer client.Answer
	err := client.Persist(ctx, func(ctx context.Context) (err error) {
		u, answer, err = i.Client.CreateUser(ctx, p.first, p.last, key(i.peopleSum, p.line))
		return err
	}, nil)
	switch {
	case statusOf(err) == http.StatusUnprocessableEntity && !keyReused(err):
		i.Odd[0].note(BadName, p.line, err.Error())
		return nil
	case statusOf(err) == http.StatusGone: // created by an earlier run, and erased since
		i.Odd[0].note(Erased, p.line, "")
		return nil
	case err != nil:
		return fmt.Errorf("line %d: %w", p.line, err)
	}
	if answer.Replayed {
		i.were.Add(1)
	} else {
		i.created.Add(1)
	}
	i.dir.ids[p.who] = u.ID // nobody else writes or reads this one until all are created
	if err := i.ids.note(i.dir.external[p.who], u.ID, logOf(answer)); err != nil {
		return fmt.Errorf("note an id in the map: %w", err)
	}
	return nil
}

// makeFriends makes two people friends, unless they are. A conflict says that they
// are, whoever said so first: an earlier run whose key is forgotten, or they
// themselves.
func (i *importer) makeFriends(ctx context.Context, n int) error {
	f := &i.friendships[n]
	a, b := i.dir.ids[f.a], i.dir.ids[f.b]
	if a == 0 || b == 0 { // refused when they were to be created
		i.friendsOdd.note(Unknown, f.line, "")
		return nil
	}
	var answer client.Answer
	err := client.Persist(ctx, func(ctx context.Context) (err error) {
		_, answer, err = i.Client.AddFriend(ctx, a, b, key(i.friendsSum, f.line))
		return err
	}, nil)
	problem, refused := errors.AsType[*client.ProblemError](err)
	switch {
	case err == nil && answer.Created && !answer.Replayed:
		i.made.Add(1)
	case err == nil, refused && problem.Problem.Status == http.StatusConflict && problem.Slug() != wire.KeyInUse:
		i.existed.Add(1)
	case refused && problem.Slug() == wire.UserNotFound:
		i.friendsOdd.note(Unknown, f.line, problem.Problem.Detail)
	case refused && problem.Slug() == wire.UserErased:
		i.friendsOdd.note(Erased, f.line, problem.Problem.Detail)
	default:
		return fmt.Errorf("line %d: %w", f.line, err)
	}
	return nil
}
