package eureka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// The rhythm of an announcement.
const (
	lookEvery = time.Second      // at its own status
	beatEvery = 30 * time.Second // the registry hears of it
	tryAgain  = 5 * time.Second  // after no answer
	leaveTime = 2 * time.Second  // to say goodbye
)

// Registration is what an instance says of itself.
type Registration struct {
	// App is the name of the service, "USER-SERVICE"; in small letters it is the virtual
	// address too.
	App string
	// Addr is where it can be reached. An unspecified address stands for the one from
	// which the registry is reached.
	Addr netip.AddrPort
	// Status is asked each second; a change is told at once. Nil: always Up.
	Status func() Status
	// Metadata is told as it is.
	Metadata map[string]string
}

// announcement is a registration that is kept up.
type announcement struct {
	*Client
	Registration

	status     Status
	dirty      time.Time // since when the registry has to be told
	registered bool      // as far as this side knows
	tried      bool      // the registry may know of it
	next       time.Time // when to speak next
	trouble    string    // why the registry did not listen, last time
}

// Announce registers an instance, keeps it registered, and takes it out when the
// context ends. A registry that does not know it, restarted or after a break, is told
// within a heartbeat; one that can't be reached is tried again every five seconds. It
// returns once the registry was told of the end, or did not listen for two seconds.
func (c *Client) Announce(ctx context.Context, r Registration) {
	a := &announcement{Client: c, Registration: r}
	defer a.leave(context.WithoutCancel(ctx))
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		a.look()
		if !time.Now().Before(a.next) {
			a.note(ctx, a.speak(ctx))
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// look notices a change of the status.
func (a *announcement) look() {
	status := Up
	if a.Status != nil {
		status = a.Status()
	}
	if status != a.status {
		a.status, a.dirty, a.registered, a.next = status, time.Now(), false, time.Now()
	}
}

// speak sends a heartbeat, or the registration if the registry has to hear it.
func (a *announcement) speak(ctx context.Context) error {
	if a.registered {
		beat := fmt.Sprintf("?status=%s&lastDirtyTimestamp=%d", a.status, a.dirty.UnixMilli())
		_, err := a.send(ctx, http.MethodPut, a.path()+beat, nil)
		var no *statusError
		if !errors.As(err, &no) || no.status != http.StatusNotFound {
			return err
		}
		// The registry was restarted, took it for dead, or was told to forget the status. It
		// has to see that this is newer than what it knows.
		a.registered, a.dirty = false, time.Now()
	}
	if a.Addr.Addr().IsUnspecified() {
		ip, err := a.ownAddress(ctx)
		if err != nil {
			return err
		}
		a.Addr = netip.AddrPortFrom(ip, a.Addr.Port())
	}
	body, err := json.Marshal(&envelope{Instance: a.instance()})
	if err != nil {
		return err
	}
	a.tried = true
	_, err = a.send(ctx, http.MethodPost, "/apps/"+url.PathEscape(a.App), body)
	a.registered = err == nil
	return err
}

// note plans the next word, and tells the operator when the registry stops or begins
// to listen.
func (a *announcement) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.next = time.Now().Add(tryAgain)
		if a.trouble == "" {
			a.config.Log.WarnContext(ctx, "the registry does not take this instance; trying on", "app", a.App, "error", err)
		}
		a.trouble = err.Error()
		return
	}
	a.next = time.Now().Add(beatEvery)
	if a.trouble != "" {
		a.config.Log.InfoContext(ctx, "the registry takes this instance again", "app", a.App)
		a.trouble = ""
	}
}

// leave takes the instance out of the registry.
func (a *announcement) leave(ctx context.Context) {
	if !a.tried {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	_, err := a.send(ctx, http.MethodDelete, a.path(), nil)
	var no *statusError
	if err != nil && (!errors.As(err, &no) || no.status != http.StatusNotFound) {
		a.config.Log.WarnContext(ctx, "the registry could not be told that this instance leaves; it will notice", "app", a.App, "error", err)
	}
}

// path is where the registry keeps the instance.
func (a *announcement) path() string {
	return "/apps/" + url.PathEscape(a.App) + "/" + url.PathEscape(a.id())
}

// id is the same after a restart, so that a new process takes the place of a dead one.
func (a *announcement) id() string {
	return fmt.Sprintf("%s:%s:%d", a.Addr.Addr(), strings.ToLower(a.App), a.Addr.Port())
}

// instance is what the registry is told.
func (a *announcement) instance() *Instance {
	base, name := "http://"+a.Addr.String(), strings.ToLower(a.App)
	in := &Instance{
		ID: a.id(), App: a.App, HostName: a.Addr.Addr().String(), IPAddr: a.Addr.Addr().String(), Status: a.status,
		Port: Port{Number: number(a.Addr.Port()), Enabled: true}, SecurePort: Port{Number: 443},
		CountryID: 1, DataCenter: DataCenter{Name: "MyOwn"}, Metadata: a.Metadata,
		HomePage: base + "/", StatusPage: base + "/actuator/info", Health: base + "/actuator/health",
		VIP: name, SVIP: name, Dirty: millis(a.dirty.UnixMilli()), Action: added,
	}
	in.complete()
	in.OlderName = in.Overridden
	return in
}

// ownAddress returns the address from which this machine reaches the registry. Nothing
// is sent.
func (a *announcement) ownAddress(ctx context.Context) (netip.Addr, error) {
	u, err := url.Parse(a.bases[a.good.Load()])
	if err != nil {
		return netip.Addr{}, err
	}
	port := firstOf(u.Port(), "80")
	conn, err := new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the own address: %w", err)
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	p, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return p.Addr().Unmap(), err
}
