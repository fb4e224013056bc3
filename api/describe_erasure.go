package api

import (
	"net/http"
	"slices"

	"ensemble/wire"
)

// erasureBody is the receipt of an erasure, as it is sent.
type erasureBody struct {
	ID            int64     `json:"id"`
	ErasedAt      wire.Time `json:"erasedAt"`
	EventPosition string    `json:"eventPosition" example:"user:18@3f2a91c0"`
	Complete      bool      `json:"complete"      doc:"Nothing is left to do."`
	Done          struct {
		ReadModelsCleared      bool       `json:"readModelsCleared"`
		KeyDestroyed           bool       `json:"keyDestroyed"           doc:"Nobody can read the names in the log any more."`
		FilesCleared           bool       `json:"filesCleared"           doc:"The files of the log hold nothing of what was deleted."`
		FilesClearedAt         *wire.Time `json:"filesClearedAt"         nullable:"true"`
		RecommendationsCleared bool       `json:"recommendationsCleared"`
		FriendshipsEnded       bool       `json:"friendshipsEnded"       doc:"There are none, and there will be none."`
		FriendshipsRemoved     *int64     `json:"friendshipsRemoved"     doc:"So far; null: not known any more."`
		FriendshipsRemaining   int64      `json:"friendshipsRemaining"`
	} `json:"done"`
	Remains []struct {
		Where string  `json:"where"`
		What  string  `json:"what"`
		Until *string `json:"until"`
	} `json:"remains" doc:"What can't be taken back, where, and until when." nullable:"false"`
}

// describeErasure says what the routes about erasing a person do.
func describeErasure() map[string]operation {
	return map[string]operation{
		"eraseUser": {
			tag: tagUsers, summary: "Erase somebody",
			text: "For good: the names vanish from every answer and every read model, the key that they are sealed with is destroyed, " +
				"so that neither the log nor a backup of it can show them, and all friendships are ended. The id is never given again.",
			params: []string{"id", "If-Match"},
			answers: []answer{{
				status: http.StatusNoContent, text: "The person is erased; the receipt says what is left to do.", headers: []string{"Event-Position"},
			}},
			problems: slices.Concat([]wire.Slug{
				wire.InvalidID, wire.UserNotFound, wire.UserErased, wire.PreconditionFailed,
			}, recorded()),
		},
		"getErasure": fresh(operation{
			tag: tagUsers, summary: "What was done to erase somebody, and what remains",
			params:   []string{"id"},
			answers:  []answer{{status: http.StatusOK, text: "The receipt.", body: erasureBody{}}},
			problems: []wire.Slug{wire.InvalidID, wire.UserNotFound, wire.ErasureNotFound},
		}),
	}
}
