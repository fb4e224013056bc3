package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kfake"

	"ensemble/broker/kafka"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// embedKafka opens a broker that speaks Kafka's protocol in this process, and has both logs
// sent to its topics: so that a service of the Spring system can be attached to a run on a
// laptop, without a Kafka. It is a demonstration: everything in it is gone with the
// process, and sent again by the next one, and it has none of the safety of a real one.
func (s *system) embedKafka(ctx context.Context, address string, insecure bool) error {
	l, err := listen(ctx, "embedded-kafka", address, insecure)
	if err != nil {
		return err
	}
	once := func(string, string) (net.Listener, error) {
		if l == nil {
			return nil, errors.New("the embedded broker listens once")
		}
		open := l
		l = nil
		return open, nil
	}
	address = l.Addr().String()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("ensemble-demonstration"), kfake.ListenFn(once))
	if err != nil {
		return fmt.Errorf("start the embedded broker: %w", err)
	}
	s.resources.add(func() error { cluster.Close(); return nil })
	to, err := kafka.Open(kafka.Config{Brokers: []string{address}})
	if err != nil {
		return fmt.Errorf("connect to the embedded broker: %w", err)
	}
	s.resources.add(to.Close)
	s.relays = append(
		relay(s.process, to, s.userStore, user.Category, "user-service", wire.UserRecords(s.storage.keys), ""),
		relay(s.process, to, s.friendStore, friend.Category, "friend-service", wire.FriendRecords(), "")...)
	s.logger.Warn("a broker for demonstrations is embedded; what is in it is gone when this process ends", "kafka", address)
	return nil
}
