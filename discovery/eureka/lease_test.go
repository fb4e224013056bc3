package eureka_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/discovery/eureka"
)

// fleet registers so many instances, 1 s apart as real ones are, and returns what sends
// the heartbeats of those from a number on for so long.
func fleet(r *registry, n int) (beat func(from int, length time.Duration)) {
	for i := range n {
		r.register("FLEET", fmt.Sprint(i))
		time.Sleep(time.Second)
	}
	return func(from int, length time.Duration) {
		for end := time.Now().Add(length); time.Now().Before(end); {
			for i := range n {
				if i >= from {
					r.call(http.MethodPut, fmt.Sprint("/eureka/apps/FLEET/", i), "")
				}
				time.Sleep(30 * time.Second / time.Duration(n))
				r.instances("/eureka/apps/delta") // somebody always looks
			}
		}
	}
}

// TestWhoIsSilentIsGoneAtNinetySeconds, not before and not after.
func TestWhoIsSilentIsGoneAtNinetySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, eureka.ServerConfig{})
		r.register("USER", "a")
		r.register("USER", "brief", `"leaseInfo":{"renewalIntervalInSecs":3,"durationInSecs":9}`)
		time.Sleep(9*time.Second - time.Millisecond)
		r.shows("/eureka/apps", "UP_2_", "USER/a UP ADDED", "USER/brief UP ADDED")
		time.Sleep(time.Millisecond)
		r.shows("/eureka/apps", "UP_1_", "USER/a UP ADDED")
		time.Sleep(51 * time.Second)
		r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/USER/a", "")
		time.Sleep(90*time.Second - time.Millisecond)
		r.shows("/eureka/apps", "UP_1_", "USER/a UP ADDED")
		time.Sleep(time.Millisecond)
		r.shows("/eureka/apps", "")
		r.shows("/eureka/apps/delta", "", "USER/brief UP DELETED", "USER/a UP DELETED")
		r.wants(http.StatusNotFound, http.MethodPut, "/eureka/apps/USER/a", "")
	})
}

// TestWhenSilenceIsTheRegistrys is self-preservation: fleets of several sizes fall
// silent as a whole or in part.
func TestWhenSilenceIsTheRegistrys(t *testing.T) {
	for _, c := range []struct {
		says     string
		preserve eureka.Preserve
		n, dead  int
		after    time.Duration
		left     int
	}{
		{"nine that are cut off are gone", eureka.PreserveLarge, 9, 9, 2 * time.Minute, 0},
		{"ten that are cut off are kept", eureka.PreserveLarge, 10, 10, 30 * time.Minute, 10},
		{"but not for ever", eureka.PreserveLarge, 10, 10, 62 * time.Minute, 0},
		{"one dead of ten is gone", eureka.PreserveLarge, 10, 1, 2 * time.Minute, 9},
		{"three of twenty are gone", eureka.PreserveLarge, 20, 3, 2 * time.Minute, 17},
		{"four of twenty are kept", eureka.PreserveLarge, 20, 4, 10 * time.Minute, 20},
		{"one dead of two is gone", eureka.PreserveLarge, 2, 1, 2 * time.Minute, 1},
		{"by Netflix's rule it is kept for ever", eureka.PreserveAlways, 2, 1, 5 * time.Hour, 2},
		{"by Netflix's rule one of seven is gone", eureka.PreserveAlways, 7, 1, 2 * time.Minute, 6},
		{"by no rule all are gone", eureka.PreserveNever, 20, 20, 2 * time.Minute, 0},
	} {
		t.Run(c.says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry(t, eureka.ServerConfig{Preserve: c.preserve})
				beat := fleet(r, c.n)
				beat(0, time.Minute)
				beat(c.dead, c.after)
				if got := r.instances("/eureka/apps"); len(got.rows) != c.left {
					t.Errorf("%d are left, want %d: %v", len(got.rows), c.left, got.rows)
				}
			})
		})
	}
}

// TestWhoComesBackEndsThePreserving: then the one that is really dead goes.
func TestWhoComesBackEndsThePreserving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, eureka.ServerConfig{})
		beat := fleet(r, 12)
		beat(0, time.Minute)
		beat(12, 10*time.Minute)
		if got := len(r.instances("/eureka/apps").rows); got != 12 {
			t.Fatalf("%d are left while all are silent", got)
		}
		beat(1, time.Minute)
		if got := r.instances("/eureka/apps"); len(got.rows) != 11 || r.call(http.MethodPut, "/eureka/apps/FLEET/0", "").Code != http.StatusNotFound {
			t.Errorf("after the others are back: %v", got.rows)
		}
	})
}
