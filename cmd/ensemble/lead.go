package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchLeader is how often whoever leads looks whether it still does.
const watchLeader = 5 * time.Second

// leadOn returns what has one replica of a service do something at a time: whoever holds an
// advisory lock in the service's own database. It waits for the lock, and whoever loses the
// connection that holds it leads no longer.
func leadOn(address, what string) func(ctx context.Context, as func(context.Context) error) error {
	return func(ctx context.Context, as func(context.Context) error) error {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return fmt.Errorf("ask who leads: %w", err)
		}
		defer func() {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = conn.Close(closing) // the lock goes with the connection, closed well or not
		}()
		if _, err := conn.Exec(ctx, "select pg_advisory_lock(hashtextextended($1, 0))", "ensemble "+what); err != nil {
			return fmt.Errorf("wait to lead: %w", err)
		}
		leading, lost := context.WithCancelCause(ctx)
		defer lost(nil)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for {
				select {
				case <-time.After(watchLeader):
				case <-leading.Done():
					return
				}
				if err := conn.Ping(leading); err != nil {
					lost(err)
					return
				}
			}
		}()
		err = as(leading)
		lost(nil)
		<-watched
		return errors.Join(err, ctx.Err())
	}
}
