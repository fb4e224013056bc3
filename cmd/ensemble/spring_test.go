package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// settings are variables, as NAME=value separated by spaces.
func settings(text string) variables {
	set := map[string]string{}
	for pair := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
	}
	return func(name string) (string, bool) {
		value, ok := set[name]
		return value, ok
	}
}

// TestTheVariablesOfTheSpringSystem: what each says for which flag of which service. A
// profile is a default, all else is a value.
func TestTheVariablesOfTheSpringSystem(t *testing.T) {
	for _, c := range []struct{ command, flag, set, value, byProfile string }{
		// Ports.
		{"user", "addr", "PORT=4001", "127.0.0.1:4001", ""},
		{"user", "addr", "PORT=4001 SERVER_PORT=4002", "127.0.0.1:4002", ""},
		{"edge", "addr", "PORT=4001", "", ""},
		{"edge", "addr", "SERVER_PORT=4002", "127.0.0.1:4002", ""},
		{"recommendation", "addr", "PORT=4001 SERVER_PORT=", "127.0.0.1:4001", ""},
		{"friend", "addr", "SPRING_PROFILES_ACTIVE=docker", "", ""},
		{"friend", "admin-addr", "SERVER_PORT=4002", "", ""},
		// Postgres.
		{"user", "store", "", "", ""},
		{"user", "store", "POSTGRES_HOST=db", "postgres://postgres@db:5432/postgres", ""},
		{"user", "store", "POSTGRES_HOST=db POSTGRES_PORT=54322 POSTGRES_DATABASENAME=people", "postgres://postgres@db:54322/people", ""},
		{"user", "store", "POSTGRES_PORT=54322", "", ""}, // of nobody
		{"recommendation", "store", "POSTGRES_HOST=db", "", ""},
		{"user", "store", "SPRING_DATASOURCE_URL=jdbc:postgresql://h:1/d?sslmode=require&currentSchema=x", "postgres://postgres@h:1/d?sslmode=require", ""},
		{"friend", "store", "SPRING_DATASOURCE_URL=r2dbc:postgresql://h/d SPRING_DATASOURCE_USERNAME=me SPRING_DATASOURCE_PASSWORD=p@ss", "postgres://me:p%40ss@h/d", ""},
		{"friend", "store", "SPRING_DATASOURCE_URL=jdbc:postgresql://h/d POSTGRES_HOST=other", "postgres://postgres@h/d", ""},
		{"user", "store", "SPRING_PROFILES_ACTIVE=development", "", "postgres://postgres@user-db:5432/postgres"},
		{"friend", "store", "SPRING_PROFILES_ACTIVE=docker", "", "postgres://postgres:example@friend-db:5432/postgres"},
		{"friend", "store", "SPRING_PROFILES_ACTIVE=docker SPRING_DATASOURCE_PASSWORD=mine", "", "postgres://postgres:mine@friend-db:5432/postgres"},
		{"friend", "store", "SPRING_PROFILES_ACTIVE=other,docker POSTGRES_PORT=54321", "", "postgres://postgres:example@friend-db:54321/postgres"},
		{"user", "store", "SPRING_PROFILES_ACTIVE=kubernetes", "", ""},
		{"user", "store", "SPRING_PROFILES_ACTIVE=kubernetes POSTGRES_HOST=pg", "postgres://postgres@pg:5432/postgres", "postgres://postgres@pg:5432/postgres"},
		{"edge", "store", "SPRING_PROFILES_ACTIVE=docker", "", ""},
		{"user", "store", "SPRING_PROFILES_ACTIVE=production", "", ""},
		// Kafka.
		{"user", "broker", "SPRING_CLOUD_STREAM_KAFKA_BINDER_BROKERS=kafka", "kafka://kafka:9092", ""},
		{"user", "broker", "SPRING_CLOUD_STREAM_KAFKA_BINDER_BROKERS=PLAINTEXT://a:1,b,[::1]", "kafka://a:1,b:9092,[::1]:9092", ""},
		{"user", "broker", "SPRING_CLOUD_STREAM_KAFKA_BINDER_BROKERS=", "none", ""},
		{"user", "broker", "SPRING_PROFILES_ACTIVE=development", "", "kafka://kafka:29092"},
		{"recommendation", "broker", "SPRING_PROFILES_ACTIVE=development", "", "kafka://localhost:9092"},
		{"recommendation", "broker", "SPRING_PROFILES_ACTIVE=docker", "", "kafka://kafka:29092"},
		{"friend", "broker", "SPRING_PROFILES_ACTIVE=kubernetes", "", "kafka://kafka:9092"},
		// Neo4j.
		{"recommendation", "graph", "SPRING_NEO4J_URI=bolt://n:7687 SPRING_DATA_NEO4J_URI=bolt://m", "bolt://n:7687", ""},
		{"recommendation", "graph", "SPRING_DATA_NEO4J_URI=bolt://m", "bolt://m", ""},
		{"recommendation", "graph", "SPRING_NEO4J_URI=neo4j://n SPRING_NEO4J_AUTHENTICATION_PASSWORD=s", "neo4j://neo4j:s@n", ""},
		{"recommendation", "graph", "SPRING_PROFILES_ACTIVE=development", "", "neo4j://localhost:7687"},
		{"recommendation", "graph", "SPRING_PROFILES_ACTIVE=docker", "", "neo4j://neo4j:7687"},
		{"recommendation", "graph", "SPRING_PROFILES_ACTIVE=kubernetes", "", "neo4j://social-network-neo4j:7687"},
		// Other services.
		{"friend", "user-url", "SPRING_PROFILES_ACTIVE=kubernetes", "", "http://user-service"},
		{"edge", "recommendation-url", "SPRING_PROFILES_ACTIVE=kubernetes", "", "http://recommendation-service"},
		{"user", "friend-url", "SPRING_PROFILES_ACTIVE=kubernetes", "", ""},
		{"edge", "user-url", "SPRING_PROFILES_ACTIVE=docker", "", ""},
		// What 'up' has too.
		{"edge", "environment", "SPRING_PROFILES_ACTIVE=docker", "docker", ""},
		{"edge", "prometheus-url", "PROMETHEUS_URL=http://p", "http://p", ""},
	} {
		env := settings(c.set)
		value, ok, err := springValue(c.command, c.flag, env)
		if err != nil || ok != (c.value != "") || ok && value != c.value {
			t.Errorf("%s --%s with %s is %q, %t, %v, not %q", c.command, c.flag, c.set, value, ok, err, c.value)
		}
		value, ok, err = springDefault(c.command, c.flag, env)
		if err != nil || ok != (c.byProfile != "") || ok && value != c.byProfile {
			t.Errorf("%s --%s by the profile of %s is %q, %t, %v, not %q", c.command, c.flag, c.set, value, ok, err, c.byProfile)
		}
	}
}

