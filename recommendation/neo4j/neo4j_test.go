package neo4j_test

import (
	"testing"

	"go.uber.org/goleak"

	"ensemble/internal/servertest"
	"ensemble/recommendation"
	"ensemble/recommendation/backendtest"
	"ensemble/recommendation/neo4j"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a backend over the real database, emptied. It is closed with the test.
func open(t *testing.T) *neo4j.Backend {
	t.Helper()
	b, err := neo4j.Open(t.Context(), neo4j.Config{URL: servertest.Neo4j(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(t.Context()) })
	if err := b.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	b := open(t)
	backendtest.Run(t, 40, func(t *testing.T) recommendation.Backend {
		if err := b.Empty(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	})
}
