package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/internal/telemetry"
	"ensemble/readmodel"
	"ensemble/user"
)

// logNames lists the logs of a data folder.
func logNames() []string { return []string{user.Category, friend.Category} }

// storage is an open data folder: the keys, and the logs with their views.
type storage struct {
	keys         *keyring.Keyring
	user, friend *sqlite.Log
}

// namedLog is a log of a data folder and what people call it.
type namedLog struct {
	name string
	log  *sqlite.Log
}

// ownLog is a log that a process owns: what people call it, its driver, and what the
// adapter can do beside what every driver can.
type ownLog struct {
	name    string
	driver  eventstore.Driver
	rebuild func(context.Context, eventstore.Rebuild) (eventstore.Rebuilt, error)
	clear   func(context.Context) error // takes what was deleted out of the files; nil: it has none
	walSize func() int64                // of the write-ahead log; nil: it has none
	poll    time.Duration               // how often to look for what others appended; 0: nobody else does
}

// onSQLite returns a log in a file as one that a process owns.
func onSQLite(name string, log *sqlite.Log) ownLog {
	return ownLog{name: name, driver: log, rebuild: log.Rebuild, clear: log.Clear, walSize: log.WALSize}
}

// openStore puts a committer on a log, which belongs to it from then on.
func (p *process) openStore(ctx context.Context, l ownLog) (*eventstore.Store, error) {
	options := measureLog(p.metrics, l)
	options.Log, options.Poll = p.logger, l.poll
	store, err := eventstore.Open(ctx, l.driver, options)
	if err != nil {
		return nil, fmt.Errorf("open the log of %ss: %w", l.name, err)
	}
	return store, nil
}

// openStorage opens the data folder, and makes what is missing.
func openStorage(ctx context.Context, data string, logger *slog.Logger) (*storage, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w; choose another with --data", err)
	}
	s := &storage{}
	if err := s.open(ctx, data, logger); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open opens the keys, then the logs.
func (s *storage) open(ctx context.Context, data string, logger *slog.Logger) (err error) {
	if err := keysForNames(ctx, filepath.Join(data, "keys"), filepath.Join(data, user.Category+".db")); err != nil {
		return err
	}
	// The keys come first: the view of users needs them to read names.
	if s.keys, err = keyring.Open(filepath.Join(data, "keys")); err != nil {
		return fmt.Errorf("open the keys: %w", err)
	}
	if s.user, err = openLog(ctx, data, user.Category, logger, readmodel.UsersView(s.keys)); err != nil {
		return err
	}
	s.friend, err = openLog(ctx, data, friend.Category, logger, readmodel.FriendView())
	return err
}

// keysForNames refuses a log of names without keys, as a restore leaves it: new keys would
// open none of them, and would be in the way of the old ones.
//
// It looks before the keyring is opened, which makes keys where there are none. A log
// without events holds no names: a system that was stopped right after its first start,
// and whose keys were deleted, starts anew.
func keysForNames(ctx context.Context, keys, logFile string) (err error) {
	for _, path := range []string{filepath.Join(keys, "master.key"), filepath.Join(keys, "keys")} {
		if _, err := os.Lstat(path); err == nil {
			return nil // the keyring says what else is wrong
		}
	}
	log, err := sqlite.Open(ctx, logFile, sqlite.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the log of %ss: %w", user.Category, err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	head, err := log.Head(ctx)
	if err != nil || head.Position == 0 {
		return err
	}
	return fmt.Errorf("there are names in %s, but no keys to read them with; bring their backup back with 'ensemble keys restore', into %s",
		filepath.Dir(logFile), keys)
}

// openLog opens one log with its view.
func openLog(
	ctx context.Context, data, name string, logger *slog.Logger, view eventstore.View,
) (*sqlite.Log, error) {
	log, err := sqlite.Open(ctx, filepath.Join(data, name+".db"), sqlite.Options{Views: []eventstore.View{view}, Log: logger})
	if err != nil {
		return nil, fmt.Errorf("open the log of %ss: %w", name, err)
	}
	return log, nil
}

// logs returns the open logs.
func (s *storage) logs() []namedLog {
	return []namedLog{{user.Category, s.user}, {friend.Category, s.friend}}
}

// release gives a log to whoever closes it from now on.
func (s *storage) release(name string) {
	switch name {
	case user.Category:
		s.user = nil
	case friend.Category:
		s.friend = nil
	}
}

// close closes what is open.
func (s *storage) close() error {
	var errs []error
	if s.friend != nil {
		errs = append(errs, s.friend.Close())
	}
	if s.user != nil {
		errs = append(errs, s.user.Close())
	}
	if s.keys != nil {
		errs = append(errs, s.keys.Close())
	}
	return errors.Join(errs...)
}

// logger returns the logger that the flags ask for.
func (c *cli) logger(con *console) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	return telemetry.NewLogger(con.err, telemetry.LogOptions{Format: telemetry.Format(c.LogFormat), Level: level}), nil
}
