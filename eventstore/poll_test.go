package eventstore_test

import (
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
)

// A log that another process writes is asked now and then.
func TestWaitingSeesWhatAnotherProcessHasAppended(t *testing.T) {
	driver := memory.New(memory.Options{})
	mine, err := eventstore.Open(t.Context(), driver, eventstore.Options{Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	theirs, err := eventstore.Open(t.Context(), driver, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- mine.Wait(t.Context(), 2) }()
	for range 2 {
		w := eventstore.Write{
			Stream: eventstore.Stream{Category: "a", ID: "1"}, Expected: eventstore.Any,
			Events: []eventstore.NewEvent{{Type: "Happened", Data: []byte("{}")}},
		}
		if _, err := theirs.Append(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waited; err != nil {
		t.Errorf("it is there, and waiting for it says %v", err)
	}
	if err := theirs.Close(); err != nil {
		t.Error(err)
	}
}
