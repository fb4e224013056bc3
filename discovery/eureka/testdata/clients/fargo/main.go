// Command fargo is a client of the registry at its first argument, by hudl/fargo: it
// registers, is found, changes, beats and leaves, in both forms of the protocol.
package main

import (
	"fmt"
	"os"

	"github.com/hudl/fargo"
)

func main() {
	for _, asJSON := range []bool{false, true} {
		if err := live(os.Args[1], asJSON); err != nil {
			fmt.Fprintf(os.Stderr, "JSON %v: %v\n", asJSON, err)
			os.Exit(1)
		}
	}
}

// live goes through the life of an instance.
func live(url string, asJSON bool) error {
	c := fargo.NewConn(url)
	c.UseJson = asJSON
	in := &fargo.Instance{
		InstanceId: "fargo-1", HostName: "127.0.0.1", IPAddr: "127.0.0.1", App: "FARGO-SERVICE",
		VipAddress: "fargo", SecureVipAddress: "fargo-safe", Status: fargo.UP,
		Port: 8080, PortEnabled: true, SecurePort: 8443,
		DataCenterInfo: fargo.DataCenterInfo{Name: fargo.MyOwn},
		LeaseInfo:      fargo.LeaseInfo{RenewalIntervalInSecs: 30, DurationInSecs: 90},
		UniqueID:       func(i fargo.Instance) string { return i.InstanceId },
	}
	in.SetMetadataString("zone", "a")
	if err := c.RegisterInstance(in); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := c.HeartBeatInstance(in); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	if err := c.AddMetadataString(in, "added", "later"); err != nil {
		return fmt.Errorf("add metadata: %w", err)
	}
	if err := c.UpdateInstanceStatus(in, fargo.OUTOFSERVICE); err != nil {
		return fmt.Errorf("update status: %w", err)
	}
	apps, err := c.GetApps()
	if err != nil || apps["FARGO-SERVICE"] == nil || len(apps["FARGO-SERVICE"].Instances) != 1 {
		return fmt.Errorf("get apps: %v %w", apps, err)
	}
	got := apps["FARGO-SERVICE"].Instances[0]
	zone, err := got.Metadata.GetString("zone")
	if err != nil {
		return fmt.Errorf("read metadata: %w", err)
	}
	if got.Port != 8080 || !got.PortEnabled || got.SecurePortEnabled || zone != "a" || got.Status != fargo.OUTOFSERVICE || got.Overriddenstatus != fargo.OUTOFSERVICE {
		return fmt.Errorf("what was registered came back as %+v", got)
	}
	if _, err := c.GetApp("fargo-service"); err != nil {
		return fmt.Errorf("get app: %w", err)
	}
	if one, err := c.GetInstance("FARGO-SERVICE", "fargo-1"); err != nil || one.HostName != "127.0.0.1" {
		return fmt.Errorf("get instance: %+v %w", one, err)
	}
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "fargo", true: "fargo-safe"}[secure]
		if list, err := c.GetInstancesByVIPAddress(name, secure); err != nil || len(list) != 1 {
			return fmt.Errorf("get by name %s: %v %w", name, list, err)
		}
	}
	if err := c.DeregisterInstance(in); err != nil {
		return fmt.Errorf("deregister: %w", err)
	}
	if err := c.HeartBeatInstance(in); err == nil {
		return fmt.Errorf("a heartbeat after leaving was answered well")
	}
	return nil
}
