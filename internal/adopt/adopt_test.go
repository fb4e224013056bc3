package adopt_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"ensemble/broker"
	"ensemble/broker/memory"
	"ensemble/decider"
	"ensemble/eventstore"
	logs "ensemble/eventstore/memory"
	"ensemble/friend"
	"ensemble/internal/adopt"
	"ensemble/internal/keyring"
	"ensemble/user"
	"ensemble/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsOddIsReportedWithWhatBecomesOfIt(t *testing.T) {
	long := strings.Repeat("ä", 300)
	got, report := adopt.Network{
		People: []adopt.Person{
			{ID: 3, FirstName: "C", LastName: "3"},
			{ID: 1, FirstName: "A", LastName: "1"},
			{ID: 2, FirstName: "B", LastName: "2"},
			{ID: 1, FirstName: "again"},
			{ID: 0, FirstName: "nobody"},
			{ID: 4, FirstName: " \t", LastName: "line\nbreak"},
			{ID: 5, FirstName: long, LastName: ""},
			{ID: 6, Erased: true},
		},
		Rows: []adopt.Row{
			{ID: 9, By: 3, To: 1},
			{ID: 2, By: 1, To: 2},
			{ID: 5, By: 2, To: 1},
			{ID: 7, By: 1, To: 2},
			{ID: 3, By: 2, To: 2},
			{ID: 4, By: 2, To: 77},
			{ID: 6, By: 6, To: 2},
			{ID: 0, By: 1, To: 4},
			{ID: 9, By: 2, To: 4},
		},
	}.Settle()
	want := adopt.Network{
		People: []adopt.Person{
			{ID: 1, FirstName: "A", LastName: "1"},
			{ID: 2, FirstName: "B", LastName: "2"},
			{ID: 3, FirstName: "C", LastName: "3"},
			{ID: 4, FirstName: "[unnamed]", LastName: "line break"},
			{ID: 5, FirstName: strings.Repeat("ä", 256), LastName: ""},
			{ID: 6, Erased: true},
		},
		Rows: []adopt.Row{
			{ID: 2, By: 1, To: 2},
			{ID: 5, By: 2, To: 1},
			{ID: 9, By: 3, To: 1},
			{ID: 10, By: 1, To: 4},
			{ID: 11, By: 2, To: 4},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it is settled otherwise (-want +got):\n%s", diff)
	}
	const said = `2 × a person whose id is taken, or none: left out
  user 0
  user 1
2 × a name that is not allowed: changed to one that is
  user 4
  user 5
2 × a friendship whose id is taken, or none: given the next free one
  row 0, 1 added 4, is row 10 now
  row 9, 2 added 4, is row 11 now
1 × a friendship with oneself: left out
  row 3, 2 added 2
1 × a friendship with somebody who is not there: left out
  row 4, 2 added 77
1 × a friendship that both have added: kept in both directions; removing it removes both rows
  row 5, 2 added 1, as row 2 the other way round
1 × a friendship with somebody who was erased: left out
  row 6, 6 added 2
1 × a friendship that is there already: left out
  row 7, 1 added 2, as row 2 says
`
	if report.String() != said {
		t.Errorf("it is reported as\n%s", report)
	}
}

func TestAReportOfMuchIsShort(t *testing.T) {
	var r adopt.Report
	for i := range 1000 {
		r.Note("something", "left out", fmt.Sprint("example ", i))
	}
	if got := r.String(); strings.Count(got, "\n") != 7 || !strings.Contains(got, "  and 995 more\n") || r.Count() != 1000 {
		t.Errorf("it is\n%s", got)
	}
}

// target opens new logs and keys.
func target(t testing.TB) adopt.Target {
	t.Helper()
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return adopt.Target{Users: logs.New(logs.Options{}), Friends: logs.New(logs.Options{}), Keys: keys}
}

// network reads what logs say: who is there, and which friendships.
func network(t testing.TB, of adopt.Target) (n adopt.Network) {
	t.Helper()
	people := map[int64]user.User{}
	for _, e := range events(t, of.Users) {
		id, err := user.PersonOf(e.Stream)
		if err != nil {
			t.Fatal(err)
		}
		event, err := user.Decode(of.Keys, e)
		if err != nil {
			t.Fatal(err)
		}
		people[id] = user.Evolve(people[id], decider.Recorded[user.Event]{Event: event, Number: e.Number, Time: e.Time})
	}
	for id, u := range people {
		n.People = append(n.People, adopt.Person{ID: id, FirstName: u.FirstName, LastName: u.LastName, Erased: u.Erased})
	}
	pairs := map[eventstore.Stream]friend.State{}
	for _, e := range events(t, of.Friends) {
		event, err := friend.Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		pairs[e.Stream] = friend.Evolve(pairs[e.Stream], decider.Recorded[friend.Event]{Event: event, Number: e.Number, Time: e.Time})
	}
	for _, s := range pairs {
		for _, f := range s.Rows {
			n.Rows = append(n.Rows, adopt.Row{ID: f.Row, By: f.By, To: f.To})
		}
	}
	n, report := n.Settle() // ascending
	for _, f := range report {
		if !strings.Contains(f.What, "both have added") {
			t.Errorf("the logs have something odd:\n%s", report)
		}
	}
	return n
}

