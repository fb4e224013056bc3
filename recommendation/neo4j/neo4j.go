package neo4j

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/config"

	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/user"
)

// Config says where the database is.
type Config struct {
	// URL is bolt://host:7687 for one server, neo4j://host:7687 for a cluster, each also
	// with +s or +ssc for TLS. user:password@ signs in, /name chooses a database.
	URL string
	// Lease is how long another replica may leave events unwritten that this one has,
	// before this one takes over. 0: 5 s.
	Lease time.Duration
}

// Backend is a graph in a database. It implements [recommendation.Backend].
type Backend struct {
	driver    neo4j.DriverWithContext
	bookmarks neo4j.BookmarkManager // of a cluster: what this replica has seen, it sees again
	database  string
	lease     time.Duration
	owner     string // of the checkpoints that this value has written

	users, friends turn
	trouble        atomic.Pointer[error]
	closed         atomic.Bool
}

// Open connects to a database, makes its constraints if they are not there, and a
// checkpoint for each log.
//
// Errors: [recommendation.ErrAway] when nobody answers; one that says so when there is a
// graph that somebody else has made. No error shows the password.
func Open(ctx context.Context, c Config) (*Backend, error) {
	b, err := dial(c)
	if err != nil {
		return nil, fmt.Errorf("open the graph in Neo4j: %w", err)
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the graph in Neo4j: %w", err), b.driver.Close(ctx))
	}
	return b, nil
}

// dial makes the backend; nothing is sent yet.
func dial(c Config) (*Backend, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("its URL can't be read; write neo4j://user:password@host:7687") // err has the password
	}
	auth := neo4j.NoAuth()
	if u.User != nil {
		password, _ := u.User.Password()
		auth = neo4j.BasicAuth(u.User.Username(), password, "")
	}
	b := &Backend{
		bookmarks: neo4j.NewBookmarkManager(neo4j.BookmarkManagerConfig{}),
		database:  strings.Trim(u.Path, "/"),
		lease:     cmp.Or(c.Lease, 5*time.Second),
		owner:     rand.Text(),
		users:     turn{log: user.Category},
		friends:   turn{log: friend.Category},
	}
	u.User, u.Path = nil, ""
	b.driver, err = neo4j.NewDriverWithContext(u.String(), auth, func(c *config.Config) {
		c.SocketConnectTimeout = 5 * time.Second
		c.ConnectionAcquisitionTimeout = 10 * time.Second
		c.TelemetryDisabled = true
	})
	return b, err
}

// Close gives up the right to write, so that another replica need not wait for it, and
// ends the connections. A second time it does nothing.
func (b *Backend) Close(ctx context.Context) error {
	if b.closed.Swap(true) {
		return nil
	}
	return errors.Join(b.giveUp(ctx), b.driver.Close(ctx))
}

// Trouble says why the last batch could not be written, or nil. The batch is tried again
// and again meanwhile, so this is all that there is to see of it.
func (b *Backend) Trouble() error {
	if err := b.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Marks returns up to where the graph holds the log of users and that of friendships. Who
// follows the logs asks once, and follows them from there.
func (b *Backend) Marks(ctx context.Context) (users, friends recommendation.Mark, err error) {
	if err := b.begin(ctx); err != nil {
		return users, friends, fmt.Errorf("make the checkpoints in Neo4j: %w", err)
	}
	u, err := b.read(ctx, user.Category)
	if err != nil {
		return users, friends, fmt.Errorf("read the checkpoints in Neo4j: %w", err)
	}
	f, err := b.read(ctx, friend.Category)
	if err != nil {
		return users, friends, fmt.Errorf("read the checkpoints in Neo4j: %w", err)
	}
	b.users.reached.Store(u.position)
	b.friends.reached.Store(f.position)
	return u.mark(), f.mark(), nil
}
