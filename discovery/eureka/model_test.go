package eureka_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/discovery/eureka"
)

// javaClient is a model of how Netflix's Java client keeps its list (DiscoveryClient:
// fetchRegistry, updateDelta, reconcileHashCode), down to its habit of taking in the
// whole application of a delta when it meets the first instance of it.
type javaClient struct {
	r     *registry
	apps  map[string]map[string]seen
	fulls int // how often it asked for everything
}

// seen is what a client knows of an instance.
type seen struct{ status, metadata string }

// document is a list as the client reads it.
type document struct {
	Applications struct {
		Hash string `json:"apps__hashcode"`
		Apps []struct {
			Name      string
			Instances []struct {
				ID       string `json:"instanceId"`
				Status   string
				Action   string `json:"actionType"`
				Metadata map[string]string
			} `json:"instance"`
		} `json:"application"`
	}
}

// get reads a list.
func (c *javaClient) get(path string) (d document) {
	if err := json.Unmarshal([]byte(c.r.json(path)), &d); err != nil {
		c.r.Fatalf("%v", err)
	}
	return d
}

// full asks for everything.
func (c *javaClient) full() {
	c.fulls++
	c.apps = everything(c.get("/eureka/apps"))
}

// everything returns a document as what a client knows.
func everything(d document) map[string]map[string]seen {
	apps := map[string]map[string]seen{}
	for _, a := range d.Applications.Apps {
		apps[a.Name] = map[string]seen{}
		for _, i := range a.Instances {
			apps[a.Name][i.ID] = seen{i.Status, fmt.Sprint(i.Metadata)}
		}
	}
	return apps
}

// poll asks for the delta, and for everything if that does not fit.
func (c *javaClient) poll() {
	if c.apps == nil {
		c.full()
		return
	}
	d := c.get("/eureka/apps/delta")
	for _, a := range d.Applications.Apps {
		for _, i := range a.Instances {
			known := c.apps[a.Name] != nil
			switch i.Action {
			case "ADDED", "MODIFIED":
				if !known {
					c.apps[a.Name] = map[string]seen{}
					for _, all := range a.Instances {
						c.apps[a.Name][all.ID] = seen{all.Status, fmt.Sprint(all.Metadata)}
					}
				}
				c.apps[a.Name][i.ID] = seen{i.Status, fmt.Sprint(i.Metadata)}
			case "DELETED":
				if known {
					delete(c.apps[a.Name], i.ID)
					if len(c.apps[a.Name]) == 0 {
						delete(c.apps, a.Name)
					}
				}
			default:
				c.r.Fatalf("action %q", i.Action)
			}
		}
	}
	if c.hash() != d.Applications.Hash {
		c.full()
	}
}

// hash counts the statuses of what the client knows.
func (c *javaClient) hash() (hash string) {
	count := map[string]int{}
	for _, app := range c.apps {
		for _, i := range app {
			count[i.status]++
		}
	}
	for _, status := range slices.Sorted(maps.Keys(count)) {
		hash += fmt.Sprintf("%s_%d_", status, count[status])
	}
	return hash
}

// believed is a model of the registry: what it should believe of an instance.
type believed struct {
	status, order string // as the registry shows them
	renewed       time.Time
}

// world is the registry, its model, and clients that poll it each at their own times.
type world struct {
	*registry
	model   map[string]*believed // by "APP/id"
	clients []*javaClient
	polled  []time.Time
}

