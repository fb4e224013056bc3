package guard

import "time"

// Limits says how much one client may ask of a port. A field that is zero has no
// limit only where it says so; take [DefaultLimits] and change what has to differ.
type Limits struct {
	// Connections is how many may be open at a time on one listener. Those beyond
	// are answered 503 too-many-connections and closed. It bounds the memory that
	// idle clients hold, about 25 KB each.
	Connections int
	// Head is the size of a request line and its headers together, in bytes. More
	// is 431.
	Head int
	// Headers is how many header lines a request may have. More is 431.
	Headers int
	// Target is the length of path and query, in bytes. More is 414. A list of 500
	// ids takes 10,000.
	Target int
	// Parameters is how many parts, separated by &, a query may have. More is 414.
	Parameters int

	// HeadTime is what a client may take from the first byte of a head to its
	// last. Later is 408. It is also what a new connection may wait with its first
	// byte; then it is closed without a word.
	HeadTime time.Duration
	// ReadTime is what a client may take for a whole request, body included.
	ReadTime time.Duration
	// WriteTime is what a client may take to read an answer. Lists and streams
	// move it forward, part by part.
	WriteTime time.Duration
	// IdleTime is how long a connection is kept open between two requests.
	IdleTime time.Duration
}

// DefaultLimits returns the limits that hold unless an operator says otherwise.
func DefaultLimits() Limits {
	return Limits{
		Connections: 4096,
		Head:        64 << 10,
		Headers:     100,
		Target:      16 << 10,
		Parameters:  100,
		HeadTime:    10 * time.Second,
		ReadTime:    30 * time.Second, // a body has at most 64 KiB
		WriteTime:   60 * time.Second,
		IdleTime:    120 * time.Second,
	}
}

// Limits that nobody has to change.
const (
	overflow   = 128         // connections beyond the limit that are answered at a time
	lingerTime = time.Second // for a client to read a refusal before its connection is reset
	lingerMax  = 256 << 10   // bytes read away meanwhile
	keepBuffer = 4 << 10     // of a connection's buffer, between requests
)
