package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ensemble/broker"
	"ensemble/broker/memory"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/projection"
	"ensemble/recommendation"
	graphs "ensemble/recommendation/memory"
	"ensemble/user"
	"ensemble/wire"
)

// network is both logs of a system, their topics, and a graph that is made from these.
type network struct {
	t      *testing.T
	broker *memory.Broker
	keys   user.Keys
	key    int64
	uuids  byte

	logs [2]*tape // of users, of friendships
	past [2][]*tape

	graph    *recommendation.Service
	progress [2]broker.Progress
}

// topicsOf names the topics.
func topicsOf() [2]string { return [2]string{user.Category, friend.Category} }

// happen appends something that may happen to people, or between them.
func (n *network) happen(which, choice int) {
	log := n.logs[which]
	if which == 0 {
		n.happenTo(log, choice)
		return
	}
	by, to := int64(choice%7+1), int64(choice/7%7+1)
	if by == to {
		return
	}
	stream := friend.Stream(by, to)
	var there []friend.Removed
	for _, e := range log.events {
		if e.Stream != stream {
			continue
		}
		event, _ := friend.Decode(e)
		switch event := event.(type) {
		case friend.Added:
			there = append(there, friend.Removed{By: event.By, To: event.To, Row: e.Number})
		case friend.Removed:
			there = there[1:]
		}
	}
	switch {
	case len(there) == 0, len(there) == 1 && there[0].By == to && choice%3 == 0: // in both directions, as an import may bring it
		n.record(log, stream, friend.Encode, friend.Added{By: by, To: to})
	default:
		for _, r := range there {
			n.record(log, stream, friend.Encode, r)
		}
	}
}

// happenTo appends something that may happen to a person.
func (n *network) happenTo(log *tape, choice int) {
	encode := func(e user.Event) (eventstore.NewEvent, error) { return user.Encode(n.keys, e) }
	people, erased := int64(0), map[int64]bool{}
	for _, e := range log.events {
		if e.Type == "UserCreated" {
			people++
		}
		if id, _ := user.ErasedPerson(&e); id > 0 {
			erased[id] = true
		}
	}
	id := int64(choice/4)%7 + 1
	switch {
	case id > people || choice%4 < 2:
		record[user.Event](n.t, log, user.Stream(people+1), encode, user.Created{FirstName: "N" + strconv.Itoa(choice), LastName: "L", Key: n.key}, people+1)
	case erased[id]:
	case choice%4 == 2:
		record[user.Event](n.t, log, user.Stream(id), encode, user.Renamed{FirstName: "R" + strconv.Itoa(choice), Key: n.key, CreatedAt: time.UnixMilli(1).UTC()}, 0)
	default:
		record[user.Event](n.t, log, user.Stream(id), encode, user.Erased{Key: n.key, CreatedAt: time.UnixMilli(1).UTC()}, 0)
	}
}

// record appends an event of a pair. Rows are numbered by their positions.
func (n *network) record(log *tape, s eventstore.Stream, encode func(friend.Event) (eventstore.NewEvent, error), e friend.Event) {
	record(n.t, log, s, encode, e, int64(len(log.events)+1))
}

// record appends an event to a log.
func record[E any](t *testing.T, log *tape, s eventstore.Stream, encode func(E) (eventstore.NewEvent, error), e E, number int64) {
	stored, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Number == eventstore.NoNumber {
		number = 0
	}
	p := eventstore.Position(len(log.events) + 1)
	log.events = append(log.events, eventstore.Event{
		Stream: s, Position: p, Number: number, Type: stored.Type, Data: stored.Data, Time: time.UnixMilli(int64(p) * 1000).UTC(),
	})
}

// relay sends a log until there is nothing to do any more, or the broker breaks.
func (n *network) relay(which int, log *tape, after int) {
	store := log.open(n.t)
	defer store.Close()
	render := []func(*eventstore.Event, eventstore.Lineage) (broker.Record, error){wire.UserRecords(n.keys), wire.FriendRecords()}[which]
	r := broker.NewRelay(broker.RelayConfig{
		Log: store, Topic: topicsOf()[which], Broker: &failing{n.broker, after}, Render: render, TakeOver: log == n.logs[which], Logger: quiet(),
	})
	ctx, cancel := context.WithTimeout(n.t.Context(), 25*time.Second)
	defer cancel()
	_ = r.Run(ctx)
}

