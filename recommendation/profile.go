package recommendation

import (
	"strings"

	"ensemble/user"
	"ensemble/wire"
)

// Profile is somebody as answers show them. It is copied into answers many more
// times than it changes, so a backend that keeps people in memory keeps them as JSON.
type Profile struct {
	user.User
	// JSON is the user as [wire.AppendUser] writes it. Empty: nobody has written it
	// yet, and Text does so.
	JSON string
}

// NewProfile returns a profile with its JSON. Where they can be, the names are parts
// of that text, so that whoever keeps both keeps the letters once.
func NewProfile(u user.User) Profile {
	const usual = 256 // bytes, for which nothing is allocated but the text itself
	p := Profile{JSON: string(wire.AppendUser(make([]byte, 0, usual), u))}
	u.FirstName, u.LastName = within(p.JSON, u.FirstName), within(p.JSON, u.LastName)
	p.User = u
	return p
}

// Text returns the user as JSON. It allocates nothing if it is there already.
func (p *Profile) Text() string {
	if p.JSON == "" {
		return string(wire.AppendUser(nil, p.User))
	}
	return p.JSON
}

// within returns a text as a part of a longer one, or the text itself if it is no
// part of it: a name with a quotation mark is not, because JSON escapes those.
func within(whole, part string) string {
	if i := strings.Index(whole, part); i >= 0 {
		return whole[i : i+len(part)]
	}
	return part
}
