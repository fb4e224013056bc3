package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"ensemble/wire"
)

// readJSON reads a body that has to be JSON. It is valid until the answer is
// sent.
func (r *request) readJSON() ([]byte, error) {
	if !isJSON(r.Header.Get("Content-Type")) || !isPlain(r.Header.Get("Content-Encoding")) {
		return nil, failure{slug: wire.UnsupportedMedia}
	}
	return r.readBody()
}

// readBody reads a body of any type, up to wire.MaxBody bytes.
func (r *request) readBody() ([]byte, error) {
	if r.ContentLength > wire.MaxBody {
		return nil, failure{slug: wire.BodyTooLarge}
	}
	body := http.MaxBytesReader(r.w, r.Body, wire.MaxBody)
	for {
		if len(r.in) == cap(r.in) {
			r.in = append(r.in, 0)[:len(r.in)]
		}
		n, err := body.Read(r.in[len(r.in):cap(r.in)])
		r.in = r.in[:len(r.in)+n]
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			return r.in, nil
		}
		return nil, bodyFailure(err)
	}
}

// bodyFailure tells clients that sent too much, too slowly, or only a part. Each is the client's to correct, so none is kept under a key.
func bodyFailure(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return failure{slug: wire.BodyTooLarge}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return failure{slug: wire.RequestTimeout}
	}
	return failure{slug: wire.IncompleteBody}
}

// isJSON says whether a media type is JSON in UTF-8. Types like
// application/hal+json count, as they do in the Spring system.
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return mediaType == "application/json" ||
		strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}

// isPlain says whether a body is sent as it is.
func isPlain(encoding string) bool {
	return encoding == "" || strings.EqualFold(encoding, "identity")
}
