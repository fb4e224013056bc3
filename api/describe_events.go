package api

import (
	"net/http"

	"ensemble/wire"
)

// describeEvents says what the route of a log's feed does.
func describeEvents() map[string]operation {
	return map[string]operation{
		"listEvents": fresh(operation{
			tag: tagEvents, shared: true, summary: "What happened, and what happens from now on",
			text: "A page of events, one to a line; `Link` leads to the next one, also when none of a page's events was asked for. " +
				"With `Accept: text/event-stream` a stream that goes on with each new event, with a comment every 15 seconds; " +
				"after a cut it goes on exactly at `Last-Event-ID`. Names are null once their person is erased.",
			params: []string{"after", "types", "events", "Last-Event-ID"},
			answers: []answer{{
				status: http.StatusOK, text: "Events, ascending by position. Of a page, `Event-Position` is the last one looked at.", body: wire.Event{},
				media: []string{ndjsonType, eventsType}, headers: []string{"Link", "Event-Position", "X-Accel-Buffering"},
			}},
			problems: []wire.Slug{wire.InvalidParameter, wire.NotAcceptable, wire.PositionAhead},
		}),
		"getHead": {
			tag: tagEvents, shared: true, summary: "Where the log ends, and which log it is",
			text: "The position of the last event, and by which UUIDs the log was known from which positions on: " +
				"a restore adds one. Who has followed the log up to that position has seen all that was there.",
			answers: []answer{{
				status: http.StatusOK, text: "The end of the log.", body: wire.LogHead{},
			}},
		},
	}
}
