package eureka_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/discovery/eureka"
)

// leased is an instance as the list of the model has it.
type leased struct {
	id              string
	status, order   string
	renewal, length time.Duration
	heard           time.Time
	dirty           int64
}

// ledger is the registry by brute force: a list that is looked through at every step,
// and rules that are written as they are told.
type ledger struct {
	preserve eureka.Preserve
	list     []*leased
	kept     map[string]bool // whom the rule against a broken network saved at least once
	saved    bool            // somebody is being saved
}

// find returns an instance, or nil.
func (l *ledger) find(id string) *leased {
	for _, i := range l.list {
		if i.id == id {
			return i
		}
	}
	return nil
}

// expire lets go of those whose lease has ended, unless too many are silent.
func (l *ledger) expire() {
	silent := 0
	for _, i := range l.list {
		if quiet := time.Since(i.heard); quiet >= i.length/2 && 2*quiet >= 3*i.renewal {
			silent++
		}
	}
	broken := silent*100 > len(l.list)*15
	switch l.preserve {
	case eureka.PreserveLarge:
		broken = broken && len(l.list) >= 10
	case eureka.PreserveNever:
		broken = false
	case eureka.PreserveAlways:
	}
	l.saved = false
	l.list = slices.DeleteFunc(l.list, func(i *leased) bool {
		over := time.Since(i.heard) >= i.length
		if over && broken && (l.preserve == eureka.PreserveAlways || time.Since(i.heard) < time.Hour) {
			l.kept[i.id], l.saved = true, true
			return false
		}
		return over
	})
}

// shown is what the registry should list.
func (l *ledger) shown() (rows []string, hash string) {
	count := map[string]int{}
	for _, i := range l.list {
		rows = append(rows, i.id+" "+i.status)
		count[i.status]++
	}
	slices.Sort(rows)
	for _, status := range []string{"DOWN", "OUT_OF_SERVICE", "STARTING", "UNKNOWN", "UP"} {
		if count[status] > 0 {
			hash += fmt.Sprintf("%s_%d_", status, count[status])
		}
	}
	return rows, hash
}

// doing is one random step.
type doing struct {
	What            string
	ID              int
	Status          string
	Renewal, Length int
	Dirty           int64
	Wait            time.Duration
}

// drawDoing draws a step; most of them are heartbeats of everybody but a few, so that
// fleets grow and parts of them fall silent.
func drawDoing(t *rapid.T) doing {
	return doing{
		What:    rapid.SampledFrom([]string{"register", "register", "register", "fleet", "renew", "all renew", "all renew", "most renew", "cancel", "order", "take back", "wait"}).Draw(t, "what"),
		ID:      rapid.IntRange(0, 15).Draw(t, "id"),
		Status:  rapid.SampledFrom([]string{"UP", "UP", "UP", "UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"}).Draw(t, "status"),
		Renewal: rapid.SampledFrom([]int{30, 30, 5, 60}).Draw(t, "renewal"),
		Length:  rapid.SampledFrom([]int{90, 90, 1, 15, 300}).Draw(t, "length"),
		Dirty:   rapid.Int64Range(1, 9).Draw(t, "dirty"),
		Wait: rapid.SampledFrom([]time.Duration{
			0, 0, time.Millisecond, time.Second, 10 * time.Second, 29 * time.Second, 45 * time.Second, 89999 * time.Millisecond, 90 * time.Second, 40 * time.Minute,
		}).Draw(t, "wait"),
	}
}

