package loadgen

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anySchedule draws a schedule of up to some thousand requests.
func anySchedule(t *rapid.T) Schedule {
	part := func(name string, least int) time.Duration {
		return time.Duration(rapid.IntRange(least, 20_000).Draw(t, name)) * time.Millisecond
	}
	return Schedule{
		Rate: Rate(rapid.Float64Range(0.1, 100).Draw(t, "rate")), Ramp: part("ramp", 0), Warmup: part("warmup", 0),
		Duration: part("duration", 1), Constant: rapid.Bool().Draw(t, "constant"),
	}
}

// expected returns how many requests a schedule expects until a moment, summed up in
// small steps: no formula is shared with the schedule.
func expected(s Schedule, until time.Duration) (n float64) {
	const step = time.Millisecond
	for at := time.Duration(0); at < until; at += step {
		rate := float64(s.Rate)
		if middle := at + step/2; middle < s.Ramp {
			rate *= middle.Seconds() / s.Ramp.Seconds()
		}
		n += rate * min(step, until-at).Seconds()
	}
	return n
}

func TestEvenlySpacedRequestsAreDueWhenSoManyWereExpected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySchedule(t)
		s.Constant = true
		times := slices.Collect(s.times(1))
		_, end := s.measured()
		if all := expected(s, end); math.Abs(float64(len(times))-all) > 1.1 {
			t.Fatalf("%d requests, expected %.2f", len(times), all)
		}
		if len(times) == 0 || times[0] != 0 {
			t.Fatalf("the first is due at %v", times)
		}
		for _, n := range []int{len(times) / 3, len(times) / 2, len(times) - 1} {
			if until := expected(s, times[n]); math.Abs(until-float64(n)) > 0.01*float64(n)+0.1 {
				t.Fatalf("request %d is due at %v, when %.2f are expected", n, times[n], until)
			}
		}
	})
}

func TestTimesAscendStayWithinTheScheduleAndFollowTheSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, seed := anySchedule(t), rapid.Uint64().Draw(t, "seed")
		times := slices.Collect(s.times(seed))
		if !slices.IsSorted(times) {
			t.Fatal("not ascending")
		}
		from, end := s.measured()
		if from != s.Ramp+s.Warmup || end != from+s.Duration {
			t.Fatalf("measured from %v to %v", from, end)
		}
		if n := len(times); n > 0 && (times[0] < 0 || times[n-1] >= end) {
			t.Fatalf("from %v to %v, the end is %v", times[0], times[n-1], end)
		}
		if !slices.Equal(times, slices.Collect(s.times(seed))) {
			t.Fatal("not the same twice")
		}
		all := expected(s, end)
		if !s.Constant && math.Abs(float64(len(times))-all) > 6*math.Sqrt(all)+6 {
			t.Fatalf("%d arrivals, expected %.0f", len(times), all)
		}
	})
}

// TestAShorterRunIsTheBeginningOfALongerOne: who stretches a run repeats it.
func TestAShorterRunIsTheBeginningOfALongerOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySchedule(t)
		short := slices.Collect(s.times(5))
		s.Duration *= 2
		long := slices.Collect(s.times(5))
		if len(long) < len(short) || !slices.Equal(short, long[:len(short)]) {
			t.Fatalf("%d and %d times differ", len(short), len(long))
		}
	})
}

func TestASequenceOfTimesMayBeLeft(t *testing.T) {
	n := 0
	for range (Schedule{Rate: 10, Duration: time.Hour}).times(1) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("left after %d", n)
	}
}

func TestWhenTheNthIsDue(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		s    Schedule
		n    float64
		want time.Duration
	}{
		{Schedule{Rate: 100}, 0, 0},
		{Schedule{Rate: 100}, 50, second / 2},
		{Schedule{Rate: 0.5}, 3, 6 * second},
		// The area under a ramp to 100 in 4 s is 200: a quarter of it at half time.
		{Schedule{Rate: 100, Ramp: 4 * second}, 50, 2 * second},
		{Schedule{Rate: 100, Ramp: 4 * second}, 200, 4 * second},
		{Schedule{Rate: 100, Ramp: 4 * second}, 300, 5 * second},
	} {
		if got := c.s.due(c.n); (got - c.want).Abs() > time.Microsecond {
			t.Errorf("%v: %g are due at %v, want %v", c.s, c.n, got, c.want)
		}
	}
}
