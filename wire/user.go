package wire

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"ensemble/user"
)

// User is a person as clients read it.
type User struct {
	ID           int64  `json:"id"`
	FirstName    string `json:"firstName"`
	LastName     string `json:"lastName"`
	CreatedAt    Time   `json:"createdAt"`
	LastModified Time   `json:"lastModified"`
}

// AppendUser appends a person as JSON.
func AppendUser(dst []byte, u user.User) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, u.ID, 10)
	dst = append(dst, `,"firstName":`...)
	dst = appendText(dst, u.FirstName)
	dst = append(dst, `,"lastName":`...)
	dst = appendText(dst, u.LastName)
	dst = append(dst, `,"createdAt":`...)
	dst = AppendTime(dst, u.CreatedAt)
	dst = append(dst, `,"lastModified":`...)
	dst = AppendTime(dst, u.LastModified)
	return append(dst, '}')
}

// appendText appends a JSON string in its shortest form. What is no UTF-8
// becomes U+FFFD, so that one bad text can't spoil a whole list.
func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