// open puts a committer on a log.
func open(t *testing.T, log eventstore.Driver) *eventstore.Store {
	t.Helper()
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// events returns all of a log.
func events(t testing.TB, store eventstore.Driver) (all []eventstore.Event) {
	t.Helper()
	for {
		page, err := store.ReadAll(t.Context(), eventstore.Position(len(all)), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// TestAnyNetworkIsInTheLogsAsItWasSettled, with all ids, and who is new gets the next one.
func TestAnyNetworkIsInTheLogsAsItWasSettled(t *testing.T) {
	id := rapid.Int64Range(0, 12)
	rapid.Check(t, func(rt *rapid.T) {
		found := adopt.Network{
			People: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) adopt.Person {
				return adopt.Person{ID: id.Draw(rt, "id"), FirstName: rapid.String().Draw(rt, "first"), LastName: rapid.String().Draw(rt, "last"), Erased: rapid.IntRange(0, 9).Draw(rt, "erased") == 0}
			}), 0, 12).Draw(rt, "people"),
			Rows: rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) adopt.Row {
				return adopt.Row{ID: id.Draw(rt, "row"), By: id.Draw(rt, "by"), To: id.Draw(rt, "to")}
			}), 0, 30).Draw(rt, "rows"),
		}
		settled, report := found.Settle()
		kept := len(settled.People) + len(settled.Rows)
		if left := len(found.People) + len(found.Rows) - kept; left > report.Count() {
			rt.Fatalf("%d were left out, and %d reported", left, report.Count())
		}
		to := target(t)
		if err := adopt.Write(t.Context(), settled, to); err != nil {
			rt.Fatal(err)
		}
		for i := range settled.People {
			if p := &settled.People[i]; p.Erased {
				p.FirstName, p.LastName = "", ""
			}
		}
		if diff := cmp.Diff(settled, network(t, to)); diff != "" {
			rt.Fatalf("the logs have something else (-settled +logs):\n%s", diff)
		}
		next := int64(1)
		for _, p := range settled.People {
			next = max(next, p.ID+1)
		}
		if out, err := user.NewService(open(t, to.Users), to.Keys).Create(t.Context(), "New", "", nil); err != nil || out.State.ID != next {
			rt.Fatalf("who is new gets %d, not %d: %v", out.State.ID, next, err)
		}
	})
}

func TestALogThatIsNotEmptyIsLeftAlone(t *testing.T) {
	to := target(t)
	n := adopt.Network{People: []adopt.Person{{ID: 7, FirstName: "A"}}}
	if err := adopt.Write(t.Context(), n, to); err != nil {
		t.Fatal(err)
	}
	if err := adopt.Write(t.Context(), n, to); !errors.Is(err, adopt.ErrNotEmpty) {
		t.Errorf("written again: %v", err)
	}
	if got := network(t, to); len(got.People) != 1 {
		t.Errorf("there are %v", got)
	}
}

// spring is a broker with the topics of a Spring system.
func spring(users, friends []string, partitions int) *memory.Broker {
	b := memory.New()
	for topic, values := range map[string][]string{"user": users, "friend": friends} {
		b.Make(topic, partitions)
		for i, value := range values {
			b.Put(topic, int32(i%partitions), broker.Record{Value: []byte(value), Time: time.UnixMilli(int64(i))})
		}
	}
	return b
}

// saidUser writes what a Spring system sends.
func saidUser(id int, name, kind string) string {
	return fmt.Sprintf(`{"id":-1,"subject":{"id":%d,"firstName":%q,"lastName":"L","createdAt":1669477531123,"lastModified":1669477531123},"eventType":%q}`, id, name, kind)
}

func saidFriend(row, by, to int, kind string) string {
	return fmt.Sprintf(`{"subject":{"id":%d,"userId":%d,"friendId":%d,"createdAt":null,"updatedAt":null},"eventType":%q}`, row, by, to, kind)
}

