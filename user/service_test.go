package user

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/eventstore/memory"
)

// newService returns a service over an empty log, with its keys and its log.
func newService(t *testing.T) (*Service, *plainKeys, *eventstore.Store) {
	t.Helper()
	store, err := eventstore.Open(t.Context(), memory.New(memory.Options{}), eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys := newPlainKeys()
	return NewService(store, keys), keys, store
}

// key returns an idempotency key for a payload.
func key(hash, payload byte) *eventstore.Key {
	return &eventstore.Key{Hash: [16]byte{hash}, Fingerprint: [8]byte{payload}}
}

func TestAPersonIsCreatedOnceForAKey(t *testing.T) {
	s, _, store := newService(t)
	first, err := s.Create(t.Context(), "Ada", "Lovelace", key(1, 1))
	if err != nil || first.State.ID != 1 || !first.Changed || first.Version != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := s.Rename(t.Context(), 1, "Augusta", ""); err != nil {
		t.Fatal(err)
	}
	again, err := s.Create(t.Context(), "Ada", "Lovelace", key(1, 1))
	first.Replayed = true
	if diff := cmp.Diff(first, again); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	if store.Position() != 2 {
		t.Fatalf("the log has %d events", store.Position())
	}
	if _, err := s.Create(t.Context(), "Eve", "", key(1, 2)); !errors.Is(err, decider.ErrKeyReused) {
		t.Fatalf("another payload: %v", err)
	}
}

func TestARefusalIsKeptUnderItsKey(t *testing.T) {
	s, _, store := newService(t)
	fields := []FieldError{{"/firstName", "must be a string"}, {"/lastName", "is missing"}}
	for name, refuse := range map[string]func() (decider.Outcome[User], error){
		"by the rules":  func() (decider.Outcome[User], error) { return s.Create(t.Context(), " ", "\x00", key(2, 1)) },
		"before them":   func() (decider.Outcome[User], error) { return s.Refuse(t.Context(), fields, key(3, 1)) },
		"without a key": func() (decider.Outcome[User], error) { return s.Refuse(t.Context(), fields, nil) },
	} {
		_, first := refuse()
		o, again := refuse()
		invalid, ok := errors.AsType[*InvalidError](again)
		if !ok || again.Error() != first.Error() || len(invalid.Fields) != 2 {
			t.Errorf("%s: %v, then %v", name, first, again)
		}
		if o.Replayed != (name != "without a key") {
			t.Errorf("%s: replayed %v", name, o.Replayed)
		}
	}
	if store.Position() != 0 {
		t.Fatalf("refusals left %d events", store.Position())
	}
}

func TestARefusedPersonTakesNoKey(t *testing.T) {
	s, keys, _ := newService(t)
	if _, err := s.Create(t.Context(), "", "", nil); err == nil {
		t.Fatal("nobody was created")
	}
	if keys.last != 0 {
		t.Fatalf("%d keys were taken", keys.last)
	}
}

func TestEveryPersonHasAKeyOfTheirOwn(t *testing.T) {
	s, _, _ := newService(t)
	seen := map[int64]bool{}
	for range 10 {
		o, err := s.Create(t.Context(), "Ada", "", nil)
		if err != nil || seen[o.State.Key] {
			t.Fatalf("%+v, %v", o.State, err)
		}
		seen[o.State.Key] = true
	}
}

func TestRenamingKeepsTheKeyAndTheBeginning(t *testing.T) {
	s, _, _ := newService(t)
	born, err := s.Create(t.Context(), "Ada", "Byron", nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Rename(t.Context(), 1, "Ada", "Lovelace")
	if err != nil || o.State.Key != born.State.Key || !o.State.CreatedAt.Equal(born.State.CreatedAt) || o.Version != 2 {
		t.Fatalf("%+v, %v; born %+v", o, err, born)
	}
	if same, err := s.Rename(t.Context(), 1, "Ada", "Lovelace"); err != nil || same.Changed || same.Version != 2 {
		t.Fatalf("the same name: %+v, %v", same, err)
	}
	if _, err := s.Rename(t.Context(), 2, "Ada", ""); !errors.Is(err, ErrNotFound) {
		t.Fatalf("nobody: %v", err)
	}
}
