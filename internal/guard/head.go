package guard

import (
	"bytes"
	"strconv"

	"ensemble/wire"
)

// refusal is why a head is not handed on.
type refusal struct {
	slug   wire.Slug
	detail string // "" for what the slug says of itself
	target string // as the client sent it, for the answer; may be anything
	head   bool   // the method was HEAD, so the answer has no body
}

// bad returns the refusal of a request that could be read in more than one way.
func bad(detail string) *refusal { return &refusal{slug: wire.BadRequest, detail: detail} }

// scanner looks for the end of a head that comes in pieces. It looks at each byte
// once, however small the pieces are.
type scanner struct {
	seen  int // bytes looked at
	line  int // where the line under way begins
	lines int // complete lines
}

// end returns the length of the head at the front of b, 0 while it is incomplete.
// b is the same head each time, with more of it. A lone empty line is a head too.
func (s *scanner) end(b []byte, l *Limits) (int, *refusal) {
	for {
		i := bytes.IndexByte(b[s.seen:], '\n')
		if i < 0 {
			s.seen = len(b)
			return 0, s.tooLarge(l)
		}
		at := s.seen + i
		s.seen = at + 1
		if at == s.line || b[at-1] != '\r' {
			return 0, bad("A line of the header ends in LF alone. End each with CRLF.")
		}
		if at-1 == s.line {
			return s.seen, s.tooLarge(l)
		}
		if r := s.tooLarge(l); r != nil { // the line still counts as the one under way
			return 0, r
		}
		s.lines++
		s.line = s.seen
	}
}

// tooLarge says whether the head exceeds a limit already, complete or not.
func (s *scanner) tooLarge(l *Limits) *refusal {
	const around = 64 // what a request line has beside its target: method and version
	switch {
	case s.lines == 0 && s.seen > l.Target+around:
		return &refusal{slug: wire.URITooLong}
	case s.seen > l.Head, s.lines > l.Headers+1:
		return &refusal{slug: wire.HeadersTooLarge}
	}
	return nil
}

// framing says where the body of a request ends.
type framing struct {
	length  int64 // bytes, by Content-Length
	chunked bool  // or wherever the last chunk is
}

// check reads a complete head and says how long its body is, or why it is refused.
// A head that passes is read in the same way by net/http.
func check(b []byte, l *Limits) (framing, *refusal) {
	line, rest := cutLine(b) // empty if an empty line came twice
	method, target, version, r := requestLine(line, l)
	if r == nil {
		r = checkMethod(method)
	}
	if r == nil {
		r = checkTarget(method, target, l)
	}
	f := fields{version: version}
	for len(rest) > 2 && r == nil { // 2: the empty line
		line, rest = cutLine(rest)
		r = f.add(line)
	}
	if r == nil {
		r = f.verdict(target)
	}
	if r != nil {
		r.target, r.head = string(target), string(method) == "HEAD"
		return framing{}, r
	}
	return framing{length: f.length, chunked: f.chunked}, nil
}

// cutLine returns the first line without its CRLF, and what follows it.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n') // the scanner has found one, and a CR before it
	return b[:i-1], b[i+1:]
}

// requestLine takes the first line apart. version is the minor one of HTTP/1.
func requestLine(line []byte, l *Limits) (method, target []byte, version byte, r *refusal) {
	method, line, _ = bytes.Cut(line, []byte(" "))
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 || !isToken(method) {
		return nil, nil, 0, bad("The request line is not METHOD TARGET HTTP/1.1 with single spaces between them. Correct it.")
	}
	target, proto := line[:i], line[i+1:]
	if len(target) > l.Target {
		return method, nil, 0, &refusal{slug: wire.URITooLong}
	}
	switch string(proto) {
	case "HTTP/1.1":
		return method, target, 1, nil
	case "HTTP/1.0":
		return method, target, 0, nil
	}
	if len(proto) == len("HTTP/1.1") && bytes.HasPrefix(proto, []byte("HTTP/")) &&
		isDigit(proto[5]) && proto[6] == '.' && isDigit(proto[7]) {
		return method, target, 0, &refusal{slug: wire.VersionNotSupported}
	}
	return method, target, 0, bad("The request line does not end in HTTP/1.1. Correct it.")
}

// fields is what the headers of one request say about its framing and its host.
type fields struct {
	version         byte // the minor one
	length          int64
	lengths, hosts  int
	coding, chunked bool
	host            []byte
}

