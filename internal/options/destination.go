package options

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/evs-project/evs/ipvs"
)

// methods are the names of the forwarding methods one can choose.
var methods = []struct {
	name   string
	method ipvs.Method
}{{"masq", ipvs.Masquerade}, {"route", ipvs.Route}, {"tunnel", ipvs.Tunnel}}

// Methods are the names of the forwarding methods one can choose.
func Methods() []string {
	var names []string
	for _, m := range methods {
		names = append(names, m.name)
	}
	return names
}

// Method is the name of a forwarding method.
func Method(m ipvs.Method) string {
	for _, known := range methods {
		if known.method == m {
			return known.name
		}
	}
	if m == ipvs.Bypass {
		return "bypass"
	}
	return "local"
}

// TunnelTypes are the names of the encapsulations.
func TunnelTypes() []string {
	return []string{ipvs.IPIP.String(), ipvs.GUE.String(), ipvs.GRE.String()}
}

// checksums are the names of what a tunnel does about checksums, by flag.
var checksums = []struct {
	name string
	flag ipvs.TunnelFlags
}{{off, 0}, {"csum", ipvs.TunnelChecksum}, {"remcsum", ipvs.TunnelRemoteChecksum}}

// Checksums are the names of what a tunnel can do about checksums.
func Checksums() []string {
	var names []string
	for _, c := range checksums {
		names = append(names, c.name)
	}
	return names
}

// Checksum is what a tunnel does about checksums. As in rules that are saved,
// csum stands before remcsum where both are set.
func Checksum(t ipvs.TunnelOptions) string {
	for _, c := range checksums[1:] {
		if t.Flags&c.flag != 0 {
			return c.name
		}
	}
	return off
}

// Destination are the options of a destination. Before --server is read, the
// port is to be the service's, which a server without one gets.
var Destination = []Option[ipvs.Destination]{
	{Name: "server", Short: "r", Value: "ADDRESS[:PORT]", About: "the real server; without a port the service's", Set: setServer,
		Show: func(d ipvs.Destination) (string, bool) { return d.Addr.String(), true }},
	{Name: "method", Short: "m", Value: "NAME", About: "how packets reach it: masq, route, tunnel (default route)", Set: setMethod,
		Show: func(d ipvs.Destination) (string, bool) { return Method(d.Method), true }},
	{Name: "weight", Short: "w", Value: "N", About: "its share of new connections; 0 takes none (default 1)",
		Set: func(d *ipvs.Destination, arg string) error {
			n, err := count(arg)
			d.Weight = int32(n)
			return err
		},
		Show: func(d ipvs.Destination) (string, bool) { return strconv.Itoa(int(d.Weight)), true }},
	{Name: "upper", Short: "x", Value: "N", About: "no new connections from this many on; 0 for no limit",
		Set:  func(d *ipvs.Destination, arg string) (err error) { d.Upper, err = count(arg); return err },
		Show: func(d ipvs.Destination) (string, bool) { return strconv.Itoa(int(d.Upper)), d.Upper != 0 }},
	{Name: "lower", Short: "y", Value: "N", About: "new connections again below this many; 0 for three quarters of --upper",
		Set:  func(d *ipvs.Destination, arg string) (err error) { d.Lower, err = count(arg); return err },
		Show: func(d ipvs.Destination) (string, bool) { return strconv.Itoa(int(d.Lower)), d.Lower != 0 }},
	{Name: "tunnel-type", Value: "NAME", About: "encapsulation: ipip, gue, gre (default ipip)", Set: setTunnelType,
		Show: func(d ipvs.Destination) (string, bool) { return d.Tunnel.Type.String(), d.Method == ipvs.Tunnel }},
	{Name: "tunnel-port", Value: "PORT", About: "UDP port of a gue tunnel", Set: setTunnelPort,
		Show: func(d ipvs.Destination) (string, bool) {
			return strconv.Itoa(int(d.Tunnel.Port)), d.Method == ipvs.Tunnel && d.Tunnel.Port != 0
		}},
	{Name: "tunnel-checksum", Value: "NAME", About: "checksum of a gue or gre tunnel: none, csum, or remcsum with gue (default none)", Set: setChecksum,
		Show: func(d ipvs.Destination) (string, bool) {
			return Checksum(d.Tunnel), d.Method == ipvs.Tunnel && d.Tunnel.Flags != 0
		}},
}

