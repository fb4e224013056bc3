package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// mask stands in the place of a secret.
const mask = "***"

// Masked returns settings as JSON has them, with nothing secret in them: members
// whose names say so, and passwords within addresses.
func Masked(settings any) (any, error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("show the configuration: %w", err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("show the configuration: %w", err)
	}
	return maskTree(tree), nil
}

// maskTree masks within objects, lists and texts.
func maskTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if secretName(name) && value != nil && value != "" {
				v[name] = mask
			} else {
				v[name] = maskTree(value)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = maskTree(v[i])
		}
		return v
	case string:
		return maskText(v)
	}
	return v
}

// secretName says whether what has this name is nobody's business.
func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"password", "passwd", "secret", "token", "credential", "key", "auth"} {
		if strings.Contains(name, word) && !strings.Contains(name, "no-auth") {
			return true
		}
	}
	return false
}

// maskText masks the password in an address, and all of a text that has one in
// another form.
func maskText(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		if strings.Contains(s, "=") && secretName(s) || err != nil && strings.Contains(s, "@") {
			return mask
		}
		return s
	}
	if _, ok := u.User.Password(); ok {
		u.User = url.UserPassword(u.User.Username(), "-")
	}
	query := u.Query()
	for name := range query {
		if secretName(name) {
			query[name] = []string{"-"}
		}
	}
	u.RawQuery = query.Encode()
	return strings.ReplaceAll(u.String(), ":-@", ":"+mask+"@")
}
