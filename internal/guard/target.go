package guard

import (
	"bytes"
	"net/url"
	"unicode/utf8"

	"ensemble/wire"
)

// checkMethod refuses the two methods that are not meant for a server like this.
func checkMethod(method []byte) *refusal {
	switch string(method) {
	case "TRACE":
		return &refusal{slug: wire.MethodNotAllowed, detail: "TRACE would show a client what proxies have added. It is off."}
	case "CONNECT":
		return &refusal{slug: wire.MethodNotAllowed, detail: "CONNECT asks for a tunnel. This is no proxy."}
	}
	return nil
}

// checkTarget refuses what proxies and services could take for different paths.
func checkTarget(method, target []byte, l *Limits) *refusal {
	switch {
	case len(target) == 0:
		return bad("The request line has no target. Put a path there.")
	case string(target) == "*":
		if string(method) == "OPTIONS" {
			return nil
		}
		return bad("The target * is for OPTIONS alone. Put a path there.")
	case target[0] == '/':
		return checkPath(target, l)
	}
	// The absolute form: clients send it to proxies, and a server has to take it.
	host, path, ok := absolute(target)
	if !ok || !isHost(host) {
		return bad("The target is not a path that begins with a slash. Correct it.")
	}
	if _, err := url.ParseRequestURI(string(target)); err != nil {
		return bad("The target is not a path or an http URL. Correct it.")
	}
	if len(path) == 0 {
		return nil
	}
	return checkPath(path, l)
}

// absolute takes http://host/path apart.
func absolute(target []byte) (host, path []byte, ok bool) {
	rest, found := bytes.CutPrefix(target, []byte("http://"))
	if !found {
		return nil, nil, false
	}
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		return rest[:i], rest[i:], true
	}
	return rest, nil, true
}

// sameHost says whether a target in absolute form means the host of the header.
func sameHost(target, host []byte) bool {
	named, _, _ := absolute(target)
	return len(host) > 0 && bytes.EqualFold(named, host)
}

// checkPath looks at a path and its query, as they were sent.
func checkPath(target []byte, l *Limits) *refusal {
	path, query, _ := bytes.Cut(target, []byte("?"))
	for _, c := range query {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return bad("The query has a character that has to be escaped. Send it as %XX.")
		}
	}
	if bytes.Count(query, []byte("&")) >= l.Parameters {
		return &refusal{slug: wire.URITooLong, detail: "The query has too many parameters. Leave out those that nobody needs."}
	}
	escaped := false
	for i, c := range path {
		switch {
		case c == '%':
			escaped = true
		case isPlain(c):
		case c == '/' && i > 0 && path[i-1] == '/':
			return bad("The path has an empty segment. Send one slash instead of two.")
		case c != '/':
			return bad("The path has a character that none here has: a space, a control, a backslash, a semicolon, or one that has to be escaped. Correct it.")
		}
	}
	if hasDots(path) {
		return bad("The path has a segment of dots. Send the path that you mean.")
	}
	if escaped {
		return checkEscapes(path)
	}
	return nil
}

// hasDots says whether a segment is . or .., which some readers resolve.
func hasDots(path []byte) bool {
	for i := 0; ; {
		dot := bytes.Index(path[i:], []byte("/."))
		if dot < 0 {
			return false
		}
		i += dot + 2
		rest := bytes.TrimPrefix(path[i:], []byte("."))
		if len(rest) == 0 || rest[0] == '/' {
			return true
		}
	}
}

// checkEscapes refuses escapes that some readers decode before they look at the
// path and others after.
func checkEscapes(path []byte) *refusal {
	decoded, err := url.PathUnescape(string(path))
	if err != nil {
		return bad("The path has a % that is not followed by two hexadecimal digits. Send it as %25.")
	}
	if !utf8.ValidString(decoded) {
		return bad("The escapes in the path are not UTF-8. Correct them.")
	}
	for i := 0; i+2 < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		c := unhex(path[i+1])<<4 | unhex(path[i+2])
		if c < ' ' || c == 0x7f || bytes.IndexByte([]byte(`/\.%;`), c) >= 0 {
			return bad("The path has an escaped slash, backslash, dot, percent sign, semicolon or control character. No path here has one.")
		}
	}
	return nil
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// isPlain says whether c may stand unescaped in a segment (RFC 3986, section 3.3).
// The semicolon is not among them: servers in Java cut off what follows it.
func isPlain(c byte) bool {
	return isAlnum(c) || bytes.IndexByte([]byte("-._~!$&'()*+,=:@"), c) >= 0
}

// isHost says whether b may be a Host: a name or an address, with a port or not.
func isHost(b []byte) bool {
	for _, c := range b {
		if !isAlnum(c) && bytes.IndexByte([]byte("-._:[]"), c) < 0 {
			return false
		}
	}
	return len(b) > 0
}
