// Package kafka keeps topics at Apache Kafka, or at anything else that speaks its
// protocol.
//
// It guarantees the contract of [broker.Publisher]: records are sent by an idempotent
// producer and acknowledged by all replicas in sync; topics are made with one partition
// and without an end of retention. What fails for a moment is tried again inside, for at
// most half a minute; then it is the caller's turn.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ensemble/broker"
)

// How long things are tried.
const (
	retryTimeout   = 30 * time.Second // of any request
	deliverTimeout = 30 * time.Second // of records
	quiet          = time.Second      // without records, then a bounded reader looks where the end is
)

// Broker is a connection to a cluster. It implements [broker.Publisher].
type Broker struct {
	config Config
	opts   []kgo.Opt
	client *kgo.Client // sends, and asks
	admin  *kadm.Client
}

// Open returns a connection, which is made when it is needed first: a broker that is away
// is no error.
//
// Errors: a configuration that makes no sense.
func Open(config Config) (*Broker, error) {
	opts, err := config.client()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(slices.Clip(opts),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.AllowIdempotentProduceCancellation(), // the relay looks at what is there, after any error
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	return &Broker{config: config, opts: opts, client: client, admin: kadm.NewClient(client)}, nil
}

// Prepare implements [broker.Publisher].
func (b *Broker) Prepare(ctx context.Context, topic string) error {
	if _, err := b.partitions(ctx, topic); !errors.Is(err, broker.ErrNoTopic) {
		return err
	}
	replication := b.config.Replication
	if replication == 0 {
		replication = -1
	}
	forever := "-1"
	_, err := b.admin.CreateTopic(ctx, 1, replication, map[string]*string{"retention.ms": &forever, "retention.bytes": &forever}, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) { // somebody was faster
		return nil
	}
	return err
}

// partitions returns how many partitions a topic has. It asks the broker: what the client
// remembers may be older than a topic that was just made.
func (b *Broker) partitions(ctx context.Context, topic string) (int, error) {
	request := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	request.Topics = append(request.Topics, asked)
	response, err := request.RequestWith(ctx, b.client)
	if err != nil {
		return 0, err
	}
	if len(response.Topics) != 1 {
		return 0, fmt.Errorf("asked for one topic, the broker tells of %d", len(response.Topics))
	}
	switch err := kerr.ErrorForCode(response.Topics[0].ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return 0, fmt.Errorf("%w: %s", broker.ErrNoTopic, topic)
	case err != nil:
		return 0, err
	}
	return len(response.Topics[0].Partitions), nil
}

// Publish implements [broker.Publisher].
func (b *Broker) Publish(ctx context.Context, topic string, records []broker.Record) (int64, error) {
	out := make([]*kgo.Record, len(records))
	made := make([]kgo.Record, len(records))
	headers := make([]kgo.RecordHeader, 0, len(records)*len(records[0].Headers))
	for i := range records {
		from := len(headers)
		for _, h := range records[i].Headers {
			headers = append(headers, kgo.RecordHeader(h))
		}
		made[i] = kgo.Record{
			Topic: topic, Key: records[i].Key, Value: records[i].Value, Timestamp: records[i].Time,
			Headers: headers[from:len(headers):len(headers)],
		}
		out[i] = &made[i]
	}
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	if err := b.client.ProduceSync(ctx, out...).FirstErr(); err != nil {
		return 0, err
	}
	return made[0].Offset, nil
}

// Bounds implements [broker.Publisher].
func (b *Broker) Bounds(ctx context.Context, topic string) ([]broker.Bounds, error) {
	n, err := b.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	bounds := make([]broker.Bounds, n)
	for _, side := range []struct {
		asks int64 // as Kafka names an end of a partition
		set  func(*broker.Bounds, int64)
	}{
		{-2, func(b *broker.Bounds, at int64) { b.Begin = at }},
		{-1, func(b *broker.Bounds, at int64) { b.End = at }},
	} {
		if err := b.offsets(ctx, topic, bounds, side.asks, side.set); err != nil {
			return nil, fmt.Errorf("offsets of topic %s: %w", topic, err)
		}
	}
	return bounds, nil
}

// offsets asks for one end of each partition.
func (b *Broker) offsets(ctx context.Context, topic string, bounds []broker.Bounds, asks int64, set func(*broker.Bounds, int64)) error {
	request := kmsg.NewPtrListOffsetsRequest()
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	for i := range bounds {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(i), asks
		asked.Partitions = append(asked.Partitions, p)
	}
	request.Topics = append(request.Topics, asked)
	response, err := request.RequestWith(ctx, b.client)
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
			if int(p.Partition) < len(bounds) {
				set(&bounds[p.Partition], p.Offset)
			}
		}
	}
	return nil
}

