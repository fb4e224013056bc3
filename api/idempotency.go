package api

import (
	"crypto/sha256"
	"strings"
	"sync"

	"ensemble/eventstore"
	"ensemble/wire"
)

// principal is who a key belongs to as long as nobody signs in.
const principal = "anonymous"

// maxRunning bounds the keys whose first request is under way.
const maxRunning = 1 << 16

// running knows the keys whose first request is under way in this process. It only
// spares the client a wait: that a key happens once is the log's guarantee, also
// against other processes.
type running struct {
	mu   sync.Mutex
	keys map[[16]byte]struct{}
}

// begin says whether a request may run; if so, end has to follow.
func (r *running) begin(key [16]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, busy := r.keys[key]; busy {
		return failure{slug: wire.KeyInUse, retry: retrySoon}
	}
	if len(r.keys) >= maxRunning { // more than connections: nobody honest gets here
		return eventstore.ErrBusy
	}
	if r.keys == nil {
		r.keys = make(map[[16]byte]struct{})
	}
	r.keys[key] = struct{}{}
	return nil
}

// end lets the next request with the key run. By then the outcome is in the log,
// which answers it.
func (r *running) end(key [16]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, key)
}

// once runs a command with the key that its request carries, nil if it carries
// none. While it runs, the same key is refused.
func (s *Service) once(r *request, body []byte, command func(*eventstore.Key) error) error {
	text, sent, err := r.idempotencyKey()
	if err != nil {
		return err
	}
	if !sent {
		return command(nil)
	}
	key := scope(r, text, body)
	if err := s.running.begin(key.Hash); err != nil {
		return err
	}
	defer s.running.end(key.Hash) // also after a panic, or the key would be stuck
	return command(key)
}

// onceIgnoringBody is once for commands whose body means nothing. It still tells
// a retry from another request, so it is read if there is a key.
func (s *Service) onceIgnoringBody(r *request, command func(*eventstore.Key) error) error {
	if len(r.Header["Idempotency-Key"]) == 0 {
		return command(nil)
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	return s.once(r, body, command)
}

// idempotencyKey returns the key of a request, without its quotes.
func (r *request) idempotencyKey() (key string, sent bool, err error) {
	values := r.Header["Idempotency-Key"]
	if len(values) == 0 {
		return "", false, nil
	}
	key = strings.Trim(values[0], " \t")
	if strings.HasPrefix(key, `"`) {
		if len(key) < 2 || !strings.HasSuffix(key, `"`) {
			return "", true, failure{slug: wire.InvalidKey}
		}
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || len(key) > 255 || !isVisible(key) {
		return "", true, failure{slug: wire.InvalidKey}
	}
	return key, true, nil
}

// scope turns a key into the one that the log knows. The parts can't contain the
// separator, so no two scopes look alike.
func scope(r *request, text string, body []byte) *eventstore.Key {
	hash := sha256.Sum256([]byte(strings.Join(
		[]string{principal, r.Method, r.path, r.URL.RawQuery, text}, "\x00")))
	// With the key before it, a fingerprint in the log does not show whether a name
	// that somebody guesses was in the body.
	payload := sha256.Sum256(append(append(make([]byte, 0, len(text)+1+len(body)), text+"\x00"...), body...))
	key := new(eventstore.Key)
	copy(key.Hash[:], hash[:])
	copy(key.Fingerprint[:], payload[:])
	return key
}

// replayed marks the answer to a command that was answered before.
func (r *request) replayed() { r.set("Idempotency-Replayed", "true") }
