package api

import (
	"context"
	"net/http"
	"time"

	"ensemble/wire"
)

// vanishWithin is how long an answer to DELETE waits for those who follow the log.
// They are milliseconds behind; if one is not, the person is erased all the same,
// and the receipt says what is left to do.
const vanishWithin = 2 * time.Second

// erase erases a person. A body means nothing here and is not read.
func (a *userAPI) erase(r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	out, err := a.commands.EraseIf(r.Context(), id, a.log.ifMatch(r))
	if err != nil {
		return err
	}
	if a.vanished != nil {
		ctx, cancel := context.WithTimeout(r.Context(), vanishWithin)
		defer cancel()
		_ = a.vanished(ctx, out.Position) // it is recorded: nothing can keep it from happening
	}
	a.log.moved(r, out.Position)
	return r.replyEmpty(http.StatusNoContent)
}

// erasure answers with the receipt of an erasure: what was done, and what remains.
func (a *userAPI) erasure(r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	e, err := a.users.Erasure(r.Context(), id)
	if err != nil {
		return err
	}
	receipt := wire.Erasure{ID: id, ErasedAt: e.At, EventPosition: a.log.position(e.Position)}
	if receipt.KeyDestroyed, err = a.commands.Mute(e.Key); err != nil {
		return err
	}
	receipt.Erasing = wire.Erasing{FilesCleared: true, Followed: true, FriendshipsEnded: true}
	if a.erasing != nil {
		if receipt.Erasing, err = a.erasing(r.Context(), e); err != nil {
			return err
		}
	}
	r.out = wire.AppendErasure(r.out, &receipt)
	return r.reply(http.StatusOK, jsonType, r.out)
}