// Read implements [broker.Publisher]. Each call has connections of its own, so that a slow
// reader holds nobody up.
func (b *Broker) Read(ctx context.Context, topic string, partition int32, from, to int64) iter.Seq2[broker.Record, error] {
	return func(yield func(broker.Record, error) bool) {
		if to >= 0 && from >= to {
			return
		}
		client, err := kgo.NewClient(append(slices.Clip(b.opts),
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.KeepControlRecords(), // their offsets count
			kgo.FetchMaxWait(500*time.Millisecond),
		)...)
		if err != nil {
			yield(broker.Record{}, fmt.Errorf("connect to the broker: %w", err))
			return
		}
		defer client.Close()
		r := reading{Broker: b, client: client, topic: topic, partition: partition, next: from, to: to}
		if err := r.all(ctx, yield); err != nil {
			yield(broker.Record{}, err)
		}
	}
}

// reading is one reader of a partition.
type reading struct {
	*Broker
	client    *kgo.Client
	topic     string
	partition int32
	next, to  int64
}

// all reads until the end, or until nobody wants more, and says why there is no more.
func (r *reading) all(ctx context.Context, yield func(broker.Record, error) bool) error {
	for {
		fetches, err := r.poll(ctx)
		if err != nil {
			return err
		}
		if !r.pass(fetches, yield) {
			return nil
		}
		if fetches.Empty() {
			if ended, err := r.ended(ctx); err != nil || ended {
				return err
			}
		}
	}
}

// pass hands out what has come. It says whether more is wanted.
func (r *reading) pass(fetches kgo.Fetches, yield func(broker.Record, error) bool) bool {
	for _, record := range fetches.Records() {
		if r.to >= 0 && record.Offset >= r.to || !record.Attrs.IsControl() && !yield(received(record), nil) {
			return false
		}
		if r.next = record.Offset + 1; r.next == r.to {
			return false
		}
	}
	return true
}

// poll returns what has come. A reader with an end waits only for a while.
func (r *reading) poll(ctx context.Context) (kgo.Fetches, error) {
	wait, cancel := ctx, func() {}
	if r.to >= 0 {
		wait, cancel = context.WithTimeout(ctx, quiet)
	}
	defer cancel()
	fetches := r.client.PollFetches(wait)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, failed := range fetches.Errors() { // also of records that were lost, which the reader has to know
		if !errors.Is(failed.Err, context.DeadlineExceeded) || wait.Err() == nil {
			return nil, fmt.Errorf("read topic %s: %w", r.topic, failed.Err)
		}
	}
	return fetches, nil
}

// ended says whether a reader with an end waits for what will not come, because the
// partition has lost it.
func (r *reading) ended(ctx context.Context) (bool, error) {
	if r.to < 0 {
		return false, nil
	}
	bounds, err := r.Bounds(ctx, r.topic)
	if err != nil {
		return false, err
	}
	r.to = min(r.to, bounds[r.partition].End)
	return max(r.next, bounds[r.partition].Begin) >= r.to, nil
}

// received returns a record as it was read.
func received(r *kgo.Record) broker.Record {
	out := broker.Record{
		Key: r.Key, Value: r.Value, Time: r.Timestamp.UTC(), Partition: r.Partition, Offset: r.Offset,
		Headers: make([]broker.Header, len(r.Headers)),
	}
	for i, h := range r.Headers {
		out.Headers[i] = broker.Header(h)
	}
	return out
}

// Close implements [broker.Publisher].
func (b *Broker) Close() error {
	b.client.Close()
	return nil
}
