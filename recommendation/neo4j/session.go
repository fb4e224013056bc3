package neo4j

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"ensemble/recommendation"
)

// tries is how often a question is asked before the database is said to be away, and
// tryAgain how long to wait in between.
const (
	tries    = 3
	tryAgain = 100 * time.Millisecond
)

// session returns a session; whoever gets it closes it.
func (b *Backend) session(ctx context.Context, mode neo4j.AccessMode) neo4j.SessionWithContext {
	return b.driver.NewSession(ctx, neo4j.SessionConfig{AccessMode: mode, DatabaseName: b.database, BookmarkManager: b.bookmarks})
}

// ask runs one query and returns all its rows. A connection that is lost on the way is no
// reason to fail: the question is asked again. In a cluster, any server answers what is to
// be read.
func ask[T any](
	ctx context.Context, b *Backend, mode neo4j.AccessMode, query string, params map[string]any, row func([]any) T,
) ([]T, error) {
	for try := 1; ; try++ {
		rows, err := once(ctx, b, mode, query, params, row)
		if err == nil || !passes(err) || try == tries || sleep(ctx, tryAgain) != nil {
			return rows, b.explain(ctx, err)
		}
	}
}

// once runs one query, and has the server give up when nobody waits for it any more.
func once[T any](
	ctx context.Context, b *Backend, mode neo4j.AccessMode, query string, params map[string]any, row func([]any) T,
) (rows []T, err error) {
	session := b.session(ctx, mode)
	defer func() { err = errors.Join(err, session.Close(context.WithoutCancel(ctx))) }()
	result, err := session.Run(ctx, query, params, until(ctx))
	if err != nil {
		return nil, err
	}
	for result.Next(ctx) {
		rows = append(rows, row(result.Record().Values))
	}
	return rows, result.Err()
}

// until tells the server the deadline of a context, and a second more: the context says it
// first.
func until(ctx context.Context) func(*neo4j.TransactionConfig) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return func(*neo4j.TransactionConfig) {}
	}
	return neo4j.WithTxTimeout(max(time.Until(deadline), 0) + time.Second)
}

// run runs one statement.
func (b *Backend) run(ctx context.Context, statement string, params map[string]any) error {
	_, err := ask(ctx, b, neo4j.AccessModeWrite, statement, params, first)
	return err
}

// first returns the number at the beginning of a row.
func first(row []any) int64 { return number(row[0]) }

// number returns an integer of the database, 0 for null.
func number(v any) int64 {
	n, _ := v.(int64)
	return n
}

// text returns a text of the database, "" for null.
func text(v any) string {
	s, _ := v.(string)
	return s
}

// passes says whether an error may be gone next time: whatever comes from the way to the
// database, and what the server itself calls transient, a deadlock for one. A commit whose
// answer was lost is among them; asking again finds out. An error of the context is for who
// knows the context.
func passes(err error) bool {
	var server *neo4j.Neo4jError
	var usage *neo4j.UsageError
	var expired *neo4j.TokenExpiredError
	switch {
	case errors.As(err, &server):
		return neo4j.IsRetryable(server)
	default:
		return !errors.As(err, &usage) && !errors.As(err, &expired)
	}
}

// explain says whose fault an error is: who asked has gone, the database is away, or else.
func (b *Backend) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case passes(err):
		return fmt.Errorf("%w: %w", recommendation.ErrAway, err)
	}
	return err
}

// sleep waits, or says that the context has ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