// NewDestination is a destination of a service before any option.
func NewDestination(k ipvs.ServiceKey) ipvs.Destination {
	return ipvs.Destination{Addr: netip.AddrPortFrom(netip.Addr{}, k.Addr.Port()), Method: ipvs.Route, Weight: 1}
}

// CheckDestination refuses what the single options cannot see.
func CheckDestination(k ipvs.ServiceKey, d ipvs.Destination) error {
	switch {
	case !d.Addr.IsValid():
		return errors.New("which server? name it by --server ADDRESS:PORT")
	case d.Method != ipvs.Masquerade && k.FWMark == 0 && d.Addr.Port() != k.Addr.Port():
		return fmt.Errorf("--server %s: method %s leaves the port as it is: use port %d, or --method masq", d.Addr, Method(d.Method), k.Addr.Port())
	case d.Method != ipvs.Tunnel && d.Tunnel != ipvs.TunnelOptions{}:
		return fmt.Errorf("method %s has no tunnel: leave out the --tunnel flags, or use --method tunnel", Method(d.Method))
	case d.Tunnel.Type == ipvs.GUE && d.Tunnel.Port == 0:
		return errors.New("a gue tunnel needs --tunnel-port, often 6080")
	case d.Tunnel.Type != ipvs.GUE && d.Tunnel.Port != 0:
		return fmt.Errorf("a tunnel of type %s has no port: leave out --tunnel-port", d.Tunnel.Type)
	case d.Tunnel.Type == ipvs.IPIP && d.Tunnel.Flags != 0, d.Tunnel.Type == ipvs.GRE && d.Tunnel.Flags&ipvs.TunnelRemoteChecksum != 0:
		return fmt.Errorf("a tunnel of type %s cannot have --tunnel-checksum %s", d.Tunnel.Type, Checksum(d.Tunnel))
	}
	return nil
}

// Server reads the address of a real server; without a port it gets the one
// named.
func Server(arg string, port uint16) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(arg)
	if err != nil {
		alone, wrong := netip.ParseAddr(arg)
		if wrong != nil {
			return addr, errors.New("write it as 192.0.2.2:8080 or [2001:db8::2]:8080")
		}
		addr = netip.AddrPortFrom(alone, port)
	}
	if addr.Addr().Zone() != "" {
		return addr, errors.New("a server has no zone: leave out what follows the percent sign")
	}
	return addr, nil
}

func setServer(d *ipvs.Destination, arg string) (err error) {
	d.Addr, err = Server(arg, d.Addr.Port())
	return err
}

func setMethod(d *ipvs.Destination, arg string) error {
	for _, m := range methods {
		if m.name == arg {
			d.Method = m.method
			return nil
		}
	}
	return oneOf(Methods())
}

func setTunnelType(d *ipvs.Destination, arg string) error {
	i := slices.Index(TunnelTypes(), arg)
	if i < 0 {
		return oneOf(TunnelTypes())
	}
	d.Tunnel.Type = ipvs.TunnelType(i)
	return nil
}

func setTunnelPort(d *ipvs.Destination, arg string) error {
	n, err := strconv.ParseUint(arg, 10, 16)
	if err != nil || n == 0 {
		return errors.New("choose a port from 1 to 65535")
	}
	d.Tunnel.Port = uint16(n)
	return nil
}

func setChecksum(d *ipvs.Destination, arg string) error {
	for _, c := range checksums {
		if c.name == arg {
			d.Tunnel.Flags = c.flag
			return nil
		}
	}
	return oneOf(Checksums())
}

func count(arg string) (uint32, error) {
	n, err := strconv.ParseUint(arg, 10, 31)
	if err != nil {
		return 0, errors.New("choose a number from 0 to 2147483647")
	}
	return uint32(n), nil
}
