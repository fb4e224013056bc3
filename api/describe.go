package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ensemble/wire"
)

// operation describes a route for people and programs: what the document at
// /openapi.json says of it. Each route of a table has one, by its name.
//
// To describe a new route, add a line to the describe function of its noun:
//
//   - parameters and headers by their names in the two tables below, which say what
//     they mean once for all routes,
//   - the body and the answers by a value of the Go type that is sent: its json tags
//     give the members, its doc tags the words,
//   - the problems that its handler may answer, in the order in which it looks for
//     them. Groups that go together have functions: keyed, recorded, embodied, listed.
//
// What is forgotten is found: every answer that a test gets is held against this
// description, and a kind of problem that no route may answer fails a test.
type operation struct {
	tag      string   // the heading under which it is listed
	summary  string   // what somebody would ask who looks for it
	text     string   // CommonMark
	params   []string // names in the table of parameters
	body     any      // a value of the type that the body is decoded into; nil: there is none
	answers  []answer
	problems []wire.Slug // besides those that every route may answer
	shared   bool        // several services have it
}

// answer is one way in which an operation succeeds.
type answer struct {
	status  int
	text    string   // what it means, as a sentence
	body    any      // a value of the type of the body; nil: it is empty
	media   []string // of the body; nil: application/json
	headers []string // names in the table of headers
}

// The tags under which operations are listed.
const (
	tagUsers           = "Users"
	tagFriends         = "Friends"
	tagRecommendations = "Recommendations"
	tagEvents          = "Events"
	tagOperating       = "Operating"
	tagAdmin           = "Administration"
)

// documentTags says what is under each tag, in the order in which they are shown.
func documentTags() []*huma.Tag {
	return []*huma.Tag{
		{Name: tagUsers, Description: "People: who there is and what they are called."},
		{Name: tagFriends, Description: "Friendships: who befriends whom. A friendship is symmetric; either side may end it."},
		{Name: tagRecommendations, Description: "Whom somebody should befriend. Follows users and friendships a moment later."},
		{Name: tagEvents, Description: "What happened, in the order in which it happened: the record that everything else is made from."},
		{Name: tagOperating, Description: "How the services are, and this documentation."},
		{Name: tagAdmin, Description: "What an operator asks and orders, on a port that no client reaches."},
	}
}

// operations returns the descriptions of all routes, by their names.
func operations() map[string]operation {
	all := describeUsers()
	for _, more := range []map[string]operation{
		describeErasure(), describeFriends(), describeRecommendations(), describeEvents(), describeHealth(), describeDocs(), describeAdmin(),
	} {
		maps.Copy(all, more)
	}
	return all
}

// everywhere lists the problems that any route may answer: those of the guard before it,
// and ours.
func everywhere() []wire.Slug {
	return []wire.Slug{
		wire.BadRequest, wire.URITooLong, wire.ExpectationFailed, wire.HeadersTooLarge, wire.Internal,
		wire.BadGateway, wire.NoInstance, wire.GatewayTimeout, // of a gateway in front
		wire.TooManyConnections, wire.VersionNotSupported,
	}
}

// keyed lists the problems of an Idempotency-Key.
func keyed() []wire.Slug {
	return []wire.Slug{
		wire.InvalidKey, wire.KeyInUse, wire.KeyReused, wire.BodyTooLarge, wire.IncompleteBody, wire.RequestTimeout,
	}
}

// recorded lists the problems of what has to get into the log.
func recorded() []wire.Slug {
	return []wire.Slug{wire.Busy, wire.OutcomeUnknown, wire.StorageFull, wire.ShuttingDown}
}

// embodied lists the problems of a body that is JSON.
func embodied() []wire.Slug {
	return []wire.Slug{
		wire.MalformedJSON, wire.UnsupportedMedia, wire.ValidationFailed,
		wire.BodyTooLarge, wire.IncompleteBody, wire.RequestTimeout,
	}
}

