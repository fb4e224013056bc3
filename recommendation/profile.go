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
	return profile(u, string(wire.AppendUser(make([]byte, 0, usual), u)))
}

// NewProfiles appends what NewProfile returns for each. Their JSON is one text: a
// million people are made in half the time, and as long as one of them is kept, the
// text of all is.
func NewProfiles(dst []Profile, users []user.User) []Profile {
	const usual = 192 // bytes of one person
	text := make([]byte, 0, usual*len(users))
	ends := make([]int, len(users))
	for i, u := range users {
		text = wire.AppendUser(text, u)
		ends[i] = len(text)
	}
	all, begin := string(text), 0
	for i, u := range users {
		dst = append(dst, profile(u, all[begin:ends[i]]))
		begin = ends[i]
	}
	return dst
}

// profile returns a profile with the JSON that was written for it.
func profile(u user.User, text string) Profile {
	u.FirstName, u.LastName = within(text, u.FirstName), within(text, u.LastName)
	return Profile{User: u, JSON: text}
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
