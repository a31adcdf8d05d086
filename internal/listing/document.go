// Package listing is what evs shows of a table: documents of a stable form,
// which docs/schema.md describes, written as JSON, YAML or columns. It never
// reads a table itself.
package listing

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// APIVersion is the version of the documents. Within it fields are only added.
const APIVersion = "evs/v1"

// The kinds of documents.
const (
	KindTable       = "Table"
	KindConnections = "Connections"
)

// Table is a virtual server table with its counters.
type Table struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Services   []Service `json:"services"`
}

// Service is a virtual service. Either protocol, address and port tell which,
// or the firewall mark.
type Service struct {
	Protocol       string        `json:"protocol,omitempty"`
	Address        string        `json:"address,omitempty"`
	Port           *uint16       `json:"port,omitempty"`
	FWMark         uint32        `json:"fwmark,omitempty"`
	Family         string        `json:"family"`
	Scheduler      string        `json:"scheduler"`
	SchedulerFlags []string      `json:"schedulerFlags"`
	Persistence    *Persistence  `json:"persistence,omitempty"`
	Engine         string        `json:"persistenceEngine,omitempty"`
	OnePacket      bool          `json:"onePacket"`
	Stats          Counters      `json:"stats"`
	Rates          Rates         `json:"rates"`
	Destinations   []Destination `json:"destinations"`

	info ipvs.ServiceInfo
}

// Persistence says for how long, and for which clients together, a server is
// kept.
type Persistence struct {
	Seconds uint32 `json:"seconds"`
	Netmask string `json:"netmask"`
}

// Destination is a real server of a service.
type Destination struct {
	Address     string   `json:"address"`
	Port        uint16   `json:"port"`
	Method      string   `json:"method"`
	Weight      int32    `json:"weight"`
	Upper       uint32   `json:"upperThreshold"`
	Lower       uint32   `json:"lowerThreshold"`
	Tunnel      *Tunnel  `json:"tunnel,omitempty"`
	Connections InUse    `json:"connections"`
	Stats       Counters `json:"stats"`
	Rates       Rates    `json:"rates"`

	info ipvs.DestinationInfo
}

// Tunnel is how packets are wrapped.
type Tunnel struct {
	Type     string `json:"type"`
	Port     uint16 `json:"port,omitempty"`
	Checksum string `json:"checksum"`
}

// InUse counts the connections a destination has now.
type InUse struct {
	Active     uint32 `json:"active"`
	Inactive   uint32 `json:"inactive"`
	Persistent uint32 `json:"persistent"`
}

// Counters count since they were last zeroed.
type Counters struct {
	Connections uint64 `json:"connections"`
	InPackets   uint64 `json:"inPackets"`
	OutPackets  uint64 `json:"outPackets"`
	InBytes     uint64 `json:"inBytes"`
	OutBytes    uint64 `json:"outBytes"`
}

// Rates are averages per second.
type Rates struct {
	Connections uint64 `json:"connectionsPerSecond"`
	InPackets   uint64 `json:"inPacketsPerSecond"`
	OutPackets  uint64 `json:"outPacketsPerSecond"`
	InBytes     uint64 `json:"inBytesPerSecond"`
	OutBytes    uint64 `json:"outBytesPerSecond"`
}

// Connections is the table of connections.
type Connections struct {
	APIVersion  string       `json:"apiVersion"`
	Kind        string       `json:"kind"`
	Connections []Connection `json:"connections"`
}

// Connection is one connection, or a template of persistence.
type Connection struct {
	Protocol    string  `json:"protocol"`
	Client      string  `json:"client"`
	Virtual     string  `json:"virtual"`
	Destination string  `json:"destination"`
	Method      string  `json:"method"`
	State       string  `json:"state"`
	Expires     float64 `json:"expiresSeconds"`
	Template    bool    `json:"template"`
	FWMark      uint32  `json:"fwmark,omitempty"`
	Engine      string  `json:"persistenceEngine,omitempty"`
	EngineData  string  `json:"persistenceData,omitempty"`
}

// NewTable makes a document of services, in a fixed order: services by kind,
// address and port, destinations by address and port.
func NewTable(services []ipvs.ServiceInfo) Table {
	t := Table{APIVersion: APIVersion, Kind: KindTable, Services: make([]Service, 0, len(services))}
	for _, s := range services {
		t.Services = append(t.Services, newService(s))
	}
	slices.SortFunc(t.Services, func(a, b Service) int { return compareKeys(a.info.ServiceKey, b.info.ServiceKey) })
	return t
}

func newService(s ipvs.ServiceInfo) Service {
	out := Service{
		Family: family(s.Family), Scheduler: s.Scheduler,
		SchedulerFlags: append([]string{}, options.SchedFlags(s.Service)...),
		Engine:         s.Engine, OnePacket: s.OnePacket,
		Stats: Counters(s.Stats), Rates: Rates(s.Rates),
		Destinations: make([]Destination, 0, len(s.Destinations)),
		info:         s,
	}
	if s.FWMark != 0 {
		out.FWMark = s.FWMark
	} else {
		port := s.Addr.Port()
		out.Protocol, out.Address, out.Port = strings.ToLower(s.Protocol.String()), s.Addr.Addr().String(), &port
	}
	if s.Persistent {
		out.Persistence = &Persistence{Seconds: s.Timeout, Netmask: options.Netmask(s.Service)}
	}
	for _, d := range s.Destinations {
		out.Destinations = append(out.Destinations, newDestination(d))
	}
	slices.SortFunc(out.Destinations, func(a, b Destination) int { return a.info.Addr.Compare(b.info.Addr) })
	return out
}

func newDestination(d ipvs.DestinationInfo) Destination {
	out := Destination{
		Address: d.Addr.Addr().String(), Port: d.Addr.Port(), Method: options.Method(d.Method), Weight: d.Weight,
		Upper: d.Upper, Lower: d.Lower,
		Connections: InUse{d.Active, d.Inactive, d.Persistent},
		Stats:       Counters(d.Stats), Rates: Rates(d.Rates),
		info: d,
	}
	if d.Method == ipvs.Tunnel {
		out.Tunnel = &Tunnel{Type: d.Tunnel.Type.String(), Port: d.Tunnel.Port, Checksum: options.Checksum(d.Tunnel)}
	}
	return out
}

// NewConnections makes a document of connections.
func NewConnections(all iter.Seq2[ipvs.Conn, error]) (Connections, error) {
	c := Connections{APIVersion: APIVersion, Kind: KindConnections, Connections: []Connection{}}
	for conn, err := range all {
		if err != nil {
			return c, err
		}
		c.Connections = append(c.Connections, newConnection(conn))
	}
	return c, nil
}

func newConnection(c ipvs.Conn) Connection {
	return Connection{
		Protocol: strings.ToLower(c.Protocol.String()), Client: c.Client.String(), Virtual: c.Virtual.String(),
		Destination: c.Destination.String(), Method: options.Method(c.Method), State: c.State,
		Expires:  max(0, c.Expires.Round(100*time.Millisecond).Seconds()),
		Template: c.Template, FWMark: c.FWMark, Engine: c.Engine, EngineData: c.EngineData,
	}
}

func family(f ipvs.Family) string {
	if f == ipvs.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}
