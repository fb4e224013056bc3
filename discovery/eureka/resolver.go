package eureka

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"ensemble/discovery"
)

const (
	// deltaTrusted is how old a list may be to be brought up to date by a delta. A delta
	// holds three minutes; what fell out of it would never be noticed.
	deltaTrusted = 2 * time.Minute
	// lostKept is how long an instance is believed in that the registry no longer lists
	// but never said was gone. A registry that was restarted knows nobody until all have
	// sent a heartbeat.
	lostKept = 90 * time.Second
)

// listing is what a client knows of everybody. It does not change: the next one is made
// from it.
type listing struct {
	at       time.Time
	known    map[key]listed
	services map[string][]discovery.Instance // who wants requests, by names in small letters
	kept     map[string]int                  // of those, whom the registry no longer lists
}

// listed is what a client reads of an instance.
type listed struct {
	ID         string `json:"instanceId"`
	HostName   string `json:"hostName"`
	App        string `json:"app"`
	IPAddr     string `json:"ipAddr"`
	Status     Status `json:"status"`
	Port       Port   `json:"port"`
	SecurePort Port   `json:"securePort"`
	VIP        string `json:"vipAddress"`
	SVIP       string `json:"secureVipAddress"`
	Action     string `json:"actionType"`

	lost time.Time // since when the registry does not list it; zero: it does
}

// Resolve implements discovery.Resolver. A service is found by the name of its
// application or by a virtual address, in whatever case.
func (c *Client) Resolve(ctx context.Context, service string) (discovery.List, error) {
	a, err := c.list.Ask(ctx)
	if err != nil {
		return discovery.List{}, fmt.Errorf("service %s: %w", service, err)
	}
	name := strings.ToLower(service)
	if n := a.Value.kept[name]; n > 0 && a.Trouble == nil {
		a.Trouble = fmt.Errorf("the registry lists %d instances no more without having said that they are gone", n)
	}
	return discovery.NewList(a.Value.services[name], a.Confirmed, a.Trouble), nil
}

// fetch brings what is known up to date.
func (c *Client) fetch(ctx context.Context, last *listing) (*listing, error) {
	if last != nil && time.Since(last.at) < deltaTrusted {
		next, hash, err := c.delta(ctx, last)
		if err != nil || hash == hashOfListed(next) {
			return c.index(next), err
		}
	}
	all, _, err := c.get(ctx, "/apps")
	if err != nil {
		return nil, err
	}
	next := map[key]listed{}
	for _, in := range all {
		next[key{in.App, in.ID}] = in
	}
	if last != nil {
		for k, in := range last.known {
			if _, ok := next[k]; !ok {
				in.lost = firstTime(in.lost, time.Now())
				next[k] = in
			}
		}
	}
	return c.index(next), nil
}

// delta returns what is known with what changed, and the hash of the registry.
func (c *Client) delta(ctx context.Context, last *listing) (next map[key]listed, hash string, err error) {
	changes, hash, err := c.get(ctx, "/apps/delta")
	if err != nil {
		return nil, "", err
	}
	next = maps.Clone(last.known)
	for _, in := range changes {
		if in.Action == deleted {
			delete(next, key{in.App, in.ID})
		} else {
			next[key{in.App, in.ID}] = in
		}
	}
	return next, hash, nil
}

// get asks for a list.
func (c *Client) get(ctx context.Context, path string) (list []listed, hash string, err error) {
	body, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, "", err
	}
	var doc struct {
		Applications *struct {
			Hash string `json:"apps__hashcode"`
			Apps []struct {
				Name      string   `json:"name"`
				Instances []listed `json:"instance"`
			} `json:"application"`
		} `json:"applications"`
	}
	if err := json.Unmarshal(body, &doc, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, "", fmt.Errorf("what the registry answered is no list: %w", plain(err))
	}
	if doc.Applications == nil {
		return nil, "", fmt.Errorf("what the registry answered is no list")
	}
	for _, app := range doc.Applications.Apps {
		for _, in := range app.Instances {
			in.ID, in.App = firstOf(in.ID, in.HostName), app.Name
			list = append(list, in)
		}
	}
	return list, doc.Applications.Hash, nil
}

// hashOfListed is the hash of those that the registry lists.
func hashOfListed(known map[key]listed) string {
	status := map[Status]int{}
	for _, in := range known {
		if in.lost.IsZero() {
			status[in.Status]++
		}
	}
	return hashOf(status)
}

// index makes a listing of what is known, without those who were lost for too long. Of
// nothing it makes nothing.
func (c *Client) index(known map[key]listed) *listing {
	if known == nil {
		return nil
	}
	l := &listing{at: time.Now(), known: known, services: map[string][]discovery.Instance{}, kept: map[string]int{}}
	for k, in := range known {
		if !in.lost.IsZero() && time.Since(in.lost) >= lostKept {
			delete(known, k)
			continue
		}
		instance, ok := c.wanted(in)
		if !ok {
			continue
		}
		called := append(names(strings.ToLower(in.VIP+","+in.SVIP)), strings.ToLower(in.App))
		slices.Sort(called)
		for _, name := range slices.Compact(called) {
			l.services[name] = append(l.services[name], instance)
			if !in.lost.IsZero() {
				l.kept[name]++
			}
		}
	}
	return l
}

// wanted returns where an instance wants requests; false if it wants none, or is where
// none may be sent.
func (c *Client) wanted(in listed) (discovery.Instance, bool) {
	port, secure := in.Port.Number, false
	if bool(!in.Port.Enabled && in.SecurePort.Enabled) {
		port, secure = in.SecurePort.Number, true
	}
	ip, err := netip.ParseAddr(in.IPAddr)
	if in.Status != Up || err != nil || discovery.Reachable(ip) != nil || port < 1 || port > 65535 {
		return discovery.Instance{}, false
	}
	ip = ip.Unmap()
	if len(c.config.Allowed) > 0 && !slices.ContainsFunc(c.config.Allowed, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return discovery.Instance{}, false
	}
	return discovery.Instance{ID: in.ID, Addr: netip.AddrPortFrom(ip, uint16(port)).String(), Secure: secure}, true
}

// firstTime returns the first of two times that is one.
func firstTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}
