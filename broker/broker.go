package broker

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Record is one record of a topic.
type Record struct {
	Key     []byte
	Value   []byte
	Headers []Header
	Time    time.Time // as its producer has set it; zero: the broker's

	Partition int32 // where it lies, in a record that was read
	Offset    int64
}

// Header is one header of a record. A name may come more than once.
type Header struct {
	Key   string
	Value []byte
}

// Header returns the value of the first header with a name, nil if there is none.
func (r *Record) Header(name string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == name {
			return r.Headers[i].Value
		}
	}
	return nil
}

// Bounds says what a partition has: the offsets from Begin up to, but not with, End.
type Bounds struct{ Begin, End int64 }

// ErrNoTopic means that the broker has no such topic.
var ErrNoTopic = errors.New("there is no such topic")

// Publisher keeps topics at some broker: it stores records in them, and hands them
// out to whoever follows. Its methods may be called concurrently.
//
// Package brokertest tests this contract sentence by sentence.
type Publisher interface {
	// Prepare makes a topic with one partition that keeps its records for ever. A
	// topic that is there stays as it is.
	Prepare(ctx context.Context, topic string) error
	// Publish appends records to partition 0, in order, and returns the offset of the
	// first one once all of them are as durable as the broker makes them. After an
	// error some of the first ones may be there.
	Publish(ctx context.Context, topic string, records []Record) (first int64, err error)
	// Bounds says what each partition of a topic has. Errors: ErrNoTopic.
	Bounds(ctx context.Context, topic string) ([]Bounds, error)
	// Read returns the records of a partition with offsets from one up to, but not
	// with, another, ascending. A negative end is none: each new record comes as
	// it is stored, until the context ends. Offsets that the partition does not have
	// any more are passed over; from an offset that it does not have yet, it reads
	// from the beginning, because it has lost its end.
	Read(ctx context.Context, topic string, partition int32, from, to int64) iter.Seq2[Record, error]
	// Close gives back what is held. No other call may be under way.
	Close() error
}
