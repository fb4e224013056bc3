package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"ensemble/wire"
)

func TestARebuildAsItTravels(t *testing.T) {
	at := wire.Time{Time: time.Date(2022, 11, 26, 15, 45, 31, 123_456_789, time.UTC)}
	for want, r := range map[string]wire.Rebuild{
		`{"projection":"users","state":"running","done":7,"total":10,"startedAt":"2022-11-26T15:45:31.123+00:00","endedAt":null}`: {
			Projection: "users", State: wire.RebuildRunning, Done: 7, Total: 10, StartedAt: at,
		},
		`{"projection":"users","state":"failed","done":0,"total":0,"startedAt":"2022-11-26T15:45:31.123+00:00","endedAt":"2022-11-26T15:45:31.123+00:00","error":"no space left"}`: {
			Projection: "users", State: wire.RebuildFailed, StartedAt: at, EndedAt: at, Error: "no space left",
		},
		`{"projection":"friends","state":"done","done":2,"total":2,"startedAt":"2022-11-26T15:45:31.123+00:00","endedAt":"2022-11-26T15:45:31.123+00:00","tables":[{"table":"friend","rows":2,"differ":1,"hash":"00ff"}]}`: {
			Projection: "friends", State: wire.RebuildDone, Done: 2, Total: 2, StartedAt: at, EndedAt: at,
			Tables: []wire.RebuiltTable{{Table: "friend", Rows: 2, Differ: 1, Hash: "00ff"}},
		},
	} {
		got, err := wire.AppendJSON(nil, r)
		if err != nil || string(got) != want+"\n" {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
		var back wire.Rebuild
		if err := json.Unmarshal(got, &back); err != nil || back.State != r.State || !back.StartedAt.Equal(at.Truncate(time.Millisecond)) || back.EndedAt.IsZero() != r.EndedAt.IsZero() {
			t.Errorf("%s came back as %+v, %v", got, back, err)
		}
	}
}

func TestWhatIsNoJSONIsNotAnswered(t *testing.T) {
	if _, err := wire.AppendJSON(nil, func() {}); err == nil {
		t.Fatal("a function became JSON")
	}
}
