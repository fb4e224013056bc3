// Package broker carries events from a log to read sides in other processes, through a
// topic of a broker such as Kafka.
//
// It moves bytes: what an event looks like there, package wire says. It guarantees that
//
//   - every event of a log reaches its topic, at least once and in order, whatever happens
//     to the relay and to the broker; commands do not wait for it,
//   - a read side takes each event in exactly once, in the order of its log, and moves its
//     progress with it,
//   - a log that was restored from a backup is noticed: what its consumers have of the
//     events that were left behind is made anew.
//
// # Sending
//
// Each service that owns a log runs one [Relay], on one replica at a time. It reads a page
// of the log, has it stored in the topic, and only then the next one:
//
//	b, err := kafka.Open(config)                           // or memory.New()
//	relay := broker.NewRelay(broker.RelayConfig{
//		Log: store, Topic: "user", Broker: b, Render: wire.UserRecords(keys),
//	})
//	group.Go(func() error { return relay.Run(ctx) })       // Status and Check say how it goes
//
// It keeps no checkpoint. The last records of the topic say up to which event the topic is
// whole, and whatever was remembered elsewhere could be wrong: a broker may lose its end.
// For the same reason two relays at once do no harm but send things twice. A topic of
// several partitions, which somebody else has made, is sent to in its first one alone, so
// that the order stays.
//
// # Following
//
// A [Consumer] reads all partitions, finds out what of it is new, and brings that into a
// projection:
//
//	bounds, err := b.Bounds(ctx, "user")                   // one for each partition
//	users := broker.NewConsumer(broker.ConsumerConfig{
//		Topic: "user", Partitions: len(bounds), Decode: wire.ReadUserRecord,
//		To: service.Users(), From: saved, Earlier: feed, DeadLetters: letters,
//	})
//	group.Go(func() error { return users.Run(ctx, b, failing) })
//
// The [Progress] belongs to the state of the read side, and is saved with it: Offsets says
// where to read on, Position and Lineage which events are in. A runner that ends with a
// [ReplacedError] has to begin anew with an empty read side, from ReplacedError.Again. What
// a topic has no more is read from the feed of the log (Earlier), to which its end is
// joined without a gap.
//
// Records without headers of ours are those of another system. They have no position; they
// are taken in once by their offset. Of two about the same thing in several partitions the
// one with the later time counts. One that can't be read is kept as a dead letter
// ([DeadLetters]), and the rest goes on.
package broker