// add takes in one header line.
func (f *fields) add(line []byte) *refusal {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found {
		return bad("A header line has no colon. Headers are NAME: VALUE, each on one line.")
	}
	value = bytes.Trim(value, " \t")
	if !isToken(name) {
		return bad("The name of a header has a character that none may have, or a space before its colon. Correct it.")
	}
	if bytes.IndexByte(name, '_') >= 0 {
		return bad("The name of a header has an underscore, which some readers take for a hyphen. Use a hyphen.")
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return bad("A header value has a control character. Leave it out.")
		}
	}
	return f.known(name, value)
}

// known looks at the headers that decide how a request is read. Names are compared
// without regard to case; their length sorts out nearly all others.
func (f *fields) known(name, value []byte) *refusal {
	switch len(name) {
	case len("Host"):
		if is(name, "host") {
			f.hosts++
			f.host = value
		}
	case len("Expect"):
		if is(name, "expect") && !is(value, "100-continue") {
			return &refusal{slug: wire.ExpectationFailed}
		}
	case len("Upgrade"):
		if is(name, "upgrade") && lists(value, "h2c") {
			return upgrade()
		}
	case len("Connection"):
		if is(name, "connection") {
			return connection(value)
		}
	case len("Content-Length"): // and, of the same length, HTTP2-Settings
		if is(name, "content-length") {
			return f.contentLength(value)
		}
		if is(name, "http2-settings") {
			return upgrade()
		}
	case len("Transfer-Encoding"):
		if is(name, "transfer-encoding") {
			return f.transferEncoding(value)
		}
	}
	return nil
}

// contentLength takes in how long the body is.
func (f *fields) contentLength(value []byte) *refusal {
	if f.lengths++; f.lengths > 1 {
		return bad("Content-Length is there more than once. Send it once.")
	}
	for _, c := range value {
		if !isDigit(c) {
			return bad("Content-Length is not a plain whole number. Correct it.")
		}
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || len(value) > 1 && value[0] == '0' {
		return bad("Content-Length is not a plain whole number. Correct it.")
	}
	f.length = n
	return nil
}

// transferEncoding takes in that the body comes in chunks. Everything else that
// the header could say is read differently by somebody.
func (f *fields) transferEncoding(value []byte) *refusal {
	if f.coding || !is(value, "chunked") {
		return bad("Transfer-Encoding is something else than chunked, sent once. Send a Content-Length instead.")
	}
	f.coding, f.chunked = true, true
	return nil
}

// verdict says what only all headers together show.
func (f *fields) verdict(target []byte) *refusal {
	switch {
	case f.coding && f.lengths > 0:
		return bad("Content-Length and Transfer-Encoding are both there. Send only one of them.")
	case f.coding && f.version == 0:
		return bad("HTTP/1.0 has no Transfer-Encoding. Send a Content-Length, or HTTP/1.1.")
	case f.hosts > 1:
		return bad("Host is there more than once. Send it once.")
	case f.hosts == 0 && f.version > 0:
		return bad("Host is missing. Send it once.")
	case f.hosts == 1 && !isHost(f.host):
		return bad("Host is not a name or an address, with or without a port. Correct it.")
	case target[0] != '/' && target[0] != '*' && !sameHost(target, f.host):
		return bad("The host in the request line is not the one in Host. Send the path alone, or the same host twice.")
	}
	return nil
}

// connection refuses options that would have a proxy take away a header that
// something behind it needs.
func connection(value []byte) *refusal {
	for option := range bytes.SplitSeq(value, []byte(",")) {
		option = bytes.Trim(option, " \t")
		if is(option, "http2-settings") {
			return upgrade()
		}
		if len(option) > 0 && !is(option, "close") && !is(option, "keep-alive") && !is(option, "upgrade") && !is(option, "te") {
			return bad("Connection has other options than close, keep-alive, upgrade and TE. Leave them out.")
		}
	}
	return nil
}

// upgrade refuses the way to HTTP/2 that a proxy in front might not see taken.
func upgrade() *refusal {
	return bad("There is no upgrade to HTTP/2 here. Send HTTP/1.1 without one (curl --http1.1; Java: HttpClient.Version.HTTP_1_1).")
}

// lists says whether a list has a member. The member is in lower case.
func lists(value []byte, member string) bool {
	for part := range bytes.SplitSeq(value, []byte(",")) {
		if is(bytes.Trim(part, " \t"), member) {
			return true
		}
	}
	return false
}

// is says whether b is a word, in upper or lower case. The word is ASCII.
func is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// isToken says whether b may be a method or the name of a header (RFC 9110,
// section 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !isAlnum(c) && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// isDigit says whether c is a decimal digit.
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isAlnum says whether c is an ASCII letter or digit.
func isAlnum(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || isDigit(c) }