// TestClientsOfTheDeltaEndWithTheWholeRegistry takes thousands of random steps and
// compares after each what every client knows with the full list, and that with the
// model.
func TestClientsOfTheDeltaEndWithTheWholeRegistry(t *testing.T) {
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		moves := rapid.SliceOfN(rapid.Custom(drawMove), 20, 120).Draw(rt, "moves")
		wrong := ""
		synctest.Test(t, func(*testing.T) {
			defer func() {
				if r, ok := recover().(failure); ok {
					wrong = string(r)
				}
			}()
			w := &world{
				registry: newRegistry(failure(""), eureka.ServerConfig{Preserve: eureka.PreserveNever}),
				model:    map[string]*believed{}, polled: make([]time.Time, 3),
			}
			for range w.polled {
				w.clients = append(w.clients, &javaClient{r: w.registry})
			}
			for _, m := range moves {
				w.step(m)
				steps++
			}
			for _, c := range w.clients {
				if c.fulls > 1 {
					w.Fatalf("a client asked for everything %d times: the delta did not fit", c.fulls)
				}
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
	if steps < 2000 {
		t.Errorf("only %d steps", steps)
	}
}

// failure carries what is wrong out of the bubble in which time is made up.
type failure string

func (failure) Helper() {}

func (failure) Errorf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (failure) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// move is one random step.
type move struct {
	what    string
	app, id string
	status  string
	wait    time.Duration
	client  int
}

// drawMove draws a step.
func drawMove(t *rapid.T) move {
	status := rapid.SampledFrom([]string{"UP", "UP", "UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"})
	return move{
		what:   rapid.SampledFrom([]string{"register", "register", "register", "renew", "renew", "cancel", "order", "take back", "describe", "describe", "a while"}).Draw(t, "what"),
		app:    rapid.SampledFrom([]string{"A", "B"}).Draw(t, "app"),
		id:     rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "id"),
		status: status.Draw(t, "status"),
		wait:   rapid.SampledFrom([]time.Duration{0, 0, time.Second, 20 * time.Second, 50 * time.Second}).Draw(t, "wait"),
		client: rapid.IntRange(0, 2).Draw(t, "client"),
	}
}

// wait lets time pass, in which leases end.
func (w *world) wait(d time.Duration) {
	time.Sleep(d)
	for name, b := range w.model {
		if time.Since(b.renewed) >= 90*time.Second {
			delete(w.model, name)
		}
	}
}

// step makes a move in the registry and in the model, lets a client poll, and compares.
func (w *world) step(m move) {
	w.wait(m.wait)
	name := m.app + "/" + m.id
	path, b := "/eureka/apps/"+name, w.model[name]
	found := http.StatusOK
	if b == nil {
		found = http.StatusNotFound
	}
	switch m.what {
	case "register":
		w.register(m.app, m.id, `"status":"`+m.status+`"`)
		now := &believed{status: m.status, order: "UNKNOWN", renewed: time.Now()}
		if b != nil {
			now.order = b.order
		}
		if now.order != "UNKNOWN" && (m.status == "UP" || m.status == "OUT_OF_SERVICE") {
			now.status = now.order
		}
		w.model[name] = now
	case "renew":
		if b != nil && b.status == "UNKNOWN" {
			found = http.StatusNotFound
		} else if b != nil {
			b.renewed = time.Now()
		}
		w.wants(found, http.MethodPut, path, "")
	case "cancel":
		w.wants(found, http.MethodDelete, path, "")
		delete(w.model, name)
	case "order", "take back":
		method, order := http.MethodPut, m.status
		if m.what == "take back" {
			method, order = http.MethodDelete, "UNKNOWN"
		}
		w.wants(found, method, path+"/status?value="+m.status, "")
		if b != nil {
			b.renewed = time.Now()
			if order != "UNKNOWN" || b.order != "UNKNOWN" {
				b.status, b.order = m.status, order
			}
		}
	case "a while": // in which the delta runs empty, and everybody stays
		for range 7 {
			w.wait(30 * time.Second)
			for name, b := range w.model {
				if b.status != "UNKNOWN" {
					w.wants(http.StatusOK, http.MethodPut, "/eureka/apps/"+name, "")
					b.renewed = time.Now()
				}
			}
			w.poll(m)
		}
	case "describe":
		w.wants(found, http.MethodPut, path+"/metadata?k="+fmt.Sprint(time.Now().UnixMilli()), "")
	}
	w.poll(m)
}

// poll lets the client of a move poll, and those that have not for long, as clients
// come at least once in three minutes.
func (w *world) poll(m move) {
	full := everything(w.clients[0].get("/eureka/apps"))
	for i, c := range w.clients {
		if i != m.client && time.Since(w.polled[i]) < 2*time.Minute {
			continue
		}
		w.polled[i] = time.Now()
		c.poll()
		if got, want := fmt.Sprint(c.apps), fmt.Sprint(full); got != want {
			w.Fatalf("after %+v client %d knows\n%s, but there is\n%s", m, i, got, want)
		}
	}
	var shown, modelled []string
	for app, instances := range full {
		for id, i := range instances {
			shown = append(shown, app+"/"+id+" "+i.status)
		}
	}
	for name, b := range w.model {
		modelled = append(modelled, name+" "+b.status)
	}
	slices.Sort(shown)
	slices.Sort(modelled)
	if got, want := strings.Join(shown, "\n"), strings.Join(modelled, "\n"); got != want {
		w.Fatalf("after %+v there is\n%s, but the model says\n%s", m, got, want)
	}
}
