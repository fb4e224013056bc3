package api_test

import (
	"net/http"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

func TestBodies(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	nested := func(depth int) string {
		return `{"firstName":"A","lastName":"B","x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
	}
	sized := func(size int) string {
		frame := `{"firstName":"A","lastName":"B","x":""}`
		return strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1)
	}
	for _, c := range []struct {
		sentence, body string
		status         int
		slug           wire.Slug
	}{
		{"64 KiB are enough", sized(wire.MaxBody), 201, ""},
		{"one byte more is too much", sized(wire.MaxBody + 1), 413, wire.BodyTooLarge},
		{"32 levels are fine", nested(32), 201, ""},
		{"33 levels are too deep", nested(33), 400, wire.MalformedJSON},
		{"an empty body is no JSON", " ", 400, wire.MalformedJSON},
		{"invalid UTF-8 is no JSON", "{\"firstName\":\"\xff\",\"lastName\":\"\"}", 400, wire.MalformedJSON},
		{"an overlong encoding is invalid", "{\"firstName\":\"\xc0\xaf\",\"lastName\":\"\"}", 400, wire.MalformedJSON},
		{"a surrogate in UTF-8 is invalid", "{\"firstName\":\"\xed\xa0\x80\",\"lastName\":\"\"}", 400, wire.MalformedJSON},
		{"a byte order mark is no JSON", "\xef\xbb\xbf{}", 400, wire.MalformedJSON},
		{"a raw line break in a string is no JSON", "{\"firstName\":\"a\nb\",\"lastName\":\"\"}", 400, wire.MalformedJSON},
		{"a comment is no JSON", `{"firstName":"A","lastName":"B"} // hi`, 400, wire.MalformedJSON},
		{"single quotes are no JSON", `{'firstName':'A'}`, 400, wire.MalformedJSON},
		{"NaN is no JSON", `{"firstName":NaN}`, 400, wire.MalformedJSON},
		{"a second value is one too many", `{"firstName":"A","lastName":"B"}{}`, 400, wire.MalformedJSON},
		{"a duplicate of an unknown member is malformed", `{"x":1,"x":2,"firstName":"A","lastName":"B"}`, 400, wire.MalformedJSON},
		{"a duplicate further down is malformed", `{"x":{"a":1,"a":2},"firstName":"A","lastName":"B"}`, 400, wire.MalformedJSON},
		{"a duplicate in another spelling is malformed", `{"firstName":"A","first\u004eame":"B","lastName":""}`, 400, wire.MalformedJSON},
		{"white space around the value is fine", "\r\n\t {\"firstName\":\"A\",\"lastName\":\"B\"} \n", 201, ""},
		{"an escaped member name is that member", `{"first\u004eame":"A","lastName":"B"}`, 201, ""},
		{"members match case-exactly", `{"FirstName":"A","lastName":"B"}`, 422, wire.ValidationFailed},
		{"a number is not a name", `{"firstName":1,"lastName":"B"}`, 422, wire.ValidationFailed},
		{"null is not a name", `{"firstName":null,"lastName":"B"}`, 422, wire.ValidationFailed},
		{"null is not the body", `null`, 422, wire.ValidationFailed},
		{"a text is not the body", `"Ada"`, 422, wire.ValidationFailed},
		{"an id is given here", `{"id":1,"firstName":"A","lastName":"B"}`, 422, wire.ValidationFailed},
		{"an id in quotes is no id either", `{"id":"1","firstName":"A","lastName":"B"}`, 422, wire.ValidationFailed},
		{"256 code points are a name", `{"firstName":"` + strings.Repeat("😀", 256) + `","lastName":""}`, 201, ""},
		{"257 are too many", `{"firstName":"` + strings.Repeat("é", 257) + `","lastName":""}`, 422, wire.ValidationFailed},
		{"a control character is refused", `{"firstName":"a\u0085","lastName":""}`, 422, wire.ValidationFailed},
		{"a lone surrogate elsewhere does not matter", `{"firstName":"A","lastName":"","x":"\ud800"}`, 201, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			before := events(t, s.UserLog)
			w := s.Do(http.MethodPost, "/user/v1/users", c.body)
			if c.slug == "" {
				expect(t, w, c.status)
				return
			}
			problem(t, w, c.status, c.slug)
			if events(t, s.UserLog) != before {
				t.Error("a refused body left an event")
			}
		})
	}
}

