package eureka

import (
	"encoding/xml"
	"strings"
)

// Status is what an instance says of itself, or an operator of it.
type Status string

// The five statuses of the protocol. Requests go to those that are Up.
const (
	Up           Status = "UP"
	Down         Status = "DOWN"
	Starting     Status = "STARTING"
	OutOfService Status = "OUT_OF_SERVICE"
	Unknown      Status = "UNKNOWN"
)

// known says whether a status is one of the five.
func (s Status) known() bool {
	switch s {
	case Up, Down, Starting, OutOfService, Unknown:
		return true
	}
	return false
}

// The actions of the protocol: what happened last to an instance.
const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
)

// Instance is one instance as the protocol shows it, in JSON and in XML. Members
// without a word here mean what their names say.
type Instance struct {
	XMLName xml.Name `json:"-" xml:"instance"`

	ID       string `json:"instanceId" xml:"instanceId"` // unique within its application
	HostName string `json:"hostName" xml:"hostName"`
	App      string `json:"app" xml:"app"` // in capitals
	IPAddr   string `json:"ipAddr" xml:"ipAddr"`
	Status   Status `json:"status" xml:"status"`
	// Overridden is the status that an operator ordered, or Unknown. Clients of
	// different ages read and write the one or the other name.
	Overridden Status `json:"overriddenStatus" xml:"overriddenstatus"`
	OlderName  Status `json:"overriddenstatus" xml:"overriddenStatus,omitempty"`
	Port       Port   `json:"port" xml:"port"`
	SecurePort Port   `json:"securePort" xml:"securePort"`

	CountryID  number     `json:"countryId" xml:"countryId"`
	DataCenter DataCenter `json:"dataCenterInfo" xml:"dataCenterInfo"`
	Lease      Lease      `json:"leaseInfo" xml:"leaseInfo"`
	Metadata   Metadata   `json:"metadata" xml:"metadata"`

	AppGroup    string `json:"appGroupName,omitempty" xml:"appGroupName,omitempty"`
	HomePage    string `json:"homePageUrl,omitempty" xml:"homePageUrl,omitempty"`
	StatusPage  string `json:"statusPageUrl,omitempty" xml:"statusPageUrl,omitempty"`
	Health      string `json:"healthCheckUrl,omitempty" xml:"healthCheckUrl,omitempty"`
	SafeHealth  string `json:"secureHealthCheckUrl,omitempty" xml:"secureHealthCheckUrl,omitempty"`
	VIP         string `json:"vipAddress,omitempty" xml:"vipAddress,omitempty"`             // names, with commas between
	SVIP        string `json:"secureVipAddress,omitempty" xml:"secureVipAddress,omitempty"` // the same, for TLS
	SID         string `json:"sid,omitempty" xml:"sid,omitempty"`
	ScaleGroup  string `json:"asgName,omitempty" xml:"asgName,omitempty"`
	Coordinates truth  `json:"isCoordinatingDiscoveryServer" xml:"isCoordinatingDiscoveryServer"` // is a registry itself

	Updated millis `json:"lastUpdatedTimestamp" xml:"lastUpdatedTimestamp"` // by the registry
	Dirty   millis `json:"lastDirtyTimestamp" xml:"lastDirtyTimestamp"`     // by the instance
	Action  string `json:"actionType" xml:"actionType"`
}

// Port is a port and whether it is served.
type Port struct {
	Number  number `json:"$" xml:",chardata"`
	Enabled truth  `json:"@enabled" xml:"enabled,attr"`
}

// DataCenter is where an instance runs. The class is one of two that every client has:
// what a client sends is not repeated, as others would make objects of it.
type DataCenter struct {
	Class    string   `json:"@class" xml:"class,attr"`
	Name     string   `json:"name" xml:"name"`
	Metadata Metadata `json:"metadata,omitzero" xml:"metadata,omitempty"`
}

// Lease is how long an instance is believed to be there. Times are milliseconds since
// 1970; zero is never.
type Lease struct {
	Renewal    number `json:"renewalIntervalInSecs" xml:"renewalIntervalInSecs"`
	Duration   number `json:"durationInSecs" xml:"durationInSecs"`
	Registered number `json:"registrationTimestamp" xml:"registrationTimestamp"`
	Renewed    number `json:"lastRenewalTimestamp" xml:"lastRenewalTimestamp"`
	Evicted    number `json:"evictionTimestamp" xml:"evictionTimestamp"`
	ServiceUp  number `json:"serviceUpTimestamp" xml:"serviceUpTimestamp"`
}

// application is all instances of one name.
type application struct {
	XMLName   xml.Name   `json:"-" xml:"application"`
	Name      string     `json:"name" xml:"name"`
	Instances []Instance `json:"instance" xml:"instance"`
}

// applications is the registry, or what changed in it.
type applications struct {
	XMLName xml.Name      `json:"-" xml:"applications"`
	Version string        `json:"versions__delta" xml:"versions__delta"`
	Hash    string        `json:"apps__hashcode" xml:"apps__hashcode"`
	Apps    []application `json:"application" xml:"application"`
}

// envelope is the object around an answer in JSON. One of its members is there.
type envelope struct {
	Applications *applications `json:"applications,omitzero"`
	Application  *application  `json:"application,omitzero"`
	Instance     *Instance     `json:"instance,omitzero"`
}

// names returns the names in a list of virtual addresses.
func names(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' })
}

// hasName says whether a list of virtual addresses has a name, in whatever case.
func hasName(list, name string) bool {
	for _, one := range names(list) {
		if strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}
