package realserver

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/evs-project/evs/internal/hostnet"
)

// between are the bytes that stand between the outer IP header and the packet at
// most, by kind of tunnel: GRE may come with a checksum, GUE with the option for
// remote checksum offload, which IPVS adds to what is sent on its own host.
var between = map[string]int{"ipip": 0, "gre": 8, "gue": 20}

const (
	ip4Bytes, ip6Bytes, tcpBytes = 20, 40, 20
	leastMTU                     = 576 // what every host takes (RFC 791)
)

// chooseMTU sees to it that there is one: the least of the interfaces that tunnels
// come in by.
func (o *Options) chooseMTU(have hostnet.Facts) error {
	if o.MTU == 0 {
		o.MTU = math.MaxUint16
		for _, l := range have.Links {
			if l.MTU > 0 && o.carries(l) {
				o.MTU = min(o.MTU, l.MTU)
			}
		}
	}
	if o.MTU < leastMTU || o.MTU > math.MaxUint16 {
		return fmt.Errorf("MTU %d of the way from the director: want %d to %d", o.MTU, leastMTU, math.MaxUint16)
	}
	return nil
}

// carries tells whether tunnels may come in by an interface.
func (o *Options) carries(l hostnet.Link) bool {
	if len(o.Interfaces) > 0 {
		return slices.Contains(o.Interfaces, l.Name)
	}
	return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return slices.Contains(o.Locals, p.Addr()) })
}

// segments are the largest segments of TCP that a tunnel has room for, over IPv4
// and over IPv6. It is pure.
func (o *Options) segments() (mss4, mss6 uint16) {
	outer := ip4Bytes
	if slices.ContainsFunc(o.Locals, netip.Addr.Is6) {
		outer = ip6Bytes
	}
	room := o.MTU - outer - between[o.Tunnel] - tcpBytes
	return uint16(room - ip4Bytes), uint16(room - ip6Bytes)
}