// parameters is the table of what a request may carry besides its body.
func parameters() map[string]*huma.Param {
	id := func(text string) *huma.Param {
		return &huma.Param{In: "path", Required: true, Description: text, Schema: idSchema()}
	}
	query := func(text string, schema *huma.Schema) *huma.Param {
		return &huma.Param{In: "query", Description: text, Schema: schema}
	}
	header := func(text, pattern, example string) *huma.Param {
		return &huma.Param{In: "header", Description: text, Schema: &huma.Schema{Type: huma.TypeString, Pattern: pattern}, Example: example}
	}
	friendID := query("The id of the other person.", idSchema())
	friendID.Required = true
	known := adminParameters()
	maps.Copy(known, map[string]*huma.Param{
		"id":       id("A person's id."),
		"rowId":    id("The id of a friendship, the same for both sides."),
		"slug":     {In: "path", Required: true, Description: "The last part of a problem's type.", Schema: text()},
		"asset":    {In: "path", Required: true, Description: "A file of the page.", Schema: text()},
		"friendId": friendID,
		"limit":    query("How many items at most.", &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0), Maximum: new(float64(maxLimit))}),
		"cursor":   query("Where to go on: from the Link of the part before. Bound to the list and its filters; it never expires.", text()),
		"ids": query("Only these people, up to "+strconv.Itoa(maxIDs)+", separated by commas; who is not there is left out. Not together with `cursor`.",
			&huma.Schema{Type: huma.TypeString, Pattern: "^[1-9][0-9]*(,[1-9][0-9]*)*$"}),
		"minWeight": query("Only candidates with so many mutual friends.", &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0)}),
		"explain":   query("Add up to ten mutual friends to each candidate.", &huma.Schema{Type: huma.TypeBoolean}),
		"If-Match":  header("Do it only to one of these versions (ETags, or `*`); ignored where the answer is an error anyway.", "", `"3-3f2a91c0"`),
		"direction": query("Which friendships of the person: all of them, or those that the person began.",
			&huma.Schema{Type: huma.TypeString, Enum: []any{"both", "outgoing"}}),
		"metric":        {In: "path", Required: true, Description: "The name of a metric, from /actuator/metrics.", Schema: text()},
		"tag":           query("Only what carries this tag, as name:value; may come several times.", text()),
		"verbose":       query("A line for each component.", text()),
		"after":         query("Events after this position; 0 is before the first.", &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: new(0.0)}),
		"types":         query("Only events of these types, separated by commas.", text()),
		"events":        query("How many events at most.", &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0), Maximum: new(float64(maxEvents))}),
		"Last-Event-ID": header("Where a stream that was cut goes on; wins over `after`.", "^[0-9]+$", "77"),
		"Min-Event-Position": header("Answer only with what contains the events up to these positions, "+
			"as commands have answered them in Event-Position.", "", "user:1, friend:1"),
		"Prefer": header("How many seconds to wait for Min-Event-Position (RFC 7240), and whether older data is better than none.", "",
			"wait=5, handling=lenient"),
		"If-None-Match": header("ETags that the client has already; one of them is answered with 304.", "", `"3-3f2a91c0"`),
		"Idempotency-Key": header("Makes the command happen once, however often it is sent: the same answer again, over restarts, for 24 hours. "+
			"1 to 255 visible ASCII characters, bare or in double quotes.", `^("[!-~]{1,255}"|[!-~]{1,255})$`, "5f1c7a9e"),
	})
	// Where one word means two things, the table has two lines and the route one name.
	limit := *known["events"]
	limit.Name = "limit"
	known["events"] = &limit
	return known
}

// headers is the table of what answers carry besides their body.
func headers() map[string]*huma.Header {
	header := func(text, example string) *huma.Header {
		return &huma.Header{Description: text, Schema: &huma.Schema{Type: huma.TypeString}, Example: example}
	}
	return map[string]*huma.Header{
		"Allow":               header("The methods that work on this path.", "GET, HEAD, OPTIONS"),
		"Link":                header("Where the list goes on, if it does.", `</user/v1/users?cursor=AbCd>; rel="next"`),
		"X-Accel-Buffering":   header("Asks proxies to pass a stream on as it comes.", "no"),
		"Preference-Applied":  header("What of Prefer was heeded.", "wait=5"),
		"Projection-Position": header("Up to where in each log this answer knows what happened.", "user:18@3f2a91c0, friend:77@b5c82f0c"),
		"ETag":                header("The version of what is answered, strong.", `"3-3f2a91c0"`),
		"Location":            header("The path of what was made.", "/user/v1/users/1"),
		"X-Request-Id":        header("The request's id, as sent or made up; the log has it too.", "TWGGNLLFVHFJLFWIYKDQZSZMAY"),
		"Retry-After": {
			Description: "Seconds after which sending the request again makes sense.",
			Schema:      &huma.Schema{Type: huma.TypeInteger}, Example: 1,
		},
		"Event-Position": header("Up to where in which log one has to have read to see this command: log, position, "+
			"and the log's identity there.", "friend:77@3f2a91c0"),
		"Idempotency-Replayed": {
			Description: "Present if the answer is that to an earlier request with the same Idempotency-Key.",
			Schema:      &huma.Schema{Type: huma.TypeString, Enum: []any{"true"}},
		},
	}
}

// idSchema is the schema of an id in a path or a query.
func idSchema() *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: new(1.0), Examples: []any{1}}
}

// text is the schema of any text.
func text() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }

// list returns the answer of a route that lists items like the ones given, in
// each of the forms of a list.
func list(text string, items any) []answer {
	return []answer{{
		status: http.StatusOK, text: text + " As an array, one to a line, or as a stream of events: as `Accept` says.",
		body: items, media: []string{jsonType, ndjsonType, eventsType}, headers: []string{"Link"},
	}}
}

// fresh adds to a query what all have that can wait for a position.
func fresh(o operation) operation {
	o.params = slices.Concat(o.params, []string{"Min-Event-Position", "Prefer"})
	for i := range o.answers {
		o.answers[i].headers = append(o.answers[i].headers, "Preference-Applied")
	}
	o.problems = slices.Concat(o.problems, []wire.Slug{wire.InvalidPosition, wire.LogReplaced, wire.ProjectionBehind, wire.Busy, wire.ShuttingDown})
	return o
}

// listed lists the problems of any list.
func listed() []wire.Slug {
	return []wire.Slug{wire.InvalidParameter, wire.InvalidCursor, wire.NotAcceptable}
}
