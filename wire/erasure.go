package wire

import (
	"strconv"
	"time"
)

// Erasing is how far the erasure of a person has got outside of the log of people.
type Erasing struct {
	FilesCleared     bool      // the files of the log hold nothing of what was deleted
	FilesClearedAt   time.Time // zero: not known
	Followed         bool      // recommendations do not know the person any more
	FriendshipsEnded bool      // there are none and never will be
	Removed          *int64    // friendships ended so far; nil: not known any more
	Remaining        int64     // friendships still to end
}

// Erasure is the receipt for an erased person.
type Erasure struct {
	ID            int64
	ErasedAt      time.Time
	EventPosition string
	KeyDestroyed  bool
	Erasing
}

// Complete says whether nothing is left to do.
func (e *Erasure) Complete() bool {
	return e.KeyDestroyed && e.FilesCleared && e.Followed && e.FriendshipsEnded
}

// AppendErasure appends a receipt as JSON: what was done, then what remains where
// and until when.
func AppendErasure(dst []byte, e *Erasure) []byte {
	dst = strconv.AppendInt(append(dst, `{"id":`...), e.ID, 10)
	dst = AppendTime(append(dst, `,"erasedAt":`...), e.ErasedAt)
	dst = appendText(append(dst, `,"eventPosition":`...), e.EventPosition)
	dst = strconv.AppendBool(append(dst, `,"complete":`...), e.Complete())
	dst = strconv.AppendBool(append(dst, `,"done":{"readModelsCleared":true,"keyDestroyed":`...), e.KeyDestroyed)
	dst = strconv.AppendBool(append(dst, `,"filesCleared":`...), e.FilesCleared)
	dst = AppendTime(append(dst, `,"filesClearedAt":`...), e.FilesClearedAt)
	dst = strconv.AppendBool(append(dst, `,"recommendationsCleared":`...), e.Followed)
	dst = strconv.AppendBool(append(dst, `,"friendshipsEnded":`...), e.FriendshipsEnded)
	dst = append(dst, `,"friendshipsRemoved":`...)
	if e.Removed == nil {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, *e.Removed, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"friendshipsRemaining":`...), e.Remaining, 10)
	return append(append(dst, `},"remains":`...), remains...)
}

// remains is what an erasure can't take back, the same for everybody.
const remains = `[` +
	`{"where":"log","what":"that a user with this id was created, renamed, befriended and erased, and when; the names are there sealed, and nobody has the key","until":null},` +
	`{"where":"files of the log","what":"in rare cases a piece of an earlier row, in a page that SQLite rearranged when somebody was renamed","until":"the operator runs 'ensemble rebuild'"},` +
	`{"where":"snapshots of the graph","what":"the id, the friendships of the time and the name, sealed, to which nobody has the key","until":"two later ones are written"},` +
	`{"where":"backups of the logs","what":"the same; the friendships of the time","until":"the operator deletes them"},` +
	`{"where":"backups of the keys made before","what":"the key, which together with a log shows the names; put back here, it is destroyed again at the next start","until":"the operator deletes them"},` +
	`{"where":"kafka","what":"nothing: no broker is configured","until":null}]}`
