package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
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

// server is a broker that tests run against.
type server struct {
	name  string
	start func(testing.TB) []string // its addresses
}

// servers are a fake one, which is always there, and a real one.
var servers = []server{
	{"fake", func(tb testing.TB) []string { return fake(tb).ListenAddrs() }},
	{"real", servertest.Kafka},
}

func TestContract(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			brokers := server.start(t)
			brokertest.Run(t, func(t *testing.T) broker.Publisher { return connect(t, brokers) })
		})
	}
}

// adminOf returns somebody who may do everything with a broker.
func adminOf(t *testing.T, brokers []string) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// TestATopicIsMadeWithOnePartitionAndKeptForEver, on a broker that would do otherwise.
func TestATopicIsMadeWithOnePartitionAndKeptForEver(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			brokers, topic := server.start(t), brokertest.Topic()
			b := connect(t, brokers)
			defer b.Close()
			if err := b.Prepare(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			admin := adminOf(t, brokers)
			topics, err := admin.ListTopics(t.Context(), topic)
			if err != nil || len(topics[topic].Partitions) != 1 {
				t.Errorf("it has %v, %v", topics[topic].Partitions, err)
			}
			configs, err := admin.DescribeTopicConfigs(t.Context(), topic)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"retention.ms", "retention.bytes"} {
				for _, c := range configs[0].Configs {
					if c.Key == name && c.MaybeValue() != "-1" {
						t.Errorf("%s is %s", name, c.MaybeValue())
					}
				}
			}
		})
	}
}

// TestATopicOfSeveralPartitionsIsSentToInItsFirst, so that the order stays, and read in
// each.
func TestATopicOfSeveralPartitionsIsSentToInItsFirst(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			brokers, topic := server.start(t), brokertest.Topic()
			admin := adminOf(t, brokers)
			if _, err := admin.CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
				t.Fatal(err)
			}
			b := connect(t, brokers)
			defer b.Close()
			if err := b.Prepare(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Publish(t.Context(), topic, []broker.Record{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte("2")}}); err != nil {
				t.Fatal(err)
			}
			bounds, err := b.Bounds(t.Context(), topic)
			if err != nil || !slices.Equal(bounds, []broker.Bounds{{Begin: 0, End: 2}, {}, {}}) {
				t.Errorf("it has %v, %v", bounds, err)
			}
		})
	}
}

// TestWhatRetentionTookIsPassedOver: a reader begins with what is left.
func TestWhatRetentionTookIsPassedOver(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			brokers, topic := server.start(t), brokertest.Topic()
			b := connect(t, brokers)
			defer b.Close()
			if err := b.Prepare(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				if _, err := b.Publish(t.Context(), topic, []broker.Record{{Value: fmt.Append(nil, i)}}); err != nil {
					t.Fatal(err)
				}
			}
			admin := adminOf(t, brokers)
			gone := kadm.Offsets{}
			gone.AddOffset(topic, 0, 3, -1)
			if _, err := admin.DeleteRecords(t.Context(), gone); err != nil {
				t.Fatal(err)
			}
			bounds, err := b.Bounds(t.Context(), topic)
			if err != nil || !slices.Equal(bounds, []broker.Bounds{{Begin: 3, End: 5}}) {
				t.Fatalf("it has %v, %v", bounds, err)
			}
			for _, from := range []int64{0, 2, 3} {
				var got []string
				for r, err := range b.Read(t.Context(), topic, 0, from, 5) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, string(r.Value))
				}
				if strings.Join(got, " ") != "3 4" {
					t.Errorf("from %d on there are %q", from, got)
				}
			}
		})
	}
}

// TestAReaderWithAnEndDoesNotWaitForWhatWasLost: another topic of the same name is
// shorter.
func TestAReaderWithAnEndDoesNotWaitForWhatWasLost(t *testing.T) {
	brokers, topic := fake(t).ListenAddrs(), brokertest.Topic()
	b := connect(t, brokers)
	defer b.Close()
	if err := b.Prepare(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), topic, []broker.Record{{Value: []byte("0")}}); err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, err := range b.Read(t.Context(), topic, 0, 0, 9) {
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	if read != 1 {
		t.Errorf("%d records were read", read)
	}
}

// TestSigningIn with each mechanism, over TLS with a certificate that is trusted, and
// being refused with a wrong password.
func TestSigningIn(t *testing.T) {
	certificate, authority := certificates(t)
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			cluster := fake(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "ada", "s3cret/@:"), kfake.TLS(&tls.Config{
				Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
			}))
			url := "kafka://ada:" + neturl.PathEscape("s3cret/@:") + "@" + cluster.ListenAddrs()[0] + "?mechanism=" + mechanism + "&ca=" + authority
			config, err := kafka.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			b, err := kafka.Open(config)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := b.Prepare(t.Context(), "secured"); err != nil {
				t.Fatal(err)
			}
			if first, err := b.Publish(t.Context(), "secured", []broker.Record{{Value: []byte("1")}}); err != nil || first != 0 {
				t.Fatalf("publish: %d, %v", first, err)
			}
			for r, err := range b.Read(t.Context(), "secured", 0, 0, 1) {
				if err != nil || string(r.Value) != "1" {
					t.Errorf("it reads %q, %v", r.Value, err)
				}
			}
			config.Password = "wrong"
			stranger, err := kafka.Open(config)
			if err != nil {
				t.Fatal(err)
			}
			defer stranger.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := stranger.Prepare(ctx, "secured"); err == nil || strings.Contains(err.Error(), "wrong") {
				t.Errorf("a stranger gets in, or the password is shown: %v", err)
			}
		})
	}
}

// certificates returns a certificate of 127.0.0.1, and the file of who vouches for it:
// itself.
func certificates(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
