package neo4j

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"ensemble/friend"
	"ensemble/user"
)

// The constraints, each with an index behind it: for what is written, and for who looks
// for a User by their id.
const (
	onePerson     = `CREATE CONSTRAINT ensemble_person IF NOT EXISTS FOR (p:EnsemblePerson) REQUIRE p.userId IS UNIQUE`
	oneUser       = `CREATE CONSTRAINT ensemble_user IF NOT EXISTS FOR (u:User) REQUIRE u.userId IS UNIQUE`
	oneCheckpoint = `CREATE CONSTRAINT ensemble_checkpoint IF NOT EXISTS FOR (c:EnsembleCheckpoint) REQUIRE c.log IS UNIQUE`
)

// The same in Memgraph's words, where a constraint has no index.
const (
	onePersonThere     = `CREATE CONSTRAINT ON (p:EnsemblePerson) ASSERT p.userId IS UNIQUE`
	oneUserThere       = `CREATE CONSTRAINT ON (u:User) ASSERT u.userId IS UNIQUE`
	oneCheckpointThere = `CREATE CONSTRAINT ON (c:EnsembleCheckpoint) ASSERT c.log IS UNIQUE`
	personIndex        = `CREATE INDEX ON :EnsemblePerson(userId)`
	userIndex          = `CREATE INDEX ON :User(userId)`
)

const (
	makeCheckpoints = `UNWIND $logs AS log MERGE (c:EnsembleCheckpoint {log: log})
ON CREATE SET c.position = 0, c.time = 0, c.owner = '', c.writes = 0`
	strangers = `MATCH (c:EnsembleCheckpoint) WITH max(c.position) AS position WHERE position = 0
MATCH (u:User) WHERE NOT u:EnsemblePerson RETURN u.userId LIMIT 1`
	emptySome = `MATCH (p:EnsemblePerson) WITH p LIMIT 10000 DETACH DELETE p RETURN count(*)`
	forget    = `MATCH (c:EnsembleCheckpoint) SET c.position = 0, c.time = 0, c.owner = '', c.writes = c.writes + 1`
)

// prepare makes sure that the database is ready to be written.
func (b *Backend) prepare(ctx context.Context) error {
	statements, err := b.constraints(ctx)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if err := b.run(ctx, statement, nil); err != nil && !strings.Contains(err.Error(), "already exists") {
			return err
		}
	}
	if err := b.begin(ctx); err != nil {
		return err
	}
	others, err := ask(ctx, b, neo4j.AccessModeWrite, strangers, nil, first)
	if err != nil {
		return err
	}
	if len(others) != 0 {
		return errors.New("there is a graph that somebody else has made, and it can't be known whether it is whole; " +
			"empty the database (MATCH (n) DETACH DELETE n), and it is made anew from the logs")
	}
	return nil
}

// begin makes the checkpoints, if they are not there or no longer.
func (b *Backend) begin(ctx context.Context) error {
	return b.run(ctx, makeCheckpoints, map[string]any{"logs": []string{user.Category, friend.Category}})
}

// constraints returns the statements in the words of who answers.
func (b *Backend) constraints(ctx context.Context) ([]string, error) {
	server, err := b.driver.GetServerInfo(ctx)
	if err != nil {
		return nil, b.explain(ctx, err)
	}
	if strings.Contains(server.Agent(), "Memgraph") {
		return []string{onePersonThere, oneUserThere, oneCheckpointThere, personIndex, userIndex}, nil
	}
	return []string{onePerson, oneUser, oneCheckpoint}, nil
}

// Empty removes everybody and every friendship of ours, and begins at the start of both
// logs. Until they have been read again, answers are not whole. Other replicas that follow
// the logs get [recommendation.ErrEmptied].
func (b *Backend) Empty(ctx context.Context) error {
	for {
		gone, err := ask(ctx, b, neo4j.AccessModeWrite, emptySome, nil, first)
		if err != nil {
			return fmt.Errorf("empty the graph in Neo4j: %w", err)
		}
		if len(gone) == 0 || gone[0] == 0 {
			break
		}
	}
	if err := b.run(ctx, forget, nil); err != nil {
		return fmt.Errorf("empty the graph in Neo4j: %w", err)
	}
	b.users.reached.Store(0)
	b.friends.reached.Store(0)
	return nil
}
