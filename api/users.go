package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

// UserConfig is what the service of people works with.
type UserConfig struct {
	Config

	Store    *eventstore.Store // the log of people
	Commands *user.Service
	Users    *readmodel.Users
	Keys     user.Keys // open the names in the feed of events
	// Vanished returns once nobody shows a person any more who was erased at a
	// position of the log. Nil: there is nobody else. It is asked before DELETE is
	// answered, and given a moment.
	Vanished func(ctx context.Context, p eventstore.Position) error
	// Erasing says how far an erasure has got outside of the log of people. Nil:
	// there is no outside.
	Erasing func(ctx context.Context, e user.Erasure) (wire.Erasing, error)
}

// userAPI answers what is asked of people.
type userAPI struct {
	*Service
	commands *user.Service
	users    *readmodel.Users
	log      logName
	feed     feed
	vanished func(context.Context, eventstore.Position) error
	erasing  func(context.Context, user.Erasure) (wire.Erasing, error)
}

// NewUser returns the service of people. It adds the check of its log to the
// health.
//
// Errors: those of the log's Head.
func NewUser(ctx context.Context, c UserConfig) (*Service, error) {
	log, err := nameLog(ctx, "user", c.Store)
	if err != nil {
		return nil, err
	}
	a := &userAPI{
		Service: newService(c.Config), commands: c.Commands, users: c.Users, log: log, vanished: c.Vanished, erasing: c.Erasing,
	}
	a.reads(log, c.Store)
	a.feed = feed{Service: a.Service, store: c.Store, log: log, types: user.Types(), data: appendUserData(c.Keys)}
	// A service whose log has stopped can answer nothing but its health.
	a.config.Health.Add("log", logWorks(c.Store))
	return a.with(a.routes()), nil //nolint:contextcheck // a request has its own
}

// routes is the table of the service of people.
func (a *userAPI) routes() []route {
	return append([]route{
		{http.MethodGet, "/v1/users/{id}", "getUser", a.fresh(a.byID)},
		{http.MethodPut, "/v1/users/{id}", "renameUser", a.rename},
		{http.MethodDelete, "/v1/users/{id}", "eraseUser", a.erase},
		{http.MethodGet, "/v1/users/{id}/erasure", "getErasure", a.fresh(a.erasure)},
		{http.MethodPost, "/v1/users", "createUser", a.create},
		{http.MethodGet, "/v1/users", "listUsers", a.fresh(a.list)},
	}, a.feed.routes()...)
}

// create makes a person of a body.
func (a *userAPI) create(r *request) error {
	raw, err := r.readJSON()
	if err != nil {
		return err
	}
	body, err := wire.DecodeUserBody(raw)
	if err != nil {
		return err
	}
	if body.ID != "" {
		// The Spring system would overwrite somebody; a client that sends an id
		// here has to hear that it won't get it.
		body.Mistyped = append(body.Mistyped, user.FieldError{
			Pointer: "/id", Detail: "must be absent or null: the id is given here",
		})
	}
	return a.once(r, raw, func(key *eventstore.Key) error {
		out, err := a.decideCreate(r.Context(), &body, key)
		if out.Replayed {
			r.replayed()
		}
		// The outcome is rebuilt from the events, whose names are mute by then.
		if err == nil && out.Replayed {
			err = a.alive(r.Context(), out.State.ID)
		}
		if err != nil {
			return err
		}
		r.set("Location", r.prefix+"/v1/users/"+strconv.FormatInt(out.State.ID, 10))
		a.log.moved(r, out.Position)
		return a.reply(r, http.StatusCreated, out.State, out.Version)
	})
}

// decideCreate asks the rules, unless the body is no command at all.
func (a *userAPI) decideCreate(
	ctx context.Context, body *wire.UserBody, key *eventstore.Key,
) (decider.Outcome[user.User], error) {
	if len(body.Mistyped) > 0 {
		return a.commands.Refuse(ctx, body.Faults(), key)
	}
	return a.commands.Create(ctx, body.FirstName, body.LastName, key)
}

// alive returns ErrErased if a person was erased. What was answered about them
// before must not be answered again.
func (a *userAPI) alive(ctx context.Context, id int64) error {
	_, err := a.users.ByID(ctx, id)
	return err
}

// rename gives a person another name. It checks in the documented order: whether
// the person is there, then the body, then whether the body means that person,
// then, with the commit, whether the person is as the client thinks.
func (a *userAPI) rename(r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	raw, err := r.readJSON()
	if err != nil {
		return err
	}
	body, err := wire.DecodeUserBody(raw)
	if err != nil {
		return err
	}
	// The rules will ask this again, but they ask it before they look at names,
	// and a body that is no command never gets to them.
	if err := a.alive(r.Context(), id); err != nil {
		return err
	}
	if faults := body.Faults(); faults != nil {
		return &user.InvalidError{Fields: faults}
	}
	if body.ID != "" && body.ID != strconv.FormatInt(id, 10) {
		return failure{slug: wire.IDMismatch}
	}
	out, err := a.commands.RenameIf(r.Context(), id, body.FirstName, body.LastName, a.log.ifMatch(r))
	if err != nil {
		return err
	}
	a.log.moved(r, out.Position)
	return a.reply(r, http.StatusOK, out.State, out.Version)
}

// byID answers with one person.
func (a *userAPI) byID(r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	u, err := a.users.ByID(r.Context(), id)
	if err != nil {
		return err
	}
	return a.reply(r, http.StatusOK, u.User, u.Version)
}

// reply answers with a person at a version, or with 304 to a reader who has that
// version.
func (a *userAPI) reply(r *request, status int, u user.User, version eventstore.Version) error {
	etag := a.log.etag(version)
	r.set("Etag", etag)
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && noneMatch(r, etag) {
		return r.replyEmpty(http.StatusNotModified)
	}
	r.out = wire.AppendUser(r.out, u)
	return r.reply(status, jsonType, r.out)
}

// list answers with people, by id: a part of all, or those that the client names.
func (a *userAPI) list(r *request) error {
	ids, sent, err := r.ids()
	if err != nil {
		return err
	}
	if sent {
		return a.named(r, ids)
	}
	p, err := r.part(defaultUsers)
	if err != nil {
		return err
	}
	users, err := a.users.List(r.Context(), p.after.id, p.ask())
	if err != nil {
		return err
	}
	return streamList(r, p, each(slices.Values(users)), appendUser, placeOfUser)
}

// named answers with those of the ids that somebody has.
func (a *userAPI) named(r *request, ids []int64) error {
	p, err := r.part(0)
	if err != nil {
		return err
	}
	p.ids = ids
	return streamList(r, p, a.users.ByIDs(r.Context(), ids), appendUser, placeOfUser)
}

// appendUser fits a person into a list.
func appendUser(dst []byte, u readmodel.User) []byte { return wire.AppendUser(dst, u.User) }

// placeOfUser says where a person stands in a list.
func placeOfUser(u readmodel.User) place { return place{id: u.ID} }

// appendUserData returns how the feed tells what happened to a person.
func appendUserData(keys user.Keys) func([]byte, *eventstore.Event) ([]byte, error) {
	return func(dst []byte, e *eventstore.Event) ([]byte, error) {
		id, err := user.PersonOf(e.Stream)
		if err != nil {
			return dst, fmt.Errorf("event %d: %w", e.Position, err)
		}
		event, err := user.Decode(keys, *e)
		if err != nil {
			return dst, err
		}
		return wire.AppendUserData(dst, id, event, e.Time), nil
	}
}
