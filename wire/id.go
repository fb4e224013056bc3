package wire

import (
	"math"
	"strconv"
)

// ParseID reads an id as it stands in a path or a query: [1-9][0-9]{0,18} up to
// 2^63-1. Anything else (0, signs, leading zeros, spaces) is not an id.
func ParseID(s string) (id int64, ok bool) {
	if len(s) == 0 || len(s) > 19 || s[0] == '0' {
		return 0, false
	}
	for i := range len(s) { // by hand: strconv takes signs, and reports with garbage
		digit := int64(s[i]) - '0'
		if digit < 0 || digit > 9 || id > (math.MaxInt64-digit)/10 {
			return 0, false
		}
		id = id*10 + digit
	}
	return id, true
}

// appendIDs appends a JSON array of ids.
func appendIDs(dst []byte, ids []int64) []byte {
	dst = append(dst, '[')
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, id, 10)
	}
	return append(dst, ']')
}