// TestTheTopicsOfASpringSystemAreTakenOver, of one and of several partitions.
func TestTheTopicsOfASpringSystemAreTakenOver(t *testing.T) {
	users := []string{
		saidUser(1, "A", "USER_CREATED"), saidUser(2, "B", "USER_CREATED"), saidUser(7, "G", "USER_CREATED"), saidUser(2, "Bea", "USER_UPDATED"),
		"not JSON", saidUser(9, "I", "USER_UPDATED"),
	}
	friends := []string{
		saidFriend(1, 1, 2, "FRIEND_ADDED"), saidFriend(2, 2, 7, "FRIEND_ADDED"), saidFriend(3, 7, 1, "FRIEND_ADDED"), saidFriend(4, 2, 1, "FRIEND_ADDED"),
		saidFriend(2, 2, 7, "FRIEND_REMOVED"), saidFriend(8, 7, 2, "FRIEND_REMOVED"), saidFriend(5, 1, 2, "FRIEND_ADDED"), saidFriend(6, 2, 7, "FRIEND_ADDED"),
	}
	for _, partitions := range []int{1, 3} {
		found, err := adopt.FromTopics(t.Context(), spring(users, friends, partitions), adopt.Topics{Users: "user", Friends: "friend"})
		if err != nil {
			t.Fatal(err)
		}
		n, report := found.Settle()
		want := adopt.Network{
			People: []adopt.Person{{ID: 1, FirstName: "A", LastName: "L"}, {ID: 2, FirstName: "Bea", LastName: "L"}, {ID: 7, FirstName: "G", LastName: "L"}, {ID: 9, FirstName: "I", LastName: "L"}},
			Rows:   []adopt.Row{{ID: 1, By: 1, To: 2}, {ID: 3, By: 7, To: 1}, {ID: 4, By: 2, To: 1}, {ID: 6, By: 2, To: 7}},
		}
		if diff := cmp.Diff(want, n); diff != "" {
			t.Errorf("%d partitions: it is something else (-want +got):\n%s", partitions, diff)
		}
		for _, what := range []string{"1 × a record that can't be read", "1 × a person who was never created", "× a friendship that was removed and was not there", "1 × a friendship that was added again", "1 × a friendship that both have added"} {
			if !strings.Contains(report.String(), what) {
				t.Errorf("%d partitions: %q is not in\n%s", partitions, what, report)
			}
		}
	}
}

// TestOurOwnTopicsAreTakenOverWhole: what is relayed twice, or by a log that was restored
// since, is no oddity; and who was erased stays so.
func TestOurOwnTopicsAreTakenOverWhole(t *testing.T) {
	from := target(t)
	people := user.NewService(open(t, from.Users), from.Keys)
	for _, name := range []string{"A", "B", "C", "D"} {
		if _, err := people.Create(t.Context(), name, "L", nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := people.Rename(t.Context(), 2, "Bea", "L"); err != nil {
		t.Fatal(err)
	}
	if _, err := people.Erase(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	friends := friend.NewService(open(t, from.Friends), everybody{})
	for _, pair := range [][2]int64{{1, 2}, {3, 2}, {1, 3}} {
		if _, err := friends.Add(t.Context(), pair[0], pair[1], nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := friends.Remove(t.Context(), 2, 3, nil); err != nil {
		t.Fatal(err)
	}
	b := memory.New()
	send := func(topic string, store eventstore.Driver, render func(*eventstore.Event, eventstore.Lineage) (broker.Record, error)) {
		b.Make(topic, 1)
		for _, e := range slices.Concat(events(t, store), events(t, store)) {
			r, err := render(&e, eventstore.Lineage{{UUID: [16]byte{1}, First: 1}})
			if err != nil {
				t.Fatal(err)
			}
			b.Put(topic, 0, r)
		}
	}
	send("user", from.Users, wire.UserRecords(from.Keys))
	send("friend", from.Friends, wire.FriendRecords())
	found, err := adopt.FromTopics(t.Context(), b, adopt.Topics{Users: "user", Friends: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	n, report := found.Settle()
	if report.Count() != 0 {
		t.Errorf("it is reported as\n%s", report)
	}
	to := target(t)
	if err := adopt.Write(t.Context(), n, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(network(t, from), network(t, to)); diff != "" {
		t.Errorf("the new logs have something else (-old +new):\n%s", diff)
	}
	b.CutBegin("user", 8)
	if _, err := adopt.FromTopics(t.Context(), b, adopt.Topics{Users: "user", Friends: "friend"}); !errors.Is(err, adopt.ErrGap) {
		t.Errorf("a topic whose beginning is gone: %v", err)
	}
	if _, err := adopt.FromTopics(t.Context(), b, adopt.Topics{Users: "users", Friends: "friend"}); !errors.Is(err, broker.ErrNoTopic) {
		t.Errorf("a topic that is not there: %v", err)
	}
}

// everybody is a port that knows everybody.
type everybody struct{}

// Missing implements friend.Users.
func (everybody) Missing(context.Context, ...int64) ([]int64, error) { return nil, nil }
