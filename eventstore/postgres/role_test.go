package postgres

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// role makes a role without any right and returns the URL under which it connects.
func role(t testing.TB, address string) string {
	t.Helper()
	name, password := "role_"+strings.ToLower(rand.Text()), rand.Text()
	execute(t, address, fmt.Sprintf("create role %s login password '%s'", name, password))
	t.Cleanup(func() { execute(t, address, "drop owned by "+name, "drop role "+name) })
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	return u.String()
}

// userOf returns the role in a URL.
func userOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.User.Username()
}
