package eventstore

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// validate checks a write against the rules of this package, so that no driver
// has to.
func (w *Write) validate() error {
	if len(w.Events) == 0 {
		return w.validateOutcome()
	}
	if err := w.validateStream(); err != nil {
		return err
	}
	if w.Expected < Any {
		return fmt.Errorf("%w: expected version %d", ErrInvalid, w.Expected)
	}
	for i := range w.Events {
		if err := w.Events[i].validate(); err != nil {
			return err
		}
	}
	if events, size := w.weight(); events > MaxBatch || size > MaxBatchLen {
		return fmt.Errorf("%w: %d events of %d bytes do not fit into one commit", ErrInvalid, events, size)
	}
	return nil
}

// validateOutcome checks a write without events.
func (w *Write) validateOutcome() error {
	if w.Key == nil {
		return fmt.Errorf("%w: neither events nor a key", ErrInvalid)
	}
	if len(w.Key.Outcome) > MaxOutcome {
		return fmt.Errorf("%w: an outcome of %d bytes", ErrInvalid, len(w.Key.Outcome))
	}
	if w.Stream == (Stream{}) {
		return nil
	}
	return validateName(w.Stream)
}

// validateStream checks where the write goes.
func (w *Write) validateStream() error {
	if w.Stream.ID != "" {
		return validateName(w.Stream)
	}
	if w.Expected != NoStream || w.Events[0].Number == NoNumber {
		return fmt.Errorf("%w: a stream without an ID has to be new and to begin with a numbered event", ErrInvalid)
	}
	return validateName(Stream{Category: w.Stream.Category, ID: "1"})
}

// validateName checks the name of a stream.
func validateName(s Stream) error {
	if len(s.Category) == 0 || len(s.Category) > MaxName || strings.IndexFunc(s.Category, notCategory) >= 0 {
		return fmt.Errorf("%w: category %q", ErrInvalid, s.Category)
	}
	if len(s.ID) == 0 || len(s.ID) > MaxName || !utf8.ValidString(s.ID) || strings.IndexFunc(s.ID, notID) >= 0 {
		return fmt.Errorf("%w: stream ID %q", ErrInvalid, s.ID)
	}
	return nil
}

// notCategory says whether a rune may not be in a category or an event type.
func notCategory(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// notID says whether a rune may not be in the ID of a stream.
func notID(r rune) bool { return r <= ' ' || r == 0x7f }

// validate checks one event.
func (e *NewEvent) validate() error {
	switch {
	case e.Type == "" || len(e.Type) > MaxName || strings.IndexFunc(e.Type, notCategory) >= 0:
		return fmt.Errorf("%w: event type %q", ErrInvalid, e.Type)
	case len(e.Data) > MaxData:
		return fmt.Errorf("%w: %d bytes of data", ErrInvalid, len(e.Data))
	case metaLen(e.Meta) > MaxMeta:
		return fmt.Errorf("%w: %d bytes of metadata", ErrInvalid, metaLen(e.Meta))
	case !validMeta(e.Meta):
		return fmt.Errorf("%w: metadata that is not UTF-8", ErrInvalid)
	case e.Number < NextNumber:
		return fmt.Errorf("%w: number %d", ErrInvalid, e.Number)
	}
	return nil
}

// validMeta says whether all names and values are text: as JSON they would come back
// as something else.
func validMeta(m Metadata) bool {
	for k, v := range m {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return false
		}
	}
	return true
}
