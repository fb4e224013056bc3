package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Config says which brokers there are, and how to get in. [ParseURL] makes one.
type Config struct {
	// Brokers are the addresses to begin with, host:port.
	Brokers []string
	// TLS encrypts connections, and checks who answers. Nil: they are in the open.
	TLS *tls.Config
	// Mechanism is how to sign in: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. "": not at all.
	Mechanism      string
	User, Password string
	// Replication is on how many brokers a new topic lies. 0 means what the brokers have
	// as their default.
	Replication int16
}

// The ways to sign in.
const (
	mechanismPlain    = "PLAIN"
	mechanismScram256 = "SCRAM-SHA-256"
	mechanismScram512 = "SCRAM-SHA-512"
)

// defaultPort is that of an address without one.
const defaultPort = "9092"

// ParseURL reads a configuration:
//
//	kafka://host:9092,host:9092
//	kafka://user:password@host:9092?tls=true&mechanism=SCRAM-SHA-512&ca=FILE
//
// A port that is missing is 9092. With a user and no mechanism it is SCRAM-SHA-512; ca
// names a file of certificates (PEM) to trust instead of the system's, and means TLS. A list of
// addresses without a scheme, and one with PLAINTEXT:// in front of each, as the Spring
// system's configuration has them, is read too.
//
// Errors say what is wrong without showing the password.
func ParseURL(text string) (c Config, err error) {
	rest, query, _ := strings.Cut(strings.TrimPrefix(text, "kafka://"), "?")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := c.signIn(rest[:at]); err != nil {
			return c, err
		}
		rest = rest[at+1:]
	}
	for address := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), ",") {
		address, err := withPort(strings.TrimPrefix(strings.TrimSpace(address), "PLAINTEXT://"))
		if err != nil {
			return c, err
		}
		c.Brokers = append(c.Brokers, address)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return c, errors.New("the part of the broker's URL after the question mark can't be read")
	}
	return c, c.options(values)
}

// signIn reads the part in front of the addresses.
func (c *Config) signIn(text string) (err error) {
	name, password, _ := strings.Cut(text, ":")
	if c.User, err = url.PathUnescape(name); err == nil {
		c.Password, err = url.PathUnescape(password)
	}
	if err != nil || c.User == "" {
		return errors.New("the user or the password in the broker's URL can't be read; write characters with a meaning as %41")
	}
	c.Mechanism = mechanismScram512
	return nil
}

// withPort adds the port to an address without one.
func withPort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), defaultPort
	}
	if host == "" || strings.ContainsAny(host, "/ ") {
		return "", fmt.Errorf("%q is no address of a broker; write kafka://host:9092", address)
	}
	return net.JoinHostPort(host, port), nil
}

// options reads what stands behind the question mark.
func (c *Config) options(values url.Values) error {
	for name := range values {
		value := values.Get(name)
		switch name {
		case "tls":
			if value != "true" && value != "false" {
				return fmt.Errorf("tls=%s: give true or false", value)
			}
			if value == "true" && c.TLS == nil {
				c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			}
		case "ca":
			roots, err := authorities(value)
			if err != nil {
				return err
			}
			c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		case "mechanism":
			c.Mechanism = strings.ToUpper(value)
		default:
			return fmt.Errorf("there is no option %q of a broker; there are tls, ca and mechanism", name)
		}
	}
	_, err := c.sasl()
	return err
}

// authorities reads a file of certificates.
func authorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("read the certificates to trust: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there is no certificate in %s; it has to be a PEM file", path)
	}
	return roots, nil
}

// sasl returns how to sign in, nil for not at all.
func (c *Config) sasl() (sasl.Mechanism, error) {
	switch {
	case c.Mechanism == "" && c.User == "":
		return nil, nil //nolint:nilnil // nobody signs in
	case c.User == "":
		return nil, fmt.Errorf("mechanism %s needs a user: kafka://user:password@host:9092", c.Mechanism)
	}
	switch c.Mechanism {
	case mechanismPlain:
		return plain.Auth{User: c.User, Pass: c.Password}.AsMechanism(), nil
	case mechanismScram256:
		return scram.Auth{User: c.User, Pass: c.Password}.AsSha256Mechanism(), nil
	case mechanismScram512:
		return scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("there is no mechanism %q; there are %s, %s and %s",
		c.Mechanism, mechanismPlain, mechanismScram256, mechanismScram512)
}

// client returns the options that every client has.
func (c *Config) client() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID("ensemble"), kgo.RetryTimeout(retryTimeout)}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	mechanism, err := c.sasl()
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, err
}
