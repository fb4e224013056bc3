package main

import (
	"context"
	"fmt"
	"net/http"

	"ensemble/api"
	"ensemble/eventstore"
	"ensemble/projection"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

// people is the service of people on its log: the same in 'up' and in 'user'.
type people struct {
	log      ownLog
	store    *eventstore.Store
	keys     user.Keys
	commands *user.Service
	users    *readmodel.Users

	eraser  *user.Eraser
	cleared *projection.Runner // finishes erasing
	service *api.Service
}

// newPeople puts the service on an open log.
func newPeople(log ownLog, store *eventstore.Store, keys user.Keys) *people {
	return &people{
		log: log, store: store, keys: keys,
		commands: user.NewService(store, crashableKeys{keys}), users: readmodel.NewUsers(store),
	}
}

// recover brings keys and log in step after a crash, and makes what finishes erasing from
// there on. The note at the path saves work.
func (p *people) recover(ctx context.Context, note notePath) (err error) {
	var known user.Note
	note.read(&known)
	config := user.EraserConfig{
		Store: p.store, Keys: crashableKeys{p.keys}, Service: p.commands, Erased: p.users.Erased,
		Save: func(n user.Note) error { return note.save(n) },
	}
	if p.log.clear != nil {
		config.Clear = crashableClear(p.log.clear)
	}
	p.eraser = user.NewEraser(config, known)
	after, err := p.eraser.Recover(ctx)
	if err != nil {
		return err
	}
	p.cleared = projection.New("erasing people", p.store.Subscribe, p.eraser, after)
	return nil
}

// elsewhere is what the service needs to know of those who follow its log.
type elsewhere struct {
	vanished func(context.Context, eventstore.Position) error
	erasing  func(context.Context, user.Erasure) (wire.Erasing, error)
}

// serve makes the service answer on the port "user".
func (p *people) serve(ctx context.Context, on *process, others elsewhere) (http.Handler, error) {
	service, err := api.NewUser(ctx, api.UserConfig{
		Config: on.config("user-service"), Store: p.store, Commands: p.commands, Users: p.users, Keys: p.keys,
		Vanished: others.vanished, Erasing: others.erasing,
	})
	if err != nil {
		return nil, fmt.Errorf("serve people: %w", err)
	}
	p.service = service
	on.endStreams = append(on.endStreams, service.EndStreams)
	on.handlers["user"] = service
	measureStreams(on.metrics, user.Category, service)
	return service, nil
}

// cleanup says what of an erasure is done here, into the receipt.
func (p *people) cleanup(erased user.Erasure, w *wire.Erasing) {
	if position, at := p.eraser.Cleared(); position >= erased.Position {
		w.FilesCleared, w.FilesClearedAt = true, at
	}
}