func TestVariablesThatCanNotBeAreNamedWithoutTheirSecrets(t *testing.T) {
	for _, c := range []struct{ flag, set, says string }{
		{"store", "SPRING_DATASOURCE_URL=jdbc:mysql://u:hunter2@h/d", "not about Postgres: write jdbc:postgresql://HOST:PORT/DATABASE"},
		{"store", "SPRING_DATASOURCE_URL=jdbc:postgresql://", "write jdbc:postgresql://HOST:PORT/DATABASE"},
		{"store", "POSTGRES_HOST=h SPRING_DATASOURCE_PASSWORD=hunter2 SPRING_DATASOURCE_PASSWORD_FILE=/x", "both set: remove one of them"},
		{"store", "POSTGRES_HOST=h SPRING_DATASOURCE_PASSWORD_FILE=/nowhere", "read SPRING_DATASOURCE_PASSWORD_FILE"},
		{"graph", "SPRING_NEO4J_URI=://hunter2", "SPRING_NEO4J_URI is no address"},
	} {
		value, ok, err := springValue("user", c.flag, settings(c.set))
		if ok || err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q, %v", c.set, value, err)
		}
	}
}

// TestASecretMayBeInAFile: its first line, without the end.
func TestASecretMayBeInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("hunter2\r\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	value, ok, err := springValue("user", "store", settings("POSTGRES_HOST=h SPRING_DATASOURCE_PASSWORD_FILE="+path))
	if err != nil || !ok || value != "postgres://postgres:hunter2@h:5432/postgres" {
		t.Errorf("%q, %v", value, err)
	}
}

// TestEurekaIsReadAlready: where it would be registered, and what is wrong with it.
func TestEurekaIsReadAlready(t *testing.T) {
	for _, c := range []struct{ command, set, want string }{
		{"user", "", ""},
		{"user", "EUREKA_CLIENT_SERVICEURL_DEFAULTZONE=http://e:8761/eureka/", "http://e:8761/eureka/"},
		{"user", "EUREKA_CLIENT_SERVICEURL_DEFAULTZONE=http://e:8761/eureka/ EUREKA_CLIENT_ENABLED=false", ""},
		{"user", "SPRING_PROFILES_ACTIVE=development", "http://discovery-service:8761/eureka/"},
		{"edge", "SPRING_PROFILES_ACTIVE=development", "http://localhost:8761/eureka/"},
		{"recommendation", "SPRING_PROFILES_ACTIVE=docker", "http://discovery-service:8761/eureka/"},
		{"edge", "SPRING_PROFILES_ACTIVE=kubernetes", ""},
	} {
		if got, err := springEureka(c.command, settings(c.set)); err != nil || got != c.want {
			t.Errorf("%s with %s registers at %q, %v, not %q", c.command, c.set, got, err, c.want)
		}
	}
	names, err := accepted("user", settings("EUREKA_CLIENT_SERVICEURL_DEFAULTZONE=http://a,nowhere SPRING_CONFIG_LOCATION=x"))
	if err == nil || !strings.Contains(err.Error(), "nowhere is no address") ||
		!slices.Equal(names, []string{"EUREKA_CLIENT_SERVICEURL_DEFAULTZONE", "SPRING_CONFIG_LOCATION"}) {
		t.Errorf("%v, %v", names, err)
	}
}
