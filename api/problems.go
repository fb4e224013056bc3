package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/recommendation"
	"ensemble/user"
	"ensemble/wire"
)

// failure is an error that knows its answer: what this package finds wrong with
// a request, and what the errors of the packages below are turned into.
type failure struct {
	slug    wire.Slug
	detail  string // "" for what the slug says of itself
	retry   int    // seconds for Retry-After, 0 for none
	missing []int64
	errs    []user.FieldError
}

// Error implements error.
func (f failure) Error() string { return string(f.slug) }

// fail answers a request with the problem that an error stands for.
func (s *Service) fail(r *request, err error) {
	f := failureOf(err)
	if f.slug == wire.Internal && r.Context().Err() != nil {
		f = failure{slug: wire.ClientClosedRequest} // what was interrupted has words of its own for it
	}
	switch {
	case f.slug == wire.Internal:
		s.config.Log.ErrorContext(r.Context(), "a request failed", "error", err, "route", r.route.pattern, "requestId", r.id)
	case f.slug.Kind().Status >= http.StatusInternalServerError:
		s.config.Log.WarnContext(r.Context(), "a request was refused", "error", err, "route", r.route.pattern, "requestId", r.id)
	}
	s.problem(r, f)
}

// problem sends a failure.
func (s *Service) problem(r *request, f failure) {
	p := wire.NewProblem(f.slug, f.detail, wire.Occasion{
		Instance: r.prefix + r.path, Path: r.path, RequestID: r.id, Time: time.Now(),
	})
	p.Missing, p.Errors = f.missing, f.errs
	if f.retry > 0 {
		r.set("Retry-After", strconv.Itoa(f.retry))
	}
	r.out = wire.AppendProblem(r.out[:0], &p)
	_ = r.reply(p.Status, wire.ProblemType, r.out) // it reports nothing
}

// failureOf is the one mapping from errors to problems.
func failureOf(err error) failure {
	var known failure
	var invalid *user.InvalidError
	var unknown *friend.UnknownUsersError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &invalid):
		return failure{slug: wire.ValidationFailed, errs: invalid.Fields}
	case errors.As(err, &unknown):
		return failure{slug: wire.UserNotFound, missing: unknown.Missing, detail: missingDetail(unknown.Missing)}
	case errors.Is(err, user.ErrNotFound):
		return failure{slug: wire.UserNotFound}
	case errors.Is(err, user.ErrErased):
		return failure{slug: wire.UserErased}
	case errors.Is(err, readmodel.ErrNotErased):
		return failure{slug: wire.ErasureNotFound}
	case errors.Is(err, friend.ErrSelf):
		return failure{slug: wire.SelfFriendship}
	case errors.Is(err, friend.ErrExists):
		return failure{slug: wire.FriendshipExists}
	case errors.Is(err, friend.ErrNotFriends), errors.Is(err, readmodel.ErrUnknownRow):
		return failure{slug: wire.FriendshipNotFound}
	case errors.Is(err, friend.ErrUsersAway):
		return failure{slug: wire.UsersUnavailable, retry: retryStart}
	case errors.Is(err, decider.ErrKeyReused):
		return failure{slug: wire.KeyReused}
	case errors.Is(err, decider.ErrPrecondition):
		return failure{slug: wire.PreconditionFailed}
	case errors.Is(err, wire.ErrSyntax):
		return failure{slug: wire.MalformedJSON, detail: sentence(err) + ". Correct it and send it again."}
	}
	return storeFailure(err)
}

// Seconds after which a client may try again.
const (
	retrySoon  = 1  // the queue drains, the commit becomes known
	retryLater = 30 // somebody has to make room
	retryStart = 5  // somebody has to start the service again
)

// storeFailure maps the errors of the log. Closed comes before unknown: it says
// for certain that nothing was written, also when it names the commit of unknown
// outcome that has stopped the log before.
func storeFailure(err error) failure {
	switch {
	case errors.Is(err, eventstore.ErrClosed):
		return failure{slug: wire.ShuttingDown, retry: retryStart}
	case errors.Is(err, eventstore.ErrUnknown):
		return failure{slug: wire.OutcomeUnknown, retry: retrySoon}
	case errors.Is(err, eventstore.ErrBusy), errors.Is(err, eventstore.ErrAway), errors.Is(err, recommendation.ErrAway):
		return failure{slug: wire.Busy, retry: retrySoon}
	case errors.Is(err, eventstore.ErrFull):
		return failure{slug: wire.StorageFull, retry: retryLater}
	case errors.Is(err, context.Canceled):
		return failure{slug: wire.ClientClosedRequest}
	case errors.Is(err, context.DeadlineExceeded):
		return failure{slug: wire.Busy, retry: retrySoon}
	}
	return failure{slug: wire.Internal}
}

// missingDetail names everybody who is not there, as the member missing does for
// programs.
func missingDetail(ids []int64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	return "Nobody has these ids: " + strings.Join(texts, ", ") + ". Create the users first, or check the ids."
}

// sentence returns an error's text with a capital first letter.
func sentence(err error) string {
	text := err.Error()
	return string(text[0]&^0x20) + text[1:]
}
