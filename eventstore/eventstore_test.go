package eventstore

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseStreamIsTheInverseOfString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Stream{
			Category: rapid.StringMatching(`[a-zA-Z0-9_]{1,10}`).Draw(t, "category"),
			ID:       rapid.StringMatching(`[!-~]{1,10}`).Draw(t, "id"),
		}
		if got, err := ParseStream(s.String()); err != nil || got != s {
			t.Fatalf("%v came back as %v, %v", s, got, err)
		}
	})
	for _, bad := range []string{"", "-", "a", "a-", "-b"} {
		if got, err := ParseStream(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is %v, %v", bad, got, err)
		}
	}
}

func FuzzParseStream(f *testing.F) {
	for _, s := range []string{"friend-1:2", "user-7", "-", "a-b-c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if s, err := ParseStream(name); err == nil && s.String() != name {
			t.Fatalf("%q became %q", name, s)
		}
	})
}

func TestALineageKnowsUnderWhichNameAPositionWasWritten(t *testing.T) {
	a, b, c := [16]byte{1}, [16]byte{2}, [16]byte{3}
	l := Lineage{{a, 1}, {b, 10}, {c, 20}}
	for p, want := range map[Position][16]byte{0: a, 1: a, 9: a, 10: b, 19: b, 20: c, 1 << 40: c} {
		if got := l.At(p); got != want {
			t.Errorf("position %d is of %v", p, got)
		}
	}
}

func TestValuesKnowTheirTypes(t *testing.T) {
	now := time.Date(2022, 11, 26, 15, 45, 31, 123456789, time.FixedZone("x", 3600))
	for _, c := range []struct {
		value Value
		kind  ColumnType
	}{{Int(7), IntColumn}, {Text("x"), TextColumn}, {Time(now), TimeColumn}, {Micros(1), TimeColumn}} {
		if c.value.Type() != c.kind {
			t.Errorf("%v has type %v", c.value, c.value.Type())
		}
	}
	if got := Time(now).Time(); !got.Equal(now.Truncate(time.Microsecond)) || got.Location() != time.UTC {
		t.Errorf("the time came back as %v", got)
	}
	if Micros(Time(now).Int()) != Time(now) {
		t.Error("microseconds and times differ")
	}
}

func TestDamageErrorsSayWhereAndWhatToDo(t *testing.T) {
	for want, e := range map[string]*DamageError{
		"user.db is damaged: torn. Restore a backup":               {Log: "user.db", Reason: "torn", Hint: "Restore a backup"},
		"user.db is damaged at position 7: torn. Restore a backup": {Log: "user.db", Position: 7, Reason: "torn", Hint: "Restore a backup"},
	} {
		if e.Error() != want {
			t.Errorf("got %s", e)
		}
	}
}
