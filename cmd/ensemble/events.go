package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/keyring"
	"ensemble/readmodel"
	"ensemble/user"
)

// eventsCmd looks at the logs, and copies them.
//
// All of its commands but 'restore' open a data folder for reading only. They take
// neither the lock of a log nor that of the keys, so they work on a running system, on
// one that was killed, and on a copy; and they hold no read transaction longer than a
// page, so that a running system's write-ahead log does not grow because somebody is
// looking at it.
//
//	events.go               how a folder is opened for reading
//	events_tail.go          the end of the logs, followed
//	events_show.go          one stream, with the state after each event
//	events_render.go        how an event is printed, for people and for programs
//	events_verify.go        logs, read models and names
//	events_verify_graph.go  the graph against brute force
//	events_backup.go        both logs into one file
//	events_restore.go       and back into a folder
type eventsCmd struct {
	Tail    tailCmd    `cmd:"" help:"Print the last events, and follow what is appended."`
	Show    showCmd    `cmd:"" help:"Print all events of one stream, with the state after each."`
	Verify  verifyCmd  `cmd:"" help:"Check every checksum, the chain of commits, the read models, the graph and the names."`
	Backup  backupCmd  `cmd:"" help:"Copy the logs into one file, also while the system runs."`
	Restore restoreCmd `cmd:"" help:"Make a data folder from a backup."`
}

// reading is a data folder opened for looking only: no lock is taken, and the system
// may be running. The names are read with the keys, if there are any; why not is kept
// in mute, for a command that needs them to say, and for the others to go on without.
type reading struct {
	data string
	keys user.Keys // never nil; without a keyring it opens nothing
	ring *keyring.Keyring
	mute error // why names can't be read; nil if they can
	open []namedLog
}

// openReading opens some logs of a data folder.
func openReading(ctx context.Context, data string, names ...string) (*reading, error) {
	r := &reading{data: data}
	r.ring, r.mute = keyring.OpenToRead(filepath.Join(data, "keys"))
	r.keys = r.ring
	if r.mute != nil {
		r.keys, r.ring = noKeys{}, nil
	}
	for _, name := range names {
		view := readmodel.FriendView()
		if name == user.Category {
			view = readmodel.UsersView(r.keys)
		}
		log, err := sqlite.Open(ctx, filepath.Join(data, name+".db"), sqlite.Options{
			ReadOnly: true, Views: []eventstore.View{view},
		})
		if err != nil {
			return nil, errors.Join(explainOpening(name, data, err), r.close())
		}
		r.open = append(r.open, namedLog{name, log})
	}
	return r, nil
}

// explainOpening adds to an error what to do about it.
func explainOpening(name, data string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the log of %ss: %w; is %s the data folder? choose it with --data", name, err, data)
	}
	return fmt.Errorf("open the log of %ss: %w", name, err)
}

// log returns an open log by its name.
func (r *reading) log(name string) *sqlite.Log {
	for _, l := range r.open {
		if l.name == name {
			return l.log
		}
	}
	return nil
}

// close closes what is open.
func (r *reading) close() error {
	var errs []error
	for _, l := range r.open {
		errs = append(errs, l.log.Close())
	}
	if r.ring != nil {
		errs = append(errs, r.ring.Close())
	}
	return errors.Join(errs...)
}

// noKeys opens nothing: the names stay sealed. To the rules of people that is the same
// as a key that was destroyed, and everything but the names can be looked at.
type noKeys struct{ user.Keys }

// Open implements [user.Keys].
func (noKeys) Open(int64, []byte) ([]byte, error) { return nil, user.ErrKeyDestroyed }
