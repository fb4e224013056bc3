package wire

import "encoding/json"

// The answers of the administration. Operators and their scripts read them, and no
// Spring system has any, so they are marshalled and not appended.

// Lag says how far something that is made from a log is behind it.
type Lag struct {
	Projection    string  `json:"projection"`
	Log           string  `json:"log"`
	Kind          string  `json:"kind"` // view: written in the commit, never behind; follower: a moment later; relay: sent to a topic
	Position      int64   `json:"position"`
	Head          int64   `json:"head"`
	Behind        int64   `json:"behind"`        // events
	SecondsBehind float64 `json:"secondsBehind"` // since the first event that is missing; 0 if none is
	Error         string  `json:"error,omitempty"`
}

// DeadLetters lists the foreign records that could not be read.
type DeadLetters struct {
	DeadLetters []DeadLetter `json:"deadLetters"`
	Note        string       `json:"note"`
}

// DeadLetter is one of them.
type DeadLetter struct {
	ID        string `json:"id"` // topic, partition, offset
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key"`
	Value     string `json:"value"` // the first 4 KiB
	Reason    string `json:"reason"`
	AddedAt   Time   `json:"addedAt"`
}

// Instance is a running part of the system.
type Instance struct {
	Service string `json:"service"`
	Address string `json:"address"` // where it listens by itself; empty: only behind the gateway
	Status  string `json:"status"`  // UP or DOWN
}

// Breaker is what stands between the gateway and a service.
type Breaker struct {
	Service   string `json:"service"`
	Transport string `json:"transport"` // in-process: a call, with nothing that could break on the way
	State     string `json:"state"`     // closed: requests pass; open: they are refused
}

// The states of a rebuild.
const (
	RebuildRunning = "running"
	RebuildDone    = "done"
	RebuildFailed  = "failed"
)

// Rebuild is the progress of a rebuild, and what came of it.
type Rebuild struct {
	Projection string         `json:"projection"`
	State      string         `json:"state"`
	Done       int64          `json:"done"`  // events that the new generation has
	Total      int64          `json:"total"` // events that there are
	StartedAt  Time           `json:"startedAt"`
	EndedAt    Time           `json:"endedAt" nullable:"true"` // null while it runs
	Error      string         `json:"error,omitempty"`
	Tables     []RebuiltTable `json:"tables,omitempty"`
}

// RebuiltTable compares the old and the new generation of a table.
type RebuiltTable struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	Differ int64  `json:"differ"` // rows that had been wrong
	Hash   string `json:"hash"`   // SHA-256 of the new rows, in hexadecimal
}

// AppendJSON appends a value as JSON and ends the line.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(append(dst, text...), '\n'), err
}
