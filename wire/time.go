package wire

import (
	"fmt"
	"strconv"
	"time"
)

// timeLayout is how times are written. The zone is always UTC.
const timeLayout = "2006-01-02T15:04:05.000-07:00"

// AppendTime appends a time as a JSON string, cut to milliseconds; the zero time
// as null.
func AppendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 { // no log has one
		return append(t.AppendFormat(append(dst, '"'), timeLayout), '"')
	}
	// Digit by digit: AppendFormat reads its layout anew for each time, and a person
	// has two.
	hour, minute, second := t.Clock()
	dst = appendDigits(append(dst, '"'), year, 4)
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	dst = appendDigits(append(dst, '.'), t.Nanosecond()/int(time.Millisecond), 3)
	return append(dst, `+00:00"`...)
}

// appendDigits appends the last digits of a number, with zeros in front.
func appendDigits(dst []byte, n, digits int) []byte {
	dst = append(dst, "0000"[:digits]...)
	for i := len(dst) - 1; n > 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

// Time is a time as it travels. The zero Time is null.
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return AppendTime(make([]byte, 0, len(timeLayout)+2), t.Time), nil
}

// UnmarshalJSON implements json.Unmarshaler. It takes what the Spring system and
// its relatives write: offsets with and without a colon, Z, epoch milliseconds,
// and null.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = Time{}
		return nil
	}
	if len(b) > 2 && b[0] == '"' && b[len(b)-1] == '"' {
		return t.parse(string(b[1 : len(b)-1]))
	}
	ms, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is neither a time nor milliseconds since 1970", b)
	}
	t.Time = time.UnixMilli(ms).UTC()
	return nil
}

// parse reads the text forms. RFC 3339 has no offset without a colon, which is
// what older Jackson versions write.
func (t *Time) parse(s string) error {
	parsed, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		parsed, err = time.Parse("2006-01-02T15:04:05.999999999-0700", s)
	}
	if err != nil {
		return fmt.Errorf("%q is not a time like 2022-11-26T15:45:31.123+00:00", s)
	}
	t.Time = parsed.UTC()
	return nil
}
