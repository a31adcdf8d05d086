package ipvs

import (
	"net/netip"
	"time"
)

// Stats are the counters of a service, a destination or the whole table since
// they were last zeroed. Bytes are those of the IP packets.
type Stats struct {
	Connections uint64
	InPackets   uint64
	OutPackets  uint64
	InBytes     uint64
	OutBytes    uint64
}

// Rates are per-second averages over the last seconds, as the kernel's
// estimator makes them: every two seconds a quarter of the newest rate is
// mixed in.
type Rates struct {
	Connections uint64
	InPackets   uint64
	OutPackets  uint64
	InBytes     uint64
	OutBytes    uint64
}

// ServiceInfo is a service with its state.
type ServiceInfo struct {
	Service
	Stats Stats
	Rates Rates
	// Destinations are in the kernel's order, the newest first. It is also
	// the order in which schedulers walk them.
	Destinations []DestinationInfo
}

// DestinationInfo is a destination with its state.
type DestinationInfo struct {
	Destination
	// LastWeight is the weight, or if that is 0, what it was before: by it mh
	// keeps the places of servers that rest.
	LastWeight int32
	Active     uint32
	Inactive   uint32
	Persistent uint32
	Stats      Stats
	Rates      Rates
	Signals    Signals
}

// Signals are what clients' packets tell of a destination, whichever way its answers go.
// They only grow, and are never zeroed: what means something is by how much.
type Signals struct {
	// Conns are the connections that it was given, Answered those of them whose
	// client went on after its first packet, as it had an answer.
	Conns, Answered uint64
	// Retried are SYNs that came again, as there was no answer; Refused are resets
	// that the server answered a SYN with, which only masquerading shows.
	Retried, Refused uint64
	// InPackets are the packets of its clients.
	InPackets uint64
}

// Conn is one entry of the connection table.
type Conn struct {
	Protocol    Protocol
	Client      netip.AddrPort
	Virtual     netip.AddrPort
	Destination netip.AddrPort
	Method      Method
	// State is the name listings print: ESTABLISHED, SYN_RECV, UDP, …
	State string
	// Expires is the time left; zero or less when the sweep is due.
	Expires time.Duration
	// Probe marks one by which the host asks the destination whether it is well
	// (Table.ProbeMarks).
	Probe bool
	// Template marks a persistence template.
	Template bool
	// Engine and EngineData identify the persistence engine's key.
	Engine     string
	EngineData string
	// FWMark is set for templates of firewall-mark services.
	FWMark uint32
}

// Timeouts are the three timeouts that ipvsadm --set changes.
type Timeouts struct {
	TCP    time.Duration // an established TCP connection
	TCPFin time.Duration // a TCP connection after a FIN
	UDP    time.Duration
}

// Info describes the table as a whole.
type Info struct {
	// Version is the IPVS version whose behaviour this table has, as the
	// listing header prints it.
	Version string
	// ConnTableSize is the figure the header prints as size=: the kernel's
	// default number of hash buckets. Scripts parse it.
	ConnTableSize uint32
}