// read brings what both topics have into the graph, for a while; or the half of it, so
// that one is ahead of the other.
func (n *network) read(which ...int) error {
	for range 20 {
		to := [2]projection.Projection{n.graph.Users(), n.graph.Friends()}
		decode := [2]func(*broker.Record) (broker.Message, error){wire.ReadUserRecord, wire.ReadFriendRecord}
		ctx, cancel := context.WithTimeout(n.t.Context(), time.Second)
		var replaced *broker.ReplacedError
		for _, i := range which {
			c := broker.NewConsumer(broker.ConsumerConfig{Topic: topicsOf()[i], Partitions: 1, Decode: decode[i], To: to[i], From: n.progress[i]})
			err := c.Run(ctx, n.broker, nil)
			n.progress[i] = c.Progress()
			if errors.As(err, &replaced) {
				n.graph = recommendation.NewPublished(graphs.New())
				for j, p := range n.progress {
					n.progress[j] = broker.Progress{Lineage: p.Lineage, Learned: p.Learned}
				}
				n.progress[i] = replaced.Again()
				which = []int{0, 1} // the graph is empty
				break
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				cancel()
				return err
			}
			cancel()
			ctx, cancel = context.WithTimeout(n.t.Context(), time.Second)
		}
		cancel()
		if replaced == nil {
			return nil
		}
	}
	return errors.New("a log is said to be replaced again and again")
}

// do does one thing.
func (n *network) do(s step) error {
	which := s.N % 2
	choice := s.N / 2
	switch s.What {
	case 0, 1, 2, 3:
		for i := range choice%4 + 1 {
			n.happen(which, choice/(i+1))
		}
	case 4, 5:
		n.relay(which, n.logs[which], choice%16-1)
	case 6:
		return n.read(which)
	case 7:
		n.broker.CutEnd(topicsOf()[which], choice%6)
	case 8:
		n.past[which] = append(n.past[which], n.logs[which].copied())
		n.uuids++
		n.logs[which] = n.logs[which].restored(choice%(len(n.logs[which].events)+1), n.uuids)
	case 9:
		if past := n.past[which]; len(past) > 0 {
			n.relay(which, past[choice%len(past)], -1)
		}
	case 10:
		n.progress[which].Offsets, n.progress[which].Marks = nil, nil // a rewind to 0
	}
	return nil
}

// answers is everything that a graph answers.
func answers(t *testing.T, s *recommendation.Service) string {
	t.Helper()
	var b strings.Builder
	for id := int64(1); id <= 9; id++ {
		for c, err := range s.Recommend(t.Context(), id, recommendation.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%d: %s×%d\n", id, c.User.Text(), c.Weight)
		}
		for other := range id {
			for u, err := range s.Mutual(t.Context(), id, other, 0) {
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%d and %d: %s\n", id, other, u.Text())
			}
		}
	}
	return b.String()
}

// direct is the graph that the logs make without any broker.
func (n *network) direct() *recommendation.Service {
	s := recommendation.New(graphs.New(), n.keys)
	for i, to := range []projection.Projection{s.Users(), s.Friends()} {
		if err := to.Apply(n.t.Context(), n.logs[i].events); err != nil {
			n.t.Fatal(err)
		}
	}
	return s
}

// TestAnyHistoryThroughTopicsEndsInTheSameGraph: both logs are relayed with crashes,
// restores, old relays, lost ends and rewinds to 0, and read in any interleaving; the
// graph answers as one that was made from the logs themselves.
func TestAnyHistoryThroughTopicsEndsInTheSameGraph(t *testing.T) {
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	key, err := keys.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	histories(t, func(t *testing.T, _ bool, steps []step) string { return runNetwork(t, keys, key, steps) })
}

// runNetwork does all of a history and says what is wrong in the end.
func runNetwork(t *testing.T, keys user.Keys, key int64, steps []step) string {
	n := &network{
		t: t, broker: memory.New(), keys: keys, key: key, uuids: 2, logs: [2]*tape{newTape(1), newTape(2)},
		graph: recommendation.NewPublished(graphs.New()),
	}
	for _, topic := range topicsOf() {
		n.broker.Make(topic, 1)
	}
	for _, s := range steps {
		if err := n.do(s); err != nil {
			return fmt.Sprintf("%+v: %v", s, err)
		}
	}
	for i, log := range n.logs {
		if len(log.events) == 0 {
			n.happen(i, 30) // a log without events can't tell anybody that it was replaced
		}
		n.relay(i, log, -1)
	}
	if err := n.read(0, 1); err != nil {
		return err.Error()
	}
	if got, want := answers(t, n.graph), answers(t, n.direct()); got != want {
		return fmt.Sprintf("the graph answers\n%s\nand the logs say\n%s", got, want)
	}
	return ""
}
