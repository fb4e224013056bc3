package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"ensemble/broker"
	"ensemble/broker/brokertest"
	"ensemble/broker/kafka"
	"ensemble/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake starts a broker that speaks Kafka's protocol, in this process.
func fake(tb testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	tb.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(cluster.Close)
	return cluster
}

// connect opens a broker.
func connect(tb testing.TB, brokers []string) *kafka.Broker {
	tb.Helper()
	b, err := kafka.Open(kafka.Config{Brokers: brokers})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	brokers := fake(t).ListenAddrs()
	brokertest.Run(t, func(t *testing.T) broker.Publisher { return connect(t, brokers) })
}

func TestContractOfRealKafka(t *testing.T) {
	brokers := servertest.Kafka(t)
	brokertest.Run(t, func(t *testing.T) broker.Publisher { return connect(t, brokers) })
}
