package broker_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"ensemble/broker"
	"ensemble/eventstore"
)

// TestAnOriginIsReadAsItWasStamped, for any lineage and position.
func TestAnOriginIsReadAsItWasStamped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lineage := eventstore.Lineage{{First: 1}}
		for i := range rapid.IntRange(0, 4).Draw(t, "restores") {
			first := lineage[i].First + eventstore.Position(rapid.IntRange(0, 50).Draw(t, "events"))
			lineage = append(lineage, eventstore.Fork{UUID: [16]byte{byte(i + 1)}, First: first})
		}
		p := eventstore.Position(rapid.Int64Range(1, 1<<62).Draw(t, "position"))
		headers, _ := broker.Stamp([]broker.Header{{Key: "a"}}, nil, p, lineage)
		r := broker.Record{Headers: headers}
		o, ours, err := broker.OriginOf(&r)
		if err != nil || !ours || o.Position != p || o.Lineage.At(p) != lineage.At(p) || len(lineage) > 1 && fmt.Sprint(o.Lineage) != fmt.Sprint(lineage) {
			t.Fatalf("%v at %d is read as %+v, %v, %v", lineage, p, o, ours, err)
		}
	})
}

// FuzzOrigin: headers of any kind are an origin, none, or refused; and what is one is
// stamped as it was.
func FuzzOrigin(f *testing.F) {
	f.Add("3f2a91c0-0102-0304-0506-0708090a0b0c", "77", "")
	f.Add("b00b1e50-0102-0304-0506-0708090a0b0c", "9", "3f2a91c0-0102-0304-0506-0708090a0b0c@1,b00b1e50-0102-0304-0506-0708090a0b0c@8")
	f.Add("3f2a91c0", "-1", "@")
	f.Add("", "", ",")
	f.Fuzz(func(t *testing.T, log, position, lineage string) {
		r := broker.Record{Headers: []broker.Header{{Key: "ensemble-log", Value: []byte(log)}, {Key: "ensemble-position", Value: []byte(position)}}}
		if lineage != "" {
			r.Headers = append(r.Headers, broker.Header{Key: "ensemble-lineage", Value: []byte(lineage)})
		}
		o, ours, err := broker.OriginOf(&r)
		if err != nil {
			return
		}
		if !ours || o.Position < 1 || len(o.Lineage) == 0 {
			t.Fatalf("it is read as %+v, %v", o, ours)
		}
		headers, _ := broker.Stamp(nil, nil, o.Position, o.Lineage)
		again := broker.Record{Headers: headers}
		if same, _, err := broker.OriginOf(&again); err != nil || same.Position != o.Position || same.Lineage.At(same.Position) != o.Lineage.At(o.Position) {
			t.Fatalf("%+v is stamped as %+v, %v", o, same, err)
		}
	})
}
