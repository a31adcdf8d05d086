package ipvsadm

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// protocolNames are what services files call the protocols.
var protocolNames = map[ipvs.Protocol]string{ipvs.TCP: "tcp", ipvs.UDP: "udp", ipvs.SCTP: "sctp"}

// endpoint is a service-address as written: host[:port].
type endpoint struct {
	addr    netip.Addr
	port    uint16
	hasPort bool
}

// parseEndpoint reads host:port, host, [v6]:port or a bare v6 address. An IPv6
// address in brackets needs its port, as in the real command. Port names are
// those of protocol.
func parseEndpoint(s string, protocol ipvs.Protocol, names Names) (endpoint, bool) {
	// A number could be an address to the lenient IPv4 reader below; it is
	// more likely a mark or a port that lost its option.
	if strings.Trim(s, "0123456789") == "" {
		return endpoint{}, false
	}
	port, hasPort := "", false
	if rest, bracket := strings.CutPrefix(s, "["); bracket {
		s, port, hasPort = strings.Cut(rest, "]")
		if port, bracket = strings.CutPrefix(port, ":"); !hasPort || !bracket {
			return endpoint{}, false
		}
	}
	addr, ok := parseIPv6(s)
	if !ok {
		// What brackets enclosed was no IPv6 address, and the port after
		// them is forgotten.
		port, hasPort = "", false
		if colon := strings.LastIndexByte(s, ':'); colon >= 0 {
			s, port, hasPort = s[:colon], s[colon+1:], true
		}
		if addr, ok = parseIPv4(s); !ok {
			if addr, ok = names.HostAddr(s); !ok {
				return endpoint{}, false
			}
		}
	}
	e := endpoint{addr: addr, hasPort: hasPort}
	if hasPort {
		if e.port, ok = parsePort(port, protocol, names); !ok {
			return endpoint{}, false
		}
	}
	return e, true
}

// parsePort reads a port number or the name of a service.
func parsePort(s string, protocol ipvs.Protocol, names Names) (uint16, bool) {
	if n, ok := number(s, 0, 65535); ok {
		return uint16(n), true
	}
	if name := protocolNames[protocol]; name != "" {
		return names.ServicePort(s, name)
	}
	return 0, false
}

// parseIPv6 reads an IPv6 address without a zone.
func parseIPv6(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr, true
}

// parseIPv4 reads an IPv4 address as C's inet_aton does: one to four numbers,
// decimal, octal (010) or hexadecimal (0x8), of which the last fills all the
// bytes that remain; text after a space is ignored.
func parseIPv4(s string) (netip.Addr, bool) {
	if end := strings.IndexAny(s, spaces); end > 0 {
		s = s[:end]
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var raw [4]byte
	for i, part := range parts {
		last := i == len(parts)-1
		limit := uint64(0xff)
		if last {
			limit = 1<<(8*(4-i)) - 1
		}
		n, ok := parseCNumber(part)
		if !ok || n > limit {
			return netip.Addr{}, false
		}
		if !last {
			raw[i] = byte(n)
			continue
		}
		for j := 3; j >= i; j-- {
			raw[j] = byte(n)
			n >>= 8
		}
	}
	return netip.AddrFrom4(raw), true
}

// parseCNumber reads an unsigned number in C's notation.
func parseCNumber(s string) (uint64, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s, base = hex, 16
	} else if len(s) > 1 && s[0] == '0' {
		base = 8
	}
	n, err := strconv.ParseUint(s, base, 33)
	return n, err == nil
}

// formatAddr writes an address as C's inet_ntop does. netip differs for the
// IPv4-compatible addresses, which are written like ::198.51.100.1.
func formatAddr(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		raw := a.As16()
		if [12]byte(raw[:12]) == [12]byte{} && (raw[12] != 0 || raw[13] != 0) {
			return "::" + netip.AddrFrom4([4]byte(raw[12:])).String()
		}
	}
	return a.String()
}
