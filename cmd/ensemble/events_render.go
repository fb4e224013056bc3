package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/telemetry"
	"ensemble/user"
	"ensemble/wire"
)

// output says how events are printed.
type output string

// The outputs.
const (
	outputAuto output = "auto" // text on a terminal, JSON elsewhere
	outputText output = "text"
	outputJSON output = "json"
)

// shownEvent is an event as it is printed in JSON, one a line. Its members are those of
// the event feed, and the name of the log. Names stand open if the keys are there; they
// are null once the person was erased. Without the keys the data is what is stored,
// sealed names included, for a program can do something with it, and with a guess it
// can't.
type shownEvent struct {
	Log      string            `json:"log"`
	Position int64             `json:"position"`
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	Stream   string            `json:"stream"`
	Version  int64             `json:"version"`
	Number   int64             `json:"number,omitempty"`
	Time     json.RawMessage   `json:"time"`
	Data     any               `json:"data"`
	Meta     map[string]string `json:"meta,omitempty"`
	State    any               `json:"state,omitempty"` // after the event; only 'show' knows it
}

// names is the data of an event about a person, with the names open. Both are nil when
// the key was destroyed. Without any keys the first says so and the last is nil.
type names struct {
	FirstName *string `json:"firstName"`
	LastName  *string `json:"lastName"`
}

// printer prints events for people or for programs.
//
// For people an event is a line: log, position, time, stream and version, type, and what
// it says. Colours are for terminals alone, and NO_COLOR switches them off.
type printer struct {
	out    io.Writer
	json   bool
	colour bool
	from   *reading
}

// newPrinter returns a printer for where the output goes.
func newPrinter(out io.Writer, o output, from *reading) *printer {
	terminal := telemetry.IsTerminal(out)
	return &printer{out: out, json: o == outputJSON || o != outputText && !terminal, colour: terminal, from: from}
}

// print prints an event; state may be nil.
func (p *printer) print(log string, uuid [16]byte, e eventstore.Event, state any) error {
	data, err := p.data(e)
	if err != nil {
		return err
	}
	if p.json {
		line, err := json.Marshal(shownEvent{
			Log: log, Position: int64(e.Position), ID: fmt.Sprintf("%s:%d", wire.AppendUUID(nil, uuid), e.Position),
			Type: e.Type, Stream: e.Stream.String(), Version: int64(e.Version), Number: e.Number,
			Time: wire.AppendTime(nil, e.Time), Data: data, Meta: e.Meta, State: state,
		})
		if err != nil {
			return fmt.Errorf("print event %d: %w", e.Position, err)
		}
		_, err = p.out.Write(append(line, '\n'))
		return err
	}
	return p.line(log, e, data, state)
}

// line prints an event for people, the state on a line of its own.
func (p *printer) line(log string, e eventstore.Event, data, state any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("print event %d: %w", e.Position, err)
	}
	if n, ok := data.(names); ok {
		text = []byte(n.String())
	}
	_, err = fmt.Fprintf(p.out, "%s %s  %s  %s v%d  %s  %s\n",
		p.paint(faint, log), p.paint(bold, fmt.Sprint(e.Position)), p.paint(faint, e.Time.Format("2006-01-02 15:04:05.000")),
		e.Stream, e.Version, p.paint(colourOf(e.Type), e.Type), text)
	if err != nil || state == nil {
		return err
	}
	after, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("print the state after event %d: %w", e.Position, err)
	}
	_, err = fmt.Fprintf(p.out, "    → %s\n", after)
	return err
}

// The escape sequences of a terminal (ECMA-48, SGR) that are used.
const (
	faint  = "2"
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// colourOf returns the colour of a type of event: what begins is green, what ends is
// red, what changes is yellow.
func colourOf(kind string) string {
	switch {
	case strings.HasSuffix(kind, "Created"), strings.HasSuffix(kind, "Added"):
		return green
	case strings.HasSuffix(kind, "Erased"), strings.HasSuffix(kind, "Removed"):
		return red
	}
	return yellow
}

// paint colours a text if a person is looking.
func (p *printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// data returns what an event says: names with the keys, anything else as it is stored,
// so that an event of a type that this program does not know is printed too.
//
// The feed of events, over HTTP, shows the same events to clients. It leaves out what is
// not theirs to see, the numbers of keys and how the log counts; this is for operators,
// who can open the files anyway.
func (p *printer) data(e eventstore.Event) (any, error) {
	if e.Stream.Category != user.Category || p.from.mute != nil && p.json {
		return json.RawMessage(e.Data), nil
	}
	decoded, err := user.Decode(p.from.keys, e)
	if errors.Is(err, user.ErrForeign) {
		return json.RawMessage(e.Data), nil
	}
	if err != nil {
		return nil, err
	}
	switch d := decoded.(type) {
	case user.Created:
		return namesOf(d.FirstName, d.LastName, p.from.mute != nil), nil
	case user.Renamed:
		return namesOf(d.FirstName, d.LastName, p.from.mute != nil), nil
	case user.Erased:
	}
	return names{}, nil
}

// namesOf returns two names; a first name is never empty, so one that is can't be
// read any more.
func namesOf(first, last string, sealed bool) names {
	switch {
	case sealed:
		mark := "(sealed)"
		return names{&mark, nil}
	case first == "":
		return names{}
	}
	return names{&first, &last}
}

// String returns the names for people.
func (n names) String() string {
	switch {
	case n.FirstName == nil:
		return "(erased)"
	case n.LastName == nil:
		return *n.FirstName
	}
	return strings.TrimSpace(*n.FirstName + " " + *n.LastName)
}

// userState folds the events of a person and returns the state after each.
func userState(keys user.Keys) func(eventstore.Event) (any, error) {
	var state user.User
	return func(e eventstore.Event) (any, error) {
		decoded, err := user.Decode(keys, e)
		if err != nil {
			return nil, err
		}
		state = user.Evolve(state, decider.Recorded[user.Event]{Event: decoded, Number: e.Number, Time: e.Time})
		n := namesOf(state.FirstName, state.LastName, false)
		return struct {
			ID int64 `json:"id"`
			names
			CreatedAt    time.Time `json:"createdAt"`
			LastModified time.Time `json:"lastModified"`
			Erased       bool      `json:"erased"`
		}{state.ID, n, state.CreatedAt, state.LastModified, state.Erased}, nil
	}
}

// friendState folds the events of a pair and returns the state after each. There may be
// two rows, one for each direction, after an import; friends they are while there is one.
func friendState() func(eventstore.Event) (any, error) {
	var state friend.State
	type row struct {
		ID        int64     `json:"id"`
		UserID    int64     `json:"userId"`
		FriendID  int64     `json:"friendId"`
		CreatedAt time.Time `json:"createdAt"`
	}
	return func(e eventstore.Event) (any, error) {
		decoded, err := friend.Decode(e)
		if err != nil {
			return nil, err
		}
		state = friend.Evolve(state, decider.Recorded[friend.Event]{Event: decoded, Number: e.Number, Time: e.Time})
		rows := make([]row, len(state.Rows))
		for i, f := range state.Rows {
			rows[i] = row{f.Row, f.By, f.To, f.CreatedAt}
		}
		return struct {
			Friends bool  `json:"friends"`
			Rows    []row `json:"rows"`
		}{len(rows) > 0, rows}, nil
	}
}
