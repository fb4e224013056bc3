package wire

import (
	"net/http"
	"strconv"
	"time"

	"ensemble/user"
)

// ProblemType is the media type of a problem (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is an error as clients read it: RFC 9457, and the members that the
// Spring system's errors have.
type Problem struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Detail    string            `json:"detail"`
	Instance  string            `json:"instance"`  // the path that the client asked for
	Timestamp Time              `json:"timestamp"` //
	Path      string            `json:"path"`      // the path that the service saw
	Error     string            `json:"error"`     // the standard phrase of the status
	Message   string            `json:"message"`   // as Detail
	RequestID string            `json:"requestId"`
	Missing   []int64           `json:"missing,omitempty" nullable:"false"` // people that are not there
	Errors    []user.FieldError `json:"errors,omitempty" nullable:"false"`  // members that break a rule
}

// Occasion is when and where a problem occurred.
type Occasion struct {
	Instance, Path, RequestID string
	Time                      time.Time
}

// NewProblem returns a problem of a kind. detail says what happened and what to
// do next; empty, it is what the kind says of itself.
func NewProblem(slug Slug, detail string, o Occasion) Problem {
	kind := slug.Kind()
	if detail == "" {
		detail = kind.Help
	}
	return Problem{
		Type: "/problems/" + string(slug), Title: kind.Title, Status: kind.Status, Detail: detail,
		Instance: o.Instance, Timestamp: Time{o.Time}, Path: o.Path,
		Error: http.StatusText(kind.Status), Message: detail, RequestID: o.RequestID,
	}
}

// AppendProblem appends a problem as JSON.
func AppendProblem(dst []byte, p *Problem) []byte {
	dst = appendMember(dst, `{"type":`, p.Type)
	dst = appendMember(dst, `,"title":`, p.Title)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.Status), 10)
	dst = appendMember(dst, `,"detail":`, p.Detail)
	dst = appendMember(dst, `,"instance":`, p.Instance)
	dst = append(dst, `,"timestamp":`...)
	dst = AppendTime(dst, p.Timestamp.Time)
	dst = appendMember(dst, `,"path":`, p.Path)
	dst = appendMember(dst, `,"error":`, p.Error)
	dst = appendMember(dst, `,"message":`, p.Message)
	dst = appendMember(dst, `,"requestId":`, p.RequestID)
	dst = appendMissing(dst, p.Missing)
	dst = appendErrors(dst, p.Errors)
	return append(dst, '}')
}

// appendMember appends a text member; name brings its punctuation along.
func appendMember(dst []byte, name, value string) []byte {
	return appendText(append(dst, name...), value)
}

// appendMissing appends an extension member, or nothing: an empty list would look
// like an answer.
func appendMissing(dst []byte, missing []int64) []byte {
	if len(missing) == 0 {
		return dst
	}
	return appendIDs(append(dst, `,"missing":`...), missing)
}

// appendErrors appends an extension member, or nothing.
func appendErrors(dst []byte, errs []user.FieldError) []byte {
	if len(errs) == 0 {
		return dst
	}
	dst = append(dst, `,"errors":[`...)
	for i, e := range errs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, `{"pointer":`, e.Pointer)
		dst = appendMember(dst, `,"detail":`, e.Detail)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
