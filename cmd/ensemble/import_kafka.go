package main

import (
	"context"
	"errors"
	"fmt"

	"ensemble/broker/kafka"
	"ensemble/internal/adopt"
)

// kafkaImport takes the topics of another system over into a new data folder, with the ids
// that people and friendships have there.
type kafkaImport struct {
	FromKafka   string `placeholder:"URL" help:"Take over the topics of another system (kafka://HOST:PORT), keeping all ids, into a new data folder: --into."`
	Into        string `placeholder:"DIR" type:"path" help:"The new data folder for what is taken over with its ids; 'up --data' starts on it."`
	UserTopic   string `default:"user" placeholder:"TOPIC" help:"The topic of people (${default})."`
	FriendTopic string `default:"friend" placeholder:"TOPIC" help:"The topic of friendships (${default})."`
}

// takeTopics reads both topics up to where they end now, reports what is odd, and writes the rest
// into new logs.
func (c *kafkaImport) takeTopics(ctx context.Context, cli *cli, con *console, dryRun, strict bool) (err error) {
	config, err := kafka.ParseURL(c.FromKafka)
	if err != nil {
		return fmt.Errorf("--from-kafka %s: %w", masked(c.FromKafka), err)
	}
	from, err := kafka.Open(config)
	if err != nil {
		return fmt.Errorf("--from-kafka %s: %w", masked(c.FromKafka), err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	found, err := adopt.FromTopics(ctx, from, adopt.Topics{Users: c.UserTopic, Friends: c.FriendTopic})
	if err != nil {
		return fmt.Errorf("read the topics: %w", err)
	}
	return takeOver(ctx, cli, con, found, takingOver{into: c.Into, dryRun: dryRun, strict: strict})
}

// takingOver says what is to be done with another system's network.
type takingOver struct {
	into           string
	dryRun, strict bool
}

// takeOver reports what is odd about the network of another system, and writes it into a
// new data folder, wherever it was read from.
func takeOver(ctx context.Context, cli *cli, con *console, found adopt.Network, how takingOver) error {
	network, report := found.Settle()
	if _, err := fmt.Fprint(con.out, report); err != nil {
		return err
	}
	switch {
	case how.strict && report.Count() > 0:
		return fmt.Errorf("%d things are odd and --strict was given: nothing was written", report.Count())
	case how.dryRun:
		_, err := fmt.Fprintf(con.out, "would take over %d people and %d friendships; nothing was written\n", len(network.People), len(network.Rows))
		return err
	}
	if err := fillNew(ctx, cli, con, network, how.into); err != nil {
		return fmt.Errorf("write into %s: %w", how.into, err)
	}
	_, err := fmt.Fprintf(con.out, "took over %d people and %d friendships, with their ids; their times are those of now\n"+
		"start on them: ensemble up --data %s\n", len(network.People), len(network.Rows), how.into)
	return err
}

// fillNew writes a network into a new data folder.
func fillNew(ctx context.Context, cli *cli, con *console, n adopt.Network, into string) (err error) {
	logger, err := cli.logger(con)
	if err != nil {
		return err
	}
	folder, err := openStorage(ctx, into, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	bars := newBars(con)
	defer bars.finish()
	return adopt.Write(ctx, n, adopt.Target{Users: folder.user, Friends: folder.friend, Keys: folder.keys, Progress: bars.move})
}
