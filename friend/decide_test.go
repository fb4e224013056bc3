package friend

import (
	"errors"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"ensemble/decider"
	"ensemble/decider/decidertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rules() decider.Decider[State, Command, Event] {
	return decider.Decider[State, Command, Event]{Decide: decide, Evolve: Evolve}
}

type es = []Event

func TestDecide(t *testing.T) {
	decidertest.Run(t, rules(), []decidertest.Case[Command, Event]{
		{Name: "strangers become friends", When: Add{By: 1, To: 2}, Then: es{Added{By: 1, To: 2}}},
		{Name: "nobody befriends themself", When: Add{By: 1, To: 1}, Err: ErrSelf},
		{
			Name:  "adding again is refused",
			Given: es{Added{By: 1, To: 2}}, When: Add{By: 1, To: 2}, Err: ErrExists,
		},
		{
			Name:  "adding back is not a second friendship",
			Given: es{Added{By: 1, To: 2}}, When: Add{By: 2, To: 1}, Then: nil,
		},
		{
			Name: "who is not there can't be befriended",
			When: Add{By: 1, To: 2, Missing: []int64{2}}, Err: errUnknownUsers,
		},
		{
			Name:  "a friendship counts before who is missing",
			Given: es{Added{By: 1, To: 2}}, When: Add{By: 1, To: 2, Missing: []int64{2}}, Err: ErrExists,
		},
		{
			Name:  "adding back counts before who is missing",
			Given: es{Added{By: 1, To: 2}}, When: Add{By: 2, To: 1, Missing: []int64{1, 2}}, Then: nil,
		},
		{Name: "self counts before who is missing", When: Add{By: 1, To: 1, Missing: []int64{1}}, Err: ErrSelf},
		{
			Name:  "who began a friendship ends it",
			Given: es{Added{By: 1, To: 2}}, When: Remove{By: 1, To: 2}, Then: es{Removed{By: 1, To: 2, Row: 1}},
		},
		{
			Name:  "the other side may end it too, and the event keeps who began it",
			Given: es{Added{By: 1, To: 2}}, When: Remove{By: 2, To: 1}, Then: es{Removed{By: 1, To: 2, Row: 1}},
		},
		{Name: "strangers have nothing to end", When: Remove{By: 1, To: 2}, Err: ErrNotFriends},
		{Name: "nobody ends a friendship with themself", When: Remove{By: 1, To: 1}, Err: ErrSelf},
		{
			Name:  "what was ended can't be ended again",
			Given: es{Added{By: 1, To: 2}, Removed{By: 1, To: 2, Row: 1}}, When: Remove{By: 2, To: 1}, Err: ErrNotFriends,
		},
		{
			Name:  "what was ended may begin anew, from the other side",
			Given: es{Added{By: 1, To: 2}, Removed{By: 1, To: 2, Row: 1}},
			When:  Add{By: 2, To: 1}, Then: es{Added{By: 2, To: 1}},
		},
		{
			Name:  "of an import with both directions both rows end",
			Given: es{Added{By: 1, To: 2}, Added{By: 2, To: 1}},
			When:  Remove{By: 2, To: 1}, Then: es{Removed{By: 1, To: 2, Row: 1}, Removed{By: 2, To: 1, Row: 2}},
		},
		{
			Name:  "after an import with both directions either has added the other",
			Given: es{Added{By: 1, To: 2}, Added{By: 2, To: 1}}, When: Add{By: 2, To: 1}, Err: ErrExists,
		},
	})
}

// errUnknownUsers stands for any UnknownUsersError in the table.
var errUnknownUsers = &UnknownUsersError{}

// Is lets the table compare kinds of errors.
func (e *UnknownUsersError) Is(target error) bool {
	_, same := target.(*UnknownUsersError)
	return same
}

func TestUnknownUsersAreNamed(t *testing.T) {
	_, err := decide(State{}, Add{By: 7, To: 9, Missing: []int64{7, 9}})
	unknown, ok := errors.AsType[*UnknownUsersError](err)
	if !ok || len(unknown.Missing) != 2 || unknown.Error() != "there are no users [7 9]" {
		t.Fatalf("got %v", err)
	}
}

func TestSeenFrom(t *testing.T) {
	s := decidertest.Fold(rules(), Event(Added{By: 1, To: 2}))
	for person, want := range map[int64]Friendship{
		1: {Row: 1, By: 1, To: 2, CreatedAt: decidertest.Epoch()},
		2: {Row: 1, By: 2, To: 1, CreatedAt: decidertest.Epoch()},
	} {
		if got, ok := s.SeenFrom(person); !ok || got != want {
			t.Errorf("from %d: %+v, %v", person, got, ok)
		}
	}
	if got, ok := (State{}).SeenFrom(1); ok {
		t.Errorf("strangers have a friendship: %+v", got)
	}
}

// TestEvolveSharesNothing: states are cached and handed out, so an older one must
// not change when a later one is made.
func TestEvolveSharesNothing(t *testing.T) {
	one := decidertest.Fold(rules(), Event(Added{By: 1, To: 2}))
	two := Evolve(one, decider.Recorded[Event]{Event: Added{By: 2, To: 1}, Number: 2})
	other := Evolve(one, decider.Recorded[Event]{Event: Added{By: 2, To: 1}, Number: 3})
	none := Evolve(two, decider.Recorded[Event]{Event: Removed{By: 1, To: 2, Row: 1}})
	if len(one.Rows) != 1 || one.Rows[0].Row != 1 || two.Rows[1].Row != 2 || other.Rows[1].Row != 3 || len(none.Rows) != 1 || two.Rows[0].Row != 1 {
		t.Fatalf("one %+v, two %+v, other %+v, none %+v", one, two, other, none)
	}
}

// TestAFriendshipIsSymmetric: whatever two people do, both are always told the
// same, and what is decided always fits the state.
func TestAFriendshipIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state State
		friends, number := false, int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			by := rapid.Int64Range(1, 2).Draw(t, "by")
			var c Command = Add{By: by, To: 3 - by}
			if rapid.Bool().Draw(t, "remove") {
				c = Remove{By: by, To: 3 - by}
			}
			events, err := decide(state, c)
			for _, e := range events {
				number++
				state = Evolve(state, decider.Recorded[Event]{Event: e, Number: number})
			}
			switch c.(type) {
			case Add:
				friends = true
			case Remove:
				if friends != (err == nil) {
					t.Fatalf("%+v answered %v, friends: %v", c, err, friends)
				}
				friends = false
			}
			_, seen := state.SeenFrom(by)
			if _, other := state.SeenFrom(3 - by); seen != friends || other != friends {
				t.Fatalf("after %+v: %v and %v, want %v", c, seen, other, friends)
			}
		}
	})
}