func TestEachFaultHasItsPointer(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for body, pointers := range map[string]string{
		`{}`:                             "/firstName /lastName",
		`{"firstName":[],"lastName":{}}`: "/firstName /lastName",
		`{"firstName":"","lastName":"\u0000","id":9}`: "/id /firstName /lastName",
		`{"firstName":"A","lastName":"B","id":1.5}`:   "/id",
		`{"firstName":"A","lastName":false,"id":"x"}`: "/lastName /id",
		`7`: "",
	} {
		p := problem(t, s.Do(http.MethodPost, "/user/v1/users", body), http.StatusUnprocessableEntity, wire.ValidationFailed)
		var got []string
		for _, e := range p.Errors {
			got = append(got, e.Pointer)
			if e.Detail == "" {
				t.Errorf("%s: %s has no detail", body, e.Pointer)
			}
		}
		if strings.Join(got, " ") != pointers {
			t.Errorf("%s: errors at %q, not %q", body, got, pointers)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for contentType, status := range map[string]int{
		"application/json":                    201,
		"application/json;charset=UTF-8":      201,
		`application/json; charset="utf-8"`:   201,
		"APPLICATION/JSON":                    201,
		"application/vnd.acme+json":           201,
		"application/json; charset=utf-16":    415,
		"application/x-www-form-urlencoded":   415,
		"text/json":                           415,
		"application/xml":                     415,
		"application/jsonx":                   415,
		"json":                                415,
		";":                                   415,
		"":                                    415,
		"application/json, application/json;": 415,
	} {
		w := s.Do(http.MethodPost, "/user/v1/users", `{"firstName":"A","lastName":"B"}`, "Content-Type", contentType)
		if w.Code != status {
			t.Errorf("Content-Type %q is answered %d, not %d", contentType, w.Code, status)
		}
	}
	w := s.Do(http.MethodPost, "/user/v1/users", "x", "Content-Encoding", "gzip")
	problem(t, w, http.StatusUnsupportedMediaType, wire.UnsupportedMedia)
}

func TestChecksAreMadeInOrder(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	expect(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", ""), 201)
	for _, c := range []struct {
		sentence, method, target, body, contentType string
		status                                      int
		slug                                        wire.Slug
	}{
		{"media type before syntax", "POST", "/user/v1/users", `{`, "text/plain", 415, wire.UnsupportedMedia},
		{"id before media type", "PUT", "/user/v1/users/x", `{`, "text/plain", 400, wire.InvalidID},
		{"nobody before the rules", "PUT", "/user/v1/users/9", `{}`, "application/json", 404, wire.UserNotFound},
		{"nobody before another id", "PUT", "/user/v1/users/9", `{"id":1,"firstName":"A","lastName":"B"}`, "application/json", 404, wire.UserNotFound},
		{"the rules before another id", "PUT", "/user/v1/users/1", `{"id":2,"firstName":"","lastName":"B"}`, "application/json", 422, wire.ValidationFailed},
		{"another id at last", "PUT", "/user/v1/users/1", `{"id":2,"firstName":"A","lastName":"B"}`, "application/json", 400, wire.IDMismatch},
		{"zero is another id", "PUT", "/user/v1/users/1", `{"id":0,"firstName":"A","lastName":"B"}`, "application/json", 400, wire.IDMismatch},
		{"self before unknown", "POST", "/friend/v1/users/9/commands/addFriend?friendId=9", "", "", 400, wire.SelfFriendship},
		{"exists before all that follows", "POST", "/friend/v1/users/1/commands/addFriend?friendId=2", "", "", 409, wire.FriendshipExists},
		{"unknown at last", "POST", "/friend/v1/users/1/commands/addFriend?friendId=9", "", "", 404, wire.UserNotFound},
		{"self before not found", "POST", "/friend/v1/users/9/commands/removeFriend?friendId=9", "", "", 400, wire.SelfFriendship},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			problem(t, s.Do(c.method, c.target, c.body, "Content-Type", c.contentType), c.status, c.slug)
		})
	}
}
