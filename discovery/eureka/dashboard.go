package eureka

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

// mostRows is how many instances of a service the page shows.
const mostRows = 200

// policy lets the page load nothing but its own style and script, which are no part of
// it: whatever an instance calls itself can't become either.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is what the dashboard shows.
type page struct {
	Host       string // by which the browser knows the registry
	Running    string
	Count, Up  int
	Preserving bool
	Services   []service
	Events     []event
}

// service is the instances of one name.
type service struct {
	Name  string
	Count int
	Up    int
	Rows  []row
	More  int // that are not shown
}

// row is an instance. Times are for people: "3 min".
type row struct {
	Name, ID, Address string
	Home              string // a link, if it leads to the instance's own address
	Status            Status
	Class             string // of the badge
	Ordered, Late     bool
	Heard             string
	Left, Duration    int // percent of the lease; seconds
	Since, SinceUTC   string
	Metadata          []entry
}

// entry is one of an instance's metadata.
type entry struct{ Key, Value string }

// event is something that happened.
type event struct{ Ago, UTC, App, ID, What string }

// dashboard answers requests for the page and its parts.
func (s *Server) dashboard(w http.ResponseWriter, r *http.Request) {
	var body []byte
	var err error
	if r.URL.Path == "/" {
		body, err = s.page(r.Host)
	} else {
		body, err = web.ReadFile("web" + strings.TrimPrefix(r.URL.Path, "/dashboard"))
	}
	if err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", mime.TypeByExtension(firstOf(path.Ext(r.URL.Path), ".html")))
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(body) //nolint:gosec // html/template made it; if the browser has gone, nobody is left to tell
}

// page renders the page as it is now.
func (s *Server) page(host string) ([]byte, error) {
	t, err := template.ParseFS(web, "web/page.html")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	p := page{Host: host, Running: ago(now.Sub(s.registry.started))}
	var events []Event
	events, p.Preserving = s.registry.lately()
	for _, e := range events {
		p.Events = append(p.Events, event{ago(now.Sub(e.At)), utc(e.At), e.App, e.ID, e.What})
	}
	for _, app := range s.registry.all(func(*Instance) bool { return true }).Apps {
		one := service{Name: app.Name, Count: len(app.Instances), Rows: make([]row, 0, len(app.Instances))}
		for _, in := range app.Instances {
			p.Count++
			if in.Status == Up {
				one.Up++
				p.Up++
			}
			one.Rows = append(one.Rows, rowOf(&in, now))
		}
		// Who needs a look comes first.
		slices.SortStableFunc(one.Rows, func(a, b row) int { return cmp.Compare(rank(a), rank(b)) })
		if len(one.Rows) > mostRows {
			one.More = len(one.Rows) - mostRows
			one.Rows = one.Rows[:mostRows]
		}
		p.Services = append(p.Services, one)
	}
	var b bytes.Buffer
	err = t.Execute(&b, p)
	return b.Bytes(), err
}

// rank puts those that are not up, and those that are late, before the others.
func rank(r row) int {
	switch {
	case r.Status != Up:
		return 0
	case r.Late:
		return 1
	}
	return 2
}

// rowOf returns what is shown of an instance.
func rowOf(in *Instance, now time.Time) row {
	heard := now.Sub(time.UnixMilli(int64(in.Lease.Renewed)))
	duration := time.Duration(in.Lease.Duration) * time.Second
	r := row{
		Name: in.App + " " + in.ID, ID: in.ID, Status: in.Status, Class: classOf(in.Status),
		Address: net.JoinHostPort(in.IPAddr, fmt.Sprint(in.Port.Number)), Home: homeOf(in), Ordered: in.Overridden != Unknown,
		Heard: ago(heard), Left: int(max(0, min(100, 100-100*heard/duration))), Duration: int(in.Lease.Duration),
		Late: heard >= max(duration/2, time.Duration(in.Lease.Renewal)*time.Second*3/2),
	}
	if in.Lease.ServiceUp > 0 {
		up := time.UnixMilli(int64(in.Lease.ServiceUp))
		r.Since, r.SinceUTC = ago(now.Sub(up)), utc(up)
	}
	for _, key := range sortedKeys(in.Metadata) {
		r.Metadata = append(r.Metadata, entry{key, in.Metadata[key]})
	}
	return r
}

// homeOf returns the page that an instance names, if it is at the instance itself.
func homeOf(in *Instance) string {
	u, err := url.Parse(in.HomePage)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() != in.IPAddr && u.Hostname() != in.HostName {
		return ""
	}
	return u.String()
}

// classOf returns how a status looks.
func classOf(s Status) string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	case Starting:
		return "starting"
	case OutOfService, Unknown:
	}
	return "out"
}

// ago says how long something takes in one unit.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", max(0, d)/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// utc writes a time for those who want it exactly.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
