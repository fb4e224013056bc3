package api

import (
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ensemble/wire"
)

// describeAdmin says what the routes of the administration do. Clients never see
// them: they are described on the administration's own port.
func describeAdmin() map[string]operation {
	ask := func(summary, text string, body any) operation {
		return operation{
			tag: tagAdmin, summary: summary, problems: []wire.Slug{wire.ForeignRequest},
			answers: []answer{{status: http.StatusOK, text: text, body: body}},
		}
	}
	letter := operation{
		tag: tagAdmin, summary: "Decide on a record that could not be read", params: []string{"letter"},
		answers:  []answer{{status: http.StatusNoContent, text: "It is decided."}},
		problems: []wire.Slug{wire.DeadLetterNotFound, wire.ForeignRequest},
	}
	retry := letter
	retry.summary = "Try to read a record again"
	retry.text = "The graph is made anew with it in its place, since what came after it may depend on it."
	retry.answers = []answer{{status: http.StatusNoContent, text: "It can be read; Location says how far the graph is.", headers: []string{"Location"}}}
	retry.problems = append(slices.Clip(letter.problems), wire.DeadLetterUnread, wire.RebuildUnderWay, wire.ShuttingDown)
	letter.summary = "Discard a record that can't be read"
	letter.text = "The query parameter reason says why; it is kept in the file of dead letters."
	rebuild := ask("Make a projection anew", "", wire.Rebuild{})
	rebuild.text = "The old one answers until the new one has caught up and takes over. One at a time."
	rebuild.params = []string{"projection"}
	rebuild.answers = []answer{{
		status: http.StatusAccepted, text: "It has begun; Location says how far it is.", body: wire.Rebuild{}, headers: []string{"Location"},
	}}
	rebuild.problems = append(rebuild.problems, wire.ProjectionNotFound, wire.RebuildUnderWay, wire.ShuttingDown)
	status := ask("How far is the rebuild?", "The last rebuild of the projection.", wire.Rebuild{})
	status.params = []string{"projection"}
	status.problems = append(status.problems, wire.ProjectionNotFound, wire.NotFound)
	described := map[string]operation{
		"lag":               ask("How far is everything behind its log?", "A line for each projection.", []wire.Lag{}),
		"listDeadLetters":   ask("Which records could not be read?", "All of them.", wire.DeadLetters{}),
		"retryDeadLetter":   retry,
		"discardDeadLetter": letter,
		"instances":         ask("What runs where?", "The parts of the system.", []wire.Instance{}),
		"breakers":          ask("What stands between the gateway and the services?", "A line for each service.", []wire.Breaker{}),
		"rebuild":           rebuild,
		"rebuildStatus":     status,
		"config":            ask("With which configuration does this run?", "All of it, secrets masked.", map[string]any{}),
	}
	for name, params := range map[string][]string{
		"profiles": nil, "profileCPU": nil, "profileSymbol": nil, "profileSymbols": nil, "profileTrace": nil, "profileNamed": {"profile"},
	} {
		described[name] = operation{
			tag: tagAdmin, summary: "A profile of the Go runtime", params: params, problems: []wire.Slug{wire.ForeignRequest},
			answers: []answer{{status: http.StatusOK, text: "For `go tool pprof`.", body: "", media: []string{"*/*"}}},
		}
	}
	return described
}

// adminParameters is the table of what stands in paths of the administration.
func adminParameters() map[string]*huma.Param {
	inPath := func(name, text string) *huma.Param {
		return &huma.Param{Name: name, In: "path", Required: true, Description: text, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return map[string]*huma.Param{
		"letter":     inPath("id", "The id of the record."),
		"projection": inPath("name", "users, friends or recommendation."),
		"profile":    inPath("name", "The name of the profile, for instance heap."),
	}
}
