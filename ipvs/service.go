package ipvs

import (
	"fmt"
	"net/netip"
)

// Family is the address family of a firewall-mark service, which has no
// address to tell it by.
type Family uint8

// The two address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf returns the family of a. An IPv4 address written as IPv6
// (::ffff:198.51.100.1) is an IPv6 address, as it is to the kernel.
func FamilyOf(a netip.Addr) Family {
	if a.Is6() {
		return IPv6
	}
	return IPv4
}

// Protocol is a transport protocol by its IP protocol number.
type Protocol uint8

// The protocols a virtual service can have. Firewall-mark services have none.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String returns the name of the protocol as listings print it: TCP, UDP, SCTP.
func (p Protocol) String() string {
	switch p {
	case 0:
		return "IP"
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case SCTP:
		return "SCTP"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// ServiceKey identifies a virtual service: either protocol, address and port,
// or a firewall mark and a family. It is comparable.
type ServiceKey struct {
	// Protocol is 0 for a firewall-mark service.
	Protocol Protocol
	// Addr is the VIP and its port in host order; port 0 takes every port
	// and needs a persistent service. The zero value for a firewall-mark
	// service.
	Addr netip.AddrPort
	// FWMark is the firewall mark, 0 for a service with an address.
	FWMark uint32
	// Family is the family of a firewall-mark service; for a service with an
	// address it is that of the address.
	Family Family
}

// ServiceAt is the key of the service that listens on addr.
func ServiceAt(p Protocol, addr netip.AddrPort) ServiceKey {
	return ServiceKey{Protocol: p, Addr: addr, Family: FamilyOf(addr.Addr())}
}

// ServiceMark is the key of the firewall-mark service for mark.
func ServiceMark(mark uint32, f Family) ServiceKey {
	return ServiceKey{FWMark: mark, Family: f}
}

// String names the service the way a person would: "TCP 203.0.113.10:80",
// "FWM 5", "FWM 5 IPv6".
func (k ServiceKey) String() string {
	if k.FWMark != 0 {
		if k.Family == IPv6 {
			return fmt.Sprintf("FWM %d IPv6", k.FWMark)
		}
		return fmt.Sprintf("FWM %d", k.FWMark)
	}
	return fmt.Sprintf("%s %s", k.Protocol, k.Addr)
}

// SchedFlags are the options of a scheduler. sh and mh give names to the first
// two; the kernel passes all three to any scheduler.
type SchedFlags uint8

// The scheduler flags, and the names sh and mh have for them.
const (
	SchedFlag1 SchedFlags = 1 << iota
	SchedFlag2
	SchedFlag3

	SHFallback = SchedFlag1
	SHPort     = SchedFlag2
	MHFallback = SchedFlag1
	MHPort     = SchedFlag2
)

// Service is the configuration of a virtual service.
type Service struct {
	ServiceKey
	// Scheduler is the name of the scheduling algorithm: "rr", "wlc", …
	Scheduler  string
	SchedFlags SchedFlags
	// Persistent services send a client to the server it had before.
	Persistent bool
	// Timeout is the lifetime of a persistence template in seconds. The
	// kernel keeps it apart from Persistent: zero is a legal value of both.
	Timeout uint32
	// Mask is the persistence granularity: clients whose addresses agree in
	// the bits of the mask go to the same server. It is a whole address of
	// the service's family: IPv4 masks need not be prefixes (the kernel takes
	// 255.0.255.0, and 0.0.0.0, which is every client), IPv6 masks are
	// prefixes of 1 to 128 bits. The zero value tells every client apart.
	Mask netip.Addr
	// Engine is the persistence engine, "" or "sip".
	Engine string
	// OnePacket schedules each UDP packet on its own (--ops).
	OnePacket bool
}

// WithDefaults fills in what may be left out: the family, the whole-address
// mask.
func (s Service) WithDefaults() Service {
	if s.FWMark == 0 {
		s.Family = FamilyOf(s.Addr.Addr())
	} else if s.Family == 0 {
		s.Family = IPv4
	}
	if !s.Mask.IsValid() {
		s.Mask = MaskOf(32, s.Family)
		if s.Family == IPv6 {
			s.Mask = MaskOf(128, s.Family)
		}
	}
	return s
}

// Method is a forwarding method: how packets reach the real server.
type Method uint8

// The forwarding methods. Local and Bypass are never configured: the data path takes
// Local where an address belongs to the director itself, and Bypass where a packet goes
// on to where it was sent (cache_bypass).
const (
	Masquerade Method = iota
	Local
	Tunnel
	Route
	Bypass
)

// String returns the name listings use: Masq, Local, Tunnel, Route, Bypass.
func (m Method) String() string {
	switch m {
	case Masquerade:
		return "Masq"
	case Local:
		return "Local"
	case Tunnel:
		return "Tunnel"
	case Route:
		return "Route"
	case Bypass:
		return "Bypass"
	}
	return "Unknown"
}

// TunnelType is the encapsulation of the Tunnel method.
type TunnelType uint8

// The encapsulations.
const (
	IPIP TunnelType = iota
	GUE
	GRE
)

// String returns ipip, gue or gre.
func (t TunnelType) String() string {
	switch t {
	case IPIP:
		return "ipip"
	case GUE:
		return "gue"
	case GRE:
		return "gre"
	}
	return "unknown"
}

// TunnelFlags are options of the encapsulation.
type TunnelFlags uint8

// The tunnel flags; none is "no checksum".
const (
	TunnelChecksum       TunnelFlags = 1 << iota // --tun-csum
	TunnelRemoteChecksum                         // --tun-remcsum
)

// TunnelOptions say how the Tunnel method encapsulates.
type TunnelOptions struct {
	Type TunnelType
	// Port is the UDP destination port of GUE, host order.
	Port  uint16
	Flags TunnelFlags
}

// Destination is the configuration of a real server within a service. Its
// address and port identify it there.
type Destination struct {
	// Addr is the RIP and its port in host order.
	Addr   netip.AddrPort
	Method Method
	// Weight is the share of new connections relative to the other
	// destinations; 0 makes it quiescent.
	Weight int32
	// Upper and Lower are the connection thresholds; 0 is none.
	Upper, Lower uint32
	Tunnel       TunnelOptions
}

// Daemon is the state of one connection-synchronisation daemon.
type Daemon struct {
	// Role is "master" or "backup".
	Role string
	// Interface is the multicast interface.
	Interface string
	SyncID    uint8
	// MaxLen is the largest sync message in bytes.
	MaxLen uint16
	Group  netip.Addr
	Port   uint16
	TTL    uint8
}
