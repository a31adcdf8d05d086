package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Way is how the kernel would send a packet.
type Way struct {
	Iface  string
	Via    netip.Addr // invalid: straight to the destination
	Source netip.Addr // the kernel's choice, where none was asked for
	Local  bool       // to the host itself
	MTU    int        // of the interface; what was learned of the path is left aside
	// Unreachable says why there is no way, "" where there is one.
	Unreachable string
}

// WayTo asks for the way to an address, for packets from another of the host's,
// or with an invalid one for packets of the kernel's choice. Nothing is sent.
func WayTo(to, from netip.Addr) (Way, error) {
	var options *netlink.RouteGetOptions
	if from.IsValid() {
		options = &netlink.RouteGetOptions{SrcAddr: net.IP(from.AsSlice())}
	}
	routes, err := netlink.RouteGetWithOptions(net.IP(to.AsSlice()), options)
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) {
		return Way{Unreachable: err.Error()}, nil
	}
	if err != nil || len(routes) == 0 {
		return Way{}, fmt.Errorf("way to %s: %w", to, err)
	}
	r := routes[0]
	w := Way{Local: r.Type == unix.RTN_LOCAL}
	if r.Type == unix.RTN_UNREACHABLE || r.Type == unix.RTN_BLACKHOLE || r.Type == unix.RTN_PROHIBIT {
		w.Unreachable = "a route refuses it"
	}
	if via, ok := netip.AddrFromSlice(r.Gw); ok {
		w.Via = via.Unmap()
	}
	if source, ok := netip.AddrFromSlice(r.Src); ok {
		w.Source = source.Unmap()
	}
	if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
		w.Iface, w.MTU = l.Attrs().Name, l.Attrs().MTU
	}
	return w, nil
}

// Listener is a socket that waits for connections or datagrams.
type Listener struct {
	Proto string // tcp, udp
	Addr  netip.AddrPort
}

// States in which a socket waits, as /proc/net has them.
var waiting = map[string]string{"tcp": "0A", "udp": "07"}

// Listeners returns the sockets of this namespace that wait.
func Listeners() (all []Listener, err error) {
	for proto := range waiting {
		for _, suffix := range []string{"", "6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + proto + suffix)
			if errors.Is(err, os.ErrNotExist) {
				continue // no IPv6
			}
			if err != nil {
				return nil, fmt.Errorf("sockets: %w", err)
			}
			all = append(all, parseListeners(proto, string(b))...)
		}
	}
	return all, nil
}

// parseListeners reads a table of /proc/net. It is pure.
func parseListeners(proto, table string) (all []Listener) {
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) < 4 || words[3] != waiting[proto] {
			continue
		}
		if addr, ok := parseSocketAddr(words[1]); ok {
			all = append(all, Listener{proto, addr})
		}
	}
	return all
}

// parseSocketAddr reads "0A0200C0:0050": words in the order of the machine,
// which Linux has on no machine of ours in another than little-endian.
func parseSocketAddr(text string) (netip.AddrPort, bool) {
	digits, port, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(digits) != 8 && len(digits) != 32 {
		return netip.AddrPort{}, false
	}
	var b []byte
	for ; digits != ""; digits = digits[8:] {
		word, err := strconv.ParseUint(digits[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		b = append(b, byte(word), byte(word>>8), byte(word>>16), byte(word>>24))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, uint16(n)), ok
}

// ReversePathDrops is how many packets the reverse-path check has dropped in
// this namespace.
func ReversePathDrops() (uint64, error) {
	b, err := os.ReadFile("/proc/thread-self/net/netstat")
	if err != nil {
		return 0, fmt.Errorf("counters of the kernel: %w", err)
	}
	return parseNetstat(string(b), "TcpExt:", "IPReversePathFilter"), nil
}

// parseNetstat finds a counter in pairs of lines, names and numbers. It is pure.
func parseNetstat(table, group, name string) uint64 {
	var names []string
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != group {
			continue
		}
		if names == nil {
			names = words
			continue
		}
		for i, n := range names {
			if n == name && i < len(words) {
				v, _ := strconv.ParseUint(words[i], 10, 64)
				return v
			}
		}
	}
	return 0
}
