package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"ensemble/broker"
	"ensemble/broker/brokertest"
	"ensemble/broker/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	brokertest.Run(t, func(*testing.T) broker.Publisher { return memory.New() })
}
