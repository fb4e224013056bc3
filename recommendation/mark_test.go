package recommendation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/recommendation"
)

// TestAMarkIsInTheLogThatItIsFrom, however much that has grown, and in no other one.
func TestAMarkIsInTheLogThatItIsFrom(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	log := func(times ...int64) recommendation.Log {
		return recommendation.Log{Name: "user", ReadAll: func(_ context.Context, after eventstore.Position, limit int) (page []eventstore.Event, err error) {
			for i := int(after); i < min(len(times), int(after)+limit); i++ {
				page = append(page, eventstore.Event{Position: eventstore.Position(i + 1), Time: at(times[i])})
			}
			return page, nil
		}}
	}
	for name, c := range map[string]struct {
		log  recommendation.Log
		mark recommendation.Mark
		want error
	}{
		"nothing is in any log":            {log(), recommendation.Mark{}, nil},
		"the last event":                   {log(10, 20, 30), recommendation.Mark{Position: 3, Time: at(30)}, nil},
		"the log has grown":                {log(10, 20, 30, 40), recommendation.Mark{Position: 3, Time: at(30).UTC()}, nil},
		"the log is shorter":               {log(10, 20), recommendation.Mark{Position: 3, Time: at(30)}, recommendation.ErrOtherLog},
		"the log is new":                   {log(), recommendation.Mark{Position: 1, Time: at(10)}, recommendation.ErrOtherLog},
		"a copy was put back, and it grew": {log(10, 20, 31), recommendation.Mark{Position: 3, Time: at(30)}, recommendation.ErrOtherLog},
	} {
		if err := c.log.Holds(t.Context(), c.mark); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	broken := errors.New("broken")
	unreadable := recommendation.Log{Name: "user", ReadAll: func(context.Context, eventstore.Position, int) ([]eventstore.Event, error) { return nil, broken }}
	err := unreadable.Holds(t.Context(), recommendation.Mark{Position: 1, Time: at(10)})
	if !errors.Is(err, broken) || errors.Is(err, recommendation.ErrOtherLog) { // it may be the right one
		t.Errorf("a log that can't be read: %v", err)
	}
}
