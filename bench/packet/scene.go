// Package packet builds and checks the benchmark's packets. It is pure: bytes
// in, bytes out.
package packet

import "net/netip"

// MAC is an Ethernet address.
type MAC [6]byte

// Scene is who takes part: one virtual service, one real server, and as many
// clients as there are flows. Client and server sit on the same wire, the
// client behind a gateway.
type Scene struct {
	VIP      netip.AddrPort
	Server   netip.AddrPort
	Director MAC
	Gateway  MAC
	RealMAC  MAC // the real server's
}

// Documentation is the Scene the benchmark uses, in addresses set aside for
// documentation.
var Documentation = Scene{
	VIP:      netip.MustParseAddrPort("203.0.113.10:80"),
	Server:   netip.MustParseAddrPort("203.0.113.130:8080"),
	Director: MAC{0x02, 0, 0x5e, 0, 0x53, 0x01},
	Gateway:  MAC{0x02, 0, 0x5e, 0, 0x53, 0x02},
	RealMAC:  MAC{0x02, 0, 0x5e, 0, 0x53, 0x03},
}

const (
	clients   = 250
	firstPort = 1024
	// MaxFlows is how many flows there can be: every client address with
	// every port that is not reserved.
	MaxFlows = clients * (65536 - firstPort)
)

// Client is the address and port of flow f, different for every f from 0 to
// MaxFlows-1. Neighbouring flows come from different hosts.
func Client(f int) netip.AddrPort {
	host := netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + f%clients)})
	return netip.AddrPortFrom(host, uint16(firstPort+f/clients))
}

// Kind is a packet of a connection's life.
type Kind struct {
	Name  string
	Reply bool // from the server to the client
	Flags byte // of TCP
	// Since is how far into the sequence numbers the client begins: a connection
	// made again by the same client has to begin past the end of the one before.
	Since uint32
}

// The packets of a TCP connection that the benchmark plays.
var (
	SYN      = Kind{Name: "SYN", Flags: 0x02}
	SYNACK   = Kind{Name: "SYN/ACK", Reply: true, Flags: 0x12}
	ACK      = Kind{Name: "ACK", Flags: 0x10}
	ReplyACK = Kind{Name: "reply ACK", Reply: true, Flags: 0x10}
)

// numbers are the sequence number and the acknowledgement, as a conversation has
// them in which nobody has said anything yet: who tracks connections looks at both.
func (k Kind) numbers() (seq, ack uint32) {
	seq, ack = 1000+k.Since, 2000 // that client and server begin with
	if k.Reply {
		seq, ack = ack, seq
	}
	if k.Flags&SYN.Flags == 0 {
		seq++
	}
	if k.Flags&ACK.Flags == 0 {
		return seq, 0
	}
	return seq, ack + 1
}

// Method is how the balancer forwards.
type Method string

// The forwarding methods measured, by their IPVS names.
const (
	Masq  Method = "masq"
	Route Method = "route"
)
