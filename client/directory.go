package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/sony/gobreaker/v2"

	"ensemble/wire"
)

// ErrUnavailable means that the service does not say who is there: it is away, too slow,
// or broken.
var ErrUnavailable = errors.New("the user service does not answer")

// DirectoryConfig configures a [Directory]. The zero value is ready to use.
type DirectoryConfig struct {
	// Remember is of how many people it is kept that they are there. 0 means 1,000,000:
	// about 100 MB when it is full.
	Remember int
	// Deadline is how long one question may take. 0 means 2 s.
	Deadline time.Duration
	// Rest is how long nobody is asked after five questions in a row have failed. 0
	// means 5 s.
	Rest time.Duration
}

// Directory knows which people there are, by asking a user service: ours, or one of the
// Spring system. It guarantees that
//
//   - who was there is not asked for again until Forget; that somebody is not there is
//     never kept, for they may come,
//   - an answer takes no longer than the deadline, and after five failures in a row
//     nobody is asked for a while: who needs to know is refused at once,
//   - who goes away while waiting says nothing about the service.
//
// Its methods may be called concurrently.
type Directory struct {
	client   *Client
	deadline time.Duration
	breaker  *gobreaker.CircuitBreaker[[]int64]

	mu        sync.Mutex
	present   *simplelru.LRU[int64, struct{}]
	forgotten int64     // how often somebody was forgotten
	single    time.Time // until then people are asked for one by one
}

// failures is how many questions in a row have to fail before nobody is asked.
const failures = 5

// singleFor is for how long a service that has no list is not asked for one again.
const singleFor = time.Minute

// NewDirectory returns a directory that asks a client's user service.
func NewDirectory(c *Client, config DirectoryConfig) *Directory {
	if config.Remember <= 0 {
		config.Remember = 1_000_000
	}
	if config.Deadline == 0 {
		config.Deadline = 2 * time.Second
	}
	if config.Rest == 0 {
		config.Rest = 5 * time.Second
	}
	present, err := simplelru.NewLRU[int64, struct{}](config.Remember, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Directory{
		client: c, deadline: config.Deadline, present: present,
		breaker: gobreaker.NewCircuitBreaker[[]int64](gobreaker.Settings{
			Name:        "user-service",
			Timeout:     config.Rest,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failures },
			IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) },
		}),
	}
}

// State says whether people are asked for: closed, half-open or open.
func (d *Directory) State() string { return d.breaker.State().String() }

// Forget takes people out of the memory, because they were erased.
func (d *Directory) Forget(ids ...int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		d.present.Remove(id)
	}
	d.forgotten++
}

// Missing returns those of the ids that nobody has or whose person was erased, ascending.
//
// Errors: [ErrUnavailable], the context's.
func (d *Directory) Missing(ctx context.Context, ids ...int64) ([]int64, error) {
	unknown, forgotten := d.unknown(ids)
	if len(unknown) == 0 {
		return nil, nil
	}
	missing, err := d.breaker.Execute(func() ([]int64, error) {
		asking, cancel := context.WithTimeout(ctx, d.deadline)
		defer cancel()
		missing, err := d.ask(asking, unknown)
		if err != nil && ctx.Err() != nil {
			return nil, context.Canceled // who asked has gone, whatever else was the case
		}
		return missing, err
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	d.remember(unknown, missing, forgotten)
	return missing, nil
}

// unknown returns those who are not known to be there, ascending, and how often somebody
// had been forgotten by then.
func (d *Directory) unknown(ids []int64) (unknown []int64, forgotten int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if _, known := d.present.Get(id); !known {
			unknown = append(unknown, id)
		}
	}
	slices.Sort(unknown)
	return slices.Compact(unknown), d.forgotten
}

// remember keeps who is there. If somebody was forgotten since they were asked for, the
// answer may be older than that, and is not kept.
func (d *Directory) remember(asked, missing []int64, forgotten int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.forgotten != forgotten {
		return
	}
	for _, id := range asked {
		if !slices.Contains(missing, id) {
			d.present.Add(id, struct{}{})
		}
	}
}

// ask asks the service: for all at once, or one by one if it has no list of people.
func (d *Directory) ask(ctx context.Context, ids []int64) ([]int64, error) {
	if !d.onlySingle() {
		users, err := d.client.UsersByID(ctx, ids...)
		if err == nil {
			return without(ids, users), nil
		}
		problem, ok := errors.AsType[*ProblemError](err)
		if !ok {
			return nil, err
		}
		switch problem.Problem.Status {
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest:
			d.setSingle()
		default:
			return nil, err
		}
	}
	var missing []int64
	for _, id := range ids {
		there, err := d.askOne(ctx, id)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// onlySingle says whether the service was found to have no list of people lately.
func (d *Directory) onlySingle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.single)
}

// setSingle notes that the service has no list of people. It may be replaced by one that
// has, so this is forgotten after a while.
func (d *Directory) setSingle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.single = time.Now().Add(singleFor)
}

// without returns the ids that no user has.
func without(ids []int64, users []wire.User) (missing []int64) {
	for _, id := range ids {
		if !slices.ContainsFunc(users, func(u wire.User) bool { return u.ID == id }) {
			missing = append(missing, id)
		}
	}
	return missing
}

// askOne says whether one person is there. The Spring service answers 500 for somebody
// who is not, in the shape of its errors; it means that only while the service is well.
func (d *Directory) askOne(ctx context.Context, id int64) (bool, error) {
	resp, err := d.client.get(ctx, userPath(id))
	if err != nil {
		return false, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return false, fmt.Errorf("GET %s: %w", userPath(id), err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return isUser(body, id)
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone:
		return false, nil
	case resp.StatusCode == http.StatusInternalServerError && isSpringError(body):
		health, err := d.client.Health(ctx, "user")
		if err == nil && health.Status == "UP" {
			return false, nil
		}
		return false, fmt.Errorf("GET %s: 500, and the service is not UP: %w", userPath(id), errors.Join(err, errNotUp))
	}
	return false, fmt.Errorf("GET %s: it was answered %s", userPath(id), resp.Status)
}

// errNotUp means that a service says that it is not well.
var errNotUp = errors.New("its health says so")

// isUser says whether a body is the person with an id. An empty one is nobody.
func isUser(body []byte, id int64) (bool, error) {
	if len(body) == 0 {
		return false, nil
	}
	var u wire.User
	if err := json.Unmarshal(body, &u); err != nil || u.ID != id {
		return false, fmt.Errorf("the answer is not the user %s; is it the user service?", strconv.FormatInt(id, 10))
	}
	return true, nil
}

// isSpringError says whether a body is an error as Spring's services answer it: with a
// timestamp, the status and the path.
func isSpringError(body []byte) bool {
	var e struct {
		Timestamp any    `json:"timestamp"`
		Status    int    `json:"status"`
		Path      string `json:"path"`
	}
	return json.Unmarshal(body, &e) == nil && e.Timestamp != nil && e.Status == http.StatusInternalServerError && e.Path != ""
}