// TestTheRegistryAgainstAListOfLeases takes random steps of random length in time with
// random leases, under each rule of preserving. After each the registry lists exactly
// whom the brute force has, with the hash that it counts, and answers as it would.
func TestTheRegistryAgainstAListOfLeases(t *testing.T) {
	kept, largest := map[eureka.Preserve]int{}, 0
	rapid.Check(t, func(rt *rapid.T) {
		preserve := rapid.SampledFrom([]eureka.Preserve{eureka.PreserveNever, eureka.PreserveLarge, eureka.PreserveAlways}).Draw(rt, "preserve")
		steps := rapid.SliceOfN(rapid.Custom(drawDoing), 8, 20).Draw(rt, "steps")
		wrong := ""
		synctest.Test(t, func(*testing.T) {
			defer func() {
				if r, ok := recover().(failure); ok {
					wrong = string(r)
				}
			}()
			r := newRegistry(failure(""), eureka.ServerConfig{Preserve: preserve})
			l := &ledger{preserve: preserve, kept: map[string]bool{}}
			for _, s := range steps {
				time.Sleep(s.Wait)
				r.instances("/eureka/vips/nobody") // both look at the same moment
				l.expire()
				r.both(l, s)
				r.agrees(l, s)
				largest = max(largest, len(l.list))
			}
			kept[preserve] += len(l.kept)
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
	if kept[eureka.PreserveNever] > 0 || kept[eureka.PreserveLarge] == 0 || kept[eureka.PreserveAlways] == 0 || largest < 12 {
		t.Errorf("so many were kept: %v; the largest fleet had %d", kept, largest)
	}
}

// agrees compares what is listed.
func (r *registry) agrees(l *ledger, s doing) {
	if l.saved {
		time.Sleep(time.Second) // so often it looks whether the network is back
	}
	l.expire()
	rows, hash := l.shown()
	got := r.instances("/eureka/apps")
	for i, row := range got.rows {
		got.rows[i] = strings.TrimPrefix(row[:strings.LastIndexByte(row, ' ')], "A/")
	}
	slices.Sort(got.rows)
	if !slices.Equal(rows, got.rows) || got.hash != hash {
		r.Fatalf("after %+v there are %v with hash %s, the model has %v with %s", s, got.rows, got.hash, rows, hash)
	}
}

// both takes a step in the registry and in the model.
func (r *registry) both(l *ledger, s doing) {
	id := fmt.Sprint("i", s.ID)
	path, i := "/eureka/apps/A/"+id, l.find(id)
	answer := http.StatusOK
	if i == nil {
		answer = http.StatusNotFound
	}
	switch s.What {
	case "register":
		r.register("A", id, fmt.Sprintf(`"status":%q,"lastDirtyTimestamp":%d,"leaseInfo":{"renewalIntervalInSecs":%d,"durationInSecs":%d}`, s.Status, s.Dirty, s.Renewal, s.Length))
		l.register(id, s)
	case "fleet":
		for n := range 12 {
			one := doing{Status: "UP", Renewal: 30, Length: 90, Dirty: s.Dirty}
			r.register("A", fmt.Sprint("i", n), fmt.Sprintf(`"lastDirtyTimestamp":%d`, s.Dirty))
			l.register(fmt.Sprint("i", n), one)
		}
	case "renew":
		r.wants(l.renew(i, s.Dirty), http.MethodPut, fmt.Sprint(path, "?lastDirtyTimestamp=", s.Dirty), "")
	case "all renew", "most renew":
		for at, one := range slices.Clone(l.list) {
			if s.What == "all renew" || (at+s.ID)%4 != 0 {
				r.wants(l.renew(one, 0), http.MethodPut, "/eureka/apps/A/"+one.id, "")
			}
		}
	case "cancel":
		r.wants(answer, http.MethodDelete, path, "")
		l.list = slices.DeleteFunc(l.list, func(one *leased) bool { return one == i })
	case "order", "take back":
		method, order := http.MethodPut, s.Status
		if s.What == "take back" {
			method, order = http.MethodDelete, "UNKNOWN"
		}
		r.wants(answer, method, fmt.Sprint(path, "/status?value=", s.Status, "&lastDirtyTimestamp=", s.Dirty), "")
		if i == nil {
			break
		}
		i.heard = time.Now()
		if (order != "UNKNOWN" || i.order != "UNKNOWN") && (order != i.order || s.Status != i.status) {
			i.order, i.status, i.dirty = order, s.Status, max(i.dirty, s.Dirty)
		}
	}
}

// register is what a registration means: an overtaken one is only a heartbeat.
func (l *ledger) register(id string, s doing) {
	i := l.find(id)
	if i == nil {
		i = &leased{id: id, order: "UNKNOWN"}
		l.list = append(l.list, i)
	}
	i.heard = time.Now()
	if i.dirty > s.Dirty && i.status != "UNKNOWN" {
		return
	}
	i.status, i.dirty = s.Status, s.Dirty
	i.renewal, i.length = time.Duration(s.Renewal)*time.Second, time.Duration(s.Length)*time.Second
	if i.order != "UNKNOWN" && (s.Status == "UP" || s.Status == "OUT_OF_SERVICE") {
		i.status = i.order
	}
}

// renew is what a heartbeat means, and its answer.
func (l *ledger) renew(i *leased, dirty int64) int {
	if i == nil || i.status == "UNKNOWN" {
		return http.StatusNotFound
	}
	i.heard = time.Now()
	if dirty > i.dirty {
		return http.StatusNotFound
	}
	return http.StatusOK
}

// TestNobodyStaysUnknown: an operator takes an order back, with a time that is ahead of
// the instance's. Its next heartbeat is 404, it registers, and is there again, though
// the registry knows something newer.
func TestNobodyStaysUnknown(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("A", "a", `"lastDirtyTimestamp":5`)
	r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/A/a/status?value=DOWN&lastDirtyTimestamp=9", "")
	r.wants(http.StatusOK, http.MethodDelete, "/eureka/apps/A/a/status?lastDirtyTimestamp=9", "")
	r.shows("/eureka/apps", "UNKNOWN_1_", "A/a UNKNOWN MODIFIED")
	r.wants(http.StatusNotFound, http.MethodPut, "/eureka/apps/A/a?lastDirtyTimestamp=5", "")
	r.register("A", "a", `"lastDirtyTimestamp":5`)
	r.shows("/eureka/apps", "UP_1_", "A/a UP ADDED")
	r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/A/a?lastDirtyTimestamp=5", "")
}

// TestWhoLeavesTakesTheOrderAlong: the next one of the same name begins anew.
func TestWhoLeavesTakesTheOrderAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, how := range []string{"goodbye", "silence"} {
			r := newRegistry(t, eureka.ServerConfig{})
			r.register("A", "a", `"lastDirtyTimestamp":9`)
			r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/A/a/status?value=OUT_OF_SERVICE", "")
			if how == "silence" {
				time.Sleep(90 * time.Second)
			} else {
				r.wants(http.StatusOK, http.MethodDelete, "/eureka/apps/A/a", "")
			}
			r.register("A", "a", `"lastDirtyTimestamp":1`) // by another clock
			r.shows("/eureka/apps", "UP_1_", "A/a UP ADDED")
			r.shows("/eureka/apps/delta", "UP_1_", "A/a UP ADDED")
		}
	})
}

// TestAnOrderIsNotSpokenByTheInstance: what it registers while an order is in force is
// remembered by nobody, so taking the order back for UP names the status until it
// registers again.
func TestAnOrderIsNotSpokenByTheInstance(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	r.register("A", "a")
	for _, c := range []struct{ method, query, hash string }{
		{"PUT", "?value=STARTING", "STARTING_1_"},
		{"PUT", "?value=STARTING", "STARTING_1_"},
		{"PUT", "?value=out_of_service", "OUT_OF_SERVICE_1_"},
		{"DELETE", "?value=DOWN", "DOWN_1_"},
		{"DELETE", "?value=UP", "DOWN_1_"}, // there is nothing to take back
		{"PUT", "?value=UNKNOWN", "DOWN_1_"},
		{"PUT", "?value=DOWN", "DOWN_1_"}, // as it is, but now ordered
		{"DELETE", "", "UNKNOWN_1_"},
		{"PUT", "?value=UP", "UP_1_"},
		{"PUT", "?value=UNKNOWN", "UNKNOWN_1_"},
	} {
		r.wants(http.StatusOK, c.method, "/eureka/apps/A/a/status"+c.query, "")
		if got := r.instances("/eureka/apps").hash; got != c.hash {
			t.Errorf("%s %s: %s, want %s", c.method, c.query, got, c.hash)
		}
	}
}

// TestTheNumberOfTheDeltaGrowsWithEachChange, and with nothing else.
func TestTheNumberOfTheDeltaGrowsWithEachChange(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{})
	version := func() (n int) {
		got := r.json("/eureka/apps/delta")
		if _, err := fmt.Sscanf(got, `{"applications":{"versions__delta":"%d"`, &n); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		return n
	}
	for _, c := range []struct {
		method, path string
		grows        int
	}{
		{"POST", "/eureka/apps/A", 1},
		{"PUT", "/eureka/apps/A/a", 0},
		{"POST", "/eureka/apps/A", 1},
		{"GET", "/eureka/apps", 0},
		{"PUT", "/eureka/apps/A/a/status?value=DOWN", 1},
		{"PUT", "/eureka/apps/A/a/status?value=DOWN", 0},
		{"PUT", "/eureka/apps/A/a/metadata?k=v", 1},
		{"DELETE", "/eureka/apps/A/a/status?value=DOWN", 1},
		{"DELETE", "/eureka/apps/A/b", 0},
		{"DELETE", "/eureka/apps/A/a", 1},
		{"DELETE", "/eureka/apps/A/a", 0},
	} {
		before, body := version(), ""
		if c.method == http.MethodPost {
			body = registration("A", "a")
		}
		r.call(c.method, c.path, body)
		if got := version() - before; got != c.grows {
			t.Errorf("%s %s: the number grows by %d, want %d", c.method, c.path, got, c.grows)
		}
	}
}
