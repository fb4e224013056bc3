package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// variables looks a variable up, as os.LookupEnv does.
type variables func(name string) (string, bool)

// The variables of the Spring system set flags of the single services too. Its profiles
// choose where the other servers are, which is weaker than a file: a profile is what was
// thought of long ago, a file is what somebody has written for this machine.
//
//	flag > ENSEMBLE_… > Spring's variables > --config > Spring's profile > default

// springProfile returns the profile that is active; "" if none of those that are known is.
func springProfile(env variables) string {
	active, _ := env("SPRING_PROFILES_ACTIVE")
	for profile := range strings.SplitSeq(active, ",") {
		switch profile = strings.TrimSpace(profile); profile {
		case "development", "docker", "kubernetes":
			return profile
		}
	}
	return ""
}

// springValue returns what the Spring system's variables say that a flag of a single
// service is, or false.
//
// Errors: a file of a secret that can't be read, an address that is none.
func springValue(command, flag string, env variables) (value string, ok bool, err error) {
	switch flag {
	case "addr":
		names := []string{"SERVER_PORT", "PORT"}
		if command == "edge" || command == "discovery" {
			names = names[:1]
		}
		port, ok := first(env, names...)
		return "127.0.0.1:" + port, ok, nil
	case "store":
		if command != "user" && command != "friend" {
			return "", false, nil
		}
		return springStore(command, env, false)
	case "broker":
		brokers, ok := env("SPRING_CLOUD_STREAM_KAFKA_BINDER_BROKERS")
		return springBrokers(brokers), ok, nil
	case "graph":
		uri, ok := first(env, "SPRING_NEO4J_URI", "SPRING_DATA_NEO4J_URI")
		if !ok {
			return "", false, nil
		}
		return springGraph(uri, env)
	}
	value, ok = first(env, springVariables()[flag]...)
	return value, ok, nil
}

// springDefault returns what the Spring system's profile says that a flag of a single
// service is, or false.
//
// Errors: a file of a secret that can't be read.
func springDefault(command, flag string, env variables) (value string, ok bool, err error) {
	profile := springProfile(env)
	if profile == "" {
		return "", false, nil
	}
	switch flag {
	case "store":
		if command != "user" && command != "friend" {
			return "", false, nil
		}
		return springStore(command, env, true)
	case "broker":
		return springBrokers(map[string]string{
			"development/recommendation": "localhost:9092", "development/user": "kafka:29092", "development/friend": "kafka:29092",
			"docker/recommendation": "kafka:29092", "docker/user": "kafka:29092", "docker/friend": "kafka:29092",
			"kubernetes/recommendation": "kafka:9092", "kubernetes/user": "kafka:9092", "kubernetes/friend": "kafka:9092",
		}[profile+"/"+command]), true, nil
	case "graph":
		host := map[string]string{"development": "localhost", "docker": "neo4j", "kubernetes": "social-network-neo4j"}[profile]
		return springGraph("neo4j://"+host+":7687", env)
	case "user-url", "friend-url", "recommendation-url":
		// Without Eureka, which only Kubernetes does without, services are found by name.
		receipts := command == "user" // asks others only for receipts
		service := strings.TrimSuffix(flag, "-url")
		return "http://" + service + "-service", profile == "kubernetes" && !receipts, nil
	}
	return "", false, nil
}

// springStore returns the address of the database of a service. What only a profile says
// is a default.
func springStore(command string, env variables, byProfile bool) (value string, ok bool, err error) {
	profile := springProfile(env)
	host, named := env("POSTGRES_HOST")
	if !named && (profile == "development" || profile == "docker") {
		host = command + "-db"
	}
	port, _ := first(env, "POSTGRES_PORT")
	database, _ := first(env, "POSTGRES_DATABASENAME")
	u := &url.URL{Scheme: "postgres", Host: net.JoinHostPort(host, or(port, "5432")), Path: "/" + or(database, "postgres")}
	source, given := env("SPRING_DATASOURCE_URL")
	if given {
		if u, err = parseSource(source); err != nil {
			return "", false, err
		}
	}
	if !given && host == "" || !byProfile && !given && !named {
		return "", false, nil
	}
	password, err := secretOf(env, "SPRING_DATASOURCE_PASSWORD")
	if err != nil {
		return "", false, err
	}
	name, _ := first(env, "SPRING_DATASOURCE_USERNAME")
	u.User = url.User(or(name, "postgres"))
	if password == "" && profile == "docker" {
		password = "example"
	}
	if password != "" {
		u.User = url.UserPassword(or(name, "postgres"), password)
	}
	return u.String(), true, nil
}

