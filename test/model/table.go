package model

import (
	"net/netip"
	"slices"
	"time"
)

// Method is how packets get to a server.
type Method string

// The forwarding methods, by their flags of ipvsadm.
const (
	Masquerade Method = "-m"
	Direct     Method = "-g"
	Tunnel     Method = "-i"
)

// ServiceKey is the identity of a virtual service: a protocol, an address and a port,
// 0 for all ports; or a firewall mark and a family.
type ServiceKey struct {
	Proto string // tcp, udp, sctp
	Addr  netip.AddrPort
	Mark  uint32
	Mark6 bool // a mark of IPv6
}

// Six reports whether it is one of IPv6.
func (k ServiceKey) Six() bool { return k.Mark6 || k.Addr.Addr().Is6() }

// Config is what a service is told to be.
type Config struct {
	Scheduler  string
	Fallback   bool          // of sh and mh: who would be refused is hashed again
	Port       bool          // the client's port is hashed too
	Persistent time.Duration // how long a template lasts, 0 none
	Mask       netip.Addr    // of persistent clients: which bits of their addresses count
	Calls      bool          // they are told apart by the Call-ID of SIP
	OnePacket  bool          // of UDP: no packet leaves a connection behind
}

// Service is a virtual service. Its destinations are the newest first.
type Service struct {
	ServiceKey
	Config
	Destinations []*Destination
	sched        memory
}

// Share is what a destination is told to be.
type Share struct {
	Addr         netip.AddrPort
	Method       Method
	Weight       int
	Upper, Lower int // thresholds of connections
}

// Destination is a real server within a service. It outlives its removal as long as
// connections know it, and is itself again when it comes back.
type Destination struct {
	Share
	Active, Inactive int // connections
	Persistent       int // templates
	lastWeight       int // that was not 0
	overloaded       bool
	there            bool
}

// Table is the whole.
type Table struct {
	Now       time.Duration
	Services  []*Service
	Conns     map[Flow]*Conn
	Templates []*Template
	Settings  map[string]int
	Timeouts  map[string]time.Duration // by state
	// Marks are the firewall marks that packets get by the address they are sent to.
	Marks map[netip.Addr]uint32
	// Draw decides what is left to chance: one of several destinations.
	Draw func([]*Destination) *Destination
	gone map[ServiceKey][]*Destination
}

// New returns an empty table.
func New() *Table {
	return &Table{
		Conns: map[Flow]*Conn{}, gone: map[ServiceKey][]*Destination{},
		Settings: defaults(), Timeouts: timeouts(),
	}
}

// Find returns a service, nil if it is not there.
func (t *Table) Find(k ServiceKey) *Service {
	i := slices.IndexFunc(t.Services, func(s *Service) bool { return s.ServiceKey == k })
	if i < 0 {
		return nil
	}
	return t.Services[i]
}

// Destination returns a destination of the service, nil if it is not there.
func (s *Service) Destination(a netip.AddrPort) *Destination {
	i := slices.IndexFunc(s.Destinations, func(d *Destination) bool { return d.Addr == a })
	if i < 0 {
		return nil
	}
	return s.Destinations[i]
}
