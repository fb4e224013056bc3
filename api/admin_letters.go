package api

import (
	"errors"
	"net/http"

	"ensemble/broker"
	"ensemble/wire"
)

// DeadLetters is what the administration decides about records that could not be read.
type DeadLetters struct {
	Letters *broker.DeadLetters
	// Read tries to read one.
	Read func(*broker.Letter) error
	// Projection is made anew once one can be read: what came after it may depend on it.
	Projection string
}

// Limits of what is shown and kept of a dead letter.
const (
	maxShown  = 4 << 10 // bytes of a value
	maxReason = 512     // bytes
)

// deadLetters answers with the records that were set aside. Only a broker brings
// foreign records.
func (a *Admin) deadLetters(r *request) error {
	const never = "Events of our own logs are never set aside: a projection that can't apply one stops."
	list := wire.DeadLetters{DeadLetters: []wire.DeadLetter{}, Note: "There is no broker, and e" + never[1:]} // an empty list, not null
	if a.c.DeadLetters == nil {
		return r.replyJSON(http.StatusOK, list)
	}
	list.Note = never
	for _, l := range a.c.DeadLetters.Letters.List() {
		list.DeadLetters = append(list.DeadLetters, wire.DeadLetter{
			ID: l.ID, Topic: l.Topic, Partition: l.Record.Partition, Offset: l.Record.Offset, Key: string(l.Record.Key),
			Value: string(l.Record.Value[:min(len(l.Record.Value), maxShown)]), Reason: l.Reason, AddedAt: wire.Time{Time: l.Added},
		})
	}
	return r.replyJSON(http.StatusOK, list)
}

// letter returns the dead letter that a path names.
func (a *Admin) letter(r *request) (broker.Letter, error) {
	if a.c.DeadLetters == nil {
		return broker.Letter{}, failure{slug: wire.DeadLetterNotFound}
	}
	l, err := a.c.DeadLetters.Letters.Get(r.pathParam)
	if err != nil {
		return l, failure{slug: wire.DeadLetterNotFound}
	}
	return l, nil
}

// retryDeadLetter tries to read a record again, as after an update. If it can be read, it
// is no dead letter any more, and the projection is made anew with it in its place.
func (a *Admin) retryDeadLetter(r *request) error {
	l, err := a.letter(r)
	if err != nil {
		return err
	}
	if err := a.c.DeadLetters.Read(&l); err != nil {
		return failure{slug: wire.DeadLetterUnread, detail: "The record " + l.ID + ": " + err.Error() + "."}
	}
	name := a.c.DeadLetters.Projection
	if _, err := a.rebuilds.start(name, a.c.Rebuilds[name]); err != nil {
		return err
	}
	r.set("Location", "/admin/v1/projections/"+name+"/rebuild")
	return a.settle(r, l.ID, "it can be read now")
}

// discardDeadLetter takes a record off the list for good.
func (a *Admin) discardDeadLetter(r *request) error {
	l, err := a.letter(r)
	if err != nil {
		return err
	}
	reason, _ := r.param("reason")
	return a.settle(r, l.ID, "discarded: "+reason[:min(len(reason), maxReason)])
}

// settle keeps what was decided.
func (a *Admin) settle(r *request, id, why string) error {
	err := a.c.DeadLetters.Letters.Settle(id, why)
	if errors.Is(err, broker.ErrNoLetter) { // somebody was faster
		return failure{slug: wire.DeadLetterNotFound}
	}
	if err != nil {
		return err
	}
	return r.replyEmpty(http.StatusNoContent)
}