// parseSource reads the address of a database as Java's drivers have it.
func parseSource(source string) (*url.URL, error) {
	for _, prefix := range []string{"jdbc:postgresql://", "r2dbc:postgresql://"} {
		rest, found := strings.CutPrefix(source, prefix)
		if !found {
			continue
		}
		u, err := url.Parse("postgres://" + rest)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("SPRING_DATASOURCE_URL is no address: write jdbc:postgresql://HOST:PORT/DATABASE")
		}
		// Its parameters are the Java driver's. The one that both drivers know is kept.
		query := url.Values{}
		if mode := u.Query().Get("sslmode"); mode != "" {
			query.Set("sslmode", mode)
		}
		u.RawQuery = query.Encode()
		return u, nil
	}
	return nil, fmt.Errorf("SPRING_DATASOURCE_URL is not about Postgres: write jdbc:postgresql://HOST:PORT/DATABASE")
}

// springBrokers returns the address of brokers: hosts with or without a port and a
// protocol, separated by commas.
func springBrokers(list string) string {
	var brokers []string
	for broker := range strings.SplitSeq(list, ",") {
		broker = strings.TrimSpace(broker)
		if _, rest, found := strings.Cut(broker, "://"); found {
			broker = rest
		}
		if broker == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(broker); err != nil {
			broker = net.JoinHostPort(strings.Trim(broker, "[]"), "9092")
		}
		brokers = append(brokers, broker)
	}
	if len(brokers) == 0 {
		return "none"
	}
	return "kafka://" + strings.Join(brokers, ",")
}

// springGraph adds to the address of a graph who signs in there.
func springGraph(uri string, env variables) (value string, ok bool, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", false, fmt.Errorf("SPRING_NEO4J_URI is no address: write neo4j://HOST:7687")
	}
	password, err := secretOf(env, "SPRING_NEO4J_AUTHENTICATION_PASSWORD")
	if err != nil {
		return "", false, err
	}
	if name, _ := first(env, "SPRING_NEO4J_AUTHENTICATION_USERNAME"); password != "" && u.User == nil {
		u.User = url.UserPassword(or(name, "neo4j"), password)
	}
	return u.String(), true, nil
}

// Eureka is where instances register in the Spring system. It is read and checked already,
// and used by a later version.

// springEureka returns where the registry is, "" if there is to be none.
//
// Errors: an address that is none.
func springEureka(command string, env variables) (string, error) {
	if enabled, _ := env("EUREKA_CLIENT_ENABLED"); strings.EqualFold(enabled, "false") {
		return "", nil
	}
	zone, given := env("EUREKA_CLIENT_SERVICEURL_DEFAULTZONE")
	if !given {
		switch profile := springProfile(env); {
		case profile == "development" && (command == "edge" || command == "recommendation"):
			return "http://localhost:8761/eureka/", nil
		case profile == "development", profile == "docker":
			return "http://discovery-service:8761/eureka/", nil
		}
		return "", nil
	}
	for one := range strings.SplitSeq(zone, ",") {
		if u, err := url.Parse(strings.TrimSpace(one)); err != nil || u.Host == "" {
			return "", fmt.Errorf("EUREKA_CLIENT_SERVICEURL_DEFAULTZONE %s is no address: write http://HOST:8761/eureka/", masked(one))
		}
	}
	return zone, nil
}

// accepted lists what is set for the Spring system and does nothing here.
func accepted(command string, env variables) (names []string, err error) {
	for _, name := range []string{
		"EUREKA_CLIENT_ENABLED", "EUREKA_CLIENT_SERVICEURL_DEFAULTZONE", "KUBERNETES_TRUST_CERTIFICATES", "SPRING_CONFIG_LOCATION",
	} {
		if _, set := env(name); set {
			names = append(names, name)
		}
	}
	_, err = springEureka(command, env)
	return names, err
}

// first returns the first of some variables that is set to something.
func first(env variables, names ...string) (string, bool) {
	for _, name := range names {
		if value, ok := env(name); ok && value != "" {
			return value, true
		}
	}
	return "", false
}

// or returns a text, or another one if it is empty.
func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// secretFlags are the flags whose variables may name a file instead: what they say is
// nothing for a list of processes or of variables.
func secretFlags() []string { return []string{"store", "migrate-store", "keys", "broker", "graph"} }

// isSecret says whether a flag's variable may name a file.
func isSecret(flag string) bool { return slices.Contains(secretFlags(), flag) }

// secretOf returns a variable, or the first line of the file that the variable with _FILE
// behind its name names; "" if neither is set.
//
// Errors: both are set, or the file can't be read.
func secretOf(env variables, name string) (string, error) {
	value, _ := env(name)
	path, _ := env(name + "_FILE")
	switch {
	case path == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s and %s_FILE are both set: remove one of them", name, name)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's file
	if err != nil {
		return "", fmt.Errorf("read %s_FILE: %w", name, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
