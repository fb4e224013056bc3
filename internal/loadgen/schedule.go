package loadgen

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// Schedule says when the requests of an open load are due. The times are fixed
// before the first is sent: no answer, however late, moves them.
type Schedule struct {
	Rate     Rate          // arrivals a second, once ramped up
	Ramp     time.Duration // from 0 to Rate in a straight line
	Warmup   time.Duration // at Rate; sent and checked, but not measured
	Duration time.Duration // at Rate; measured
	// Constant spaces arrivals evenly. Otherwise they are a Poisson process, as
	// of many clients who know nothing of each other.
	Constant bool
}

// measured returns when measuring begins and ends, from the start.
func (s Schedule) measured() (from, to time.Duration) {
	from = s.Ramp + s.Warmup
	return from, from + s.Duration
}

// times yields when requests are due, from the start, ascending; the same for the
// same seed.
func (s Schedule) times(seed uint64) iter.Seq[time.Duration] {
	rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable on purpose
	_, end := s.measured()
	return func(yield func(time.Duration) bool) {
		for n := 0.0; ; {
			if !s.Constant {
				n += rnd.ExpFloat64()
			}
			due := s.due(n)
			if due >= end || !yield(due) {
				return
			}
			if s.Constant {
				n++
			}
		}
	}
}

// due returns when n requests are expected to have arrived. With the ramp r that
// number is rate·t²/2r until r and rate·(t−r/2) from then on; this is the inverse.
// An even process of rate 1 stretched by it has the schedule's rate at each moment.
func (s Schedule) due(n float64) time.Duration {
	rate, ramp := float64(s.Rate), s.Ramp.Seconds()
	if n < rate*ramp/2 {
		return seconds(math.Sqrt(2 * ramp * n / rate))
	}
	return seconds(n/rate + ramp/2)
}

// seconds returns a duration to the nanosecond.
func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
