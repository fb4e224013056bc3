package loadgen

import (
	"bytes"
	_ "embed" // the demonstration's network
	"fmt"
)

//go:embed demo/ego-facebook.txt.gz
var demoGraph []byte

// DemoKeys begins the idempotency keys of the demonstration, so that loading it
// again after an interruption goes on where it ended.
const DemoKeys = "demo-"

// Demo returns the demonstration: 4,039 people and 88,234 friendships of a real
// network.
func Demo() (*Graph, error) {
	g, err := ReadGraph(bytes.NewReader(demoGraph), "the demonstration")
	if err != nil {
		return nil, fmt.Errorf("the demonstration is broken: %w", err)
	}
	return g, nil
}
