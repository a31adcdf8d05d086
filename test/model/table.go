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

// ServiceKey is the identity of a virtual service.
type ServiceKey struct {
	Proto string // tcp, udp, sctp
	Addr  netip.AddrPort
}

// Service is a virtual service. Its destinations are the newest first.
type Service struct {
	ServiceKey
	Scheduler    string
	Destinations []*Destination
	sched        memory
}

// Destination is a real server within a service. It outlives its removal as long as
// connections know it, and is itself again when it comes back.
type Destination struct {
	Addr             netip.AddrPort
	Method           Method
	Weight           int
	Active, Inactive int
	there            bool
}

// Flow is a connection's identity, as its client's packets show it.
type Flow struct {
	Proto           string
	Client, Virtual netip.AddrPort
}

// Conn is a connection.
type Conn struct {
	Flow
	Destination *Destination
	Method      Method // when it began
	State       string
	Expires     time.Duration
	active      bool
}

// Table is the whole.
type Table struct {
	Now      time.Duration
	Services []*Service
	Conns    map[Flow]*Conn
	gone     map[ServiceKey][]*Destination
}

// New returns an empty table.
func New() *Table {
	return &Table{Conns: map[Flow]*Conn{}, gone: map[ServiceKey][]*Destination{}}
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

// Advance lets time pass, and connections expire.
func (t *Table) Advance(by time.Duration) {
	t.Now += by
	for _, c := range t.Conns {
		if c.Expires <= t.Now {
			t.end(c)
		}
	}
}

func (t *Table) end(c *Conn) {
	c.count(-1)
	delete(t.Conns, c.Flow)
}

// count moves the connection's destination's counts.
func (c *Conn) count(by int) {
	if c.active {
		c.Destination.Active += by
	} else {
		c.Destination.Inactive += by
	}
}
