package ipvsadm

import (
	"net/netip"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// The limits of the numbers that options take.
const (
	maxTimeout         = 31 * 24 * 60 * 60 // seconds
	maxInt             = 1<<31 - 1
	maxSyncLen         = 65535 - 20 - 8 // what fits in a UDP packet
	maxFlags           = 127            // the rest is not read
	defaultPersistence = "360"          // of -p without a timeout
)

// bounded reads a number from low to high and complains about what.
func bounded(arg string, low, high int64, what string) (int64, error) {
	n, ok := number(arg, low, high)
	if !ok {
		return 0, complain("illegal %s specified", what)
	}
	return n, nil
}

// parseTimeout reads seconds, at least low.
func parseTimeout(arg string, low int64) (uint32, error) {
	n, ok := number(arg, low, maxTimeout)
	if !ok {
		return 0, complain("invalid timeout value `%s' specified", arg)
	}
	return uint32(n), nil
}

func startRole(l *line, arg string) error {
	return setRole(l, arg, "illegal start-daemon parameter specified")
}

func stopRole(l *line, arg string) error {
	return setRole(l, arg, "illegal start_daemon specified")
}

func setRole(l *line, arg, complaint string) error {
	if arg != "master" && arg != "backup" {
		return complain("%s", complaint)
	}
	l.Daemon.Role = arg
	return nil
}

func tcpService(l *line, arg string) error  { return setService(l, ipvs.TCP, arg) }
func udpService(l *line, arg string) error  { return setService(l, ipvs.UDP, arg) }
func sctpService(l *line, arg string) error { return setService(l, ipvs.SCTP, arg) }

// setService selects a service by address. An IPv6 address undoes a netmask
// given before it, which was read as an IPv4 one.
func setService(l *line, protocol ipvs.Protocol, arg string) error {
	e, ok := parseEndpoint(arg, protocol, l.names)
	if !ok {
		return complain("illegal virtual server address[:port] specified")
	}
	l.Service.ServiceKey = ipvs.ServiceAt(protocol, netip.AddrPortFrom(e.addr, e.port))
	if l.Service.Family == ipvs.IPv6 {
		l.Service.Mask = netip.Addr{}
	}
	return nil
}

func markService(l *line, arg string) error {
	mark, ok := number(arg, 1, 1<<32-1)
	if !ok {
		return complain("invalid fwmark value `%s' specified", arg)
	}
	l.Service.ServiceKey = ipvs.ServiceMark(uint32(mark), ipvs.IPv4)
	return nil
}

func markIPv6(l *line, _ string) error {
	if l.Service.FWMark == 0 {
		return complain("-6 used before -f\n")
	}
	l.Service.Family = ipvs.IPv6
	l.Service.Mask = netip.Addr{}
	return nil
}

func setScheduler(l *line, arg string) error {
	l.Service.Scheduler = arg
	return nil
}

func setEngine(l *line, arg string) error {
	l.Service.Engine = arg
	return nil
}

func setPersistent(l *line, arg string) (err error) {
	l.Service.Persistent = true
	l.Service.Timeout, err = parseTimeout(arg, 1)
	return err
}

// setNetmask reads the mask in the notation of the family known so far: a
// dotted IPv4 mask, or an IPv6 prefix length.
func setNetmask(l *line, arg string) error {
	if l.Service.Family == ipvs.IPv6 {
		n := leadingNumber(arg)
		if n < 1 || n > 128 {
			return complain("illegal ipv6 netmask specified")
		}
		l.Service.Mask = ipvs.MaskOf(int(n), ipvs.IPv6)
		return nil
	}
	mask, ok := parseIPv4(arg)
	if !ok {
		return complain("illegal virtual server persistent mask specified")
	}
	l.Service.Mask = mask
	return nil
}

func setOnePacket(l *line, _ string) error {
	l.Service.OnePacket = true
	return nil
}

func setSchedFlags(l *line, arg string) error {
	l.flags = arg[:min(len(arg), maxFlags)]
	return nil
}

// setServer reads the real server. Its port defaults to the service's, if that
// is known by now.
func setServer(l *line, arg string) error {
	protocol := l.Service.Protocol
	if l.Service.FWMark != 0 {
		protocol = ipvs.TCP
	}
	e, ok := parseEndpoint(arg, protocol, l.names)
	if !ok {
		return complain("illegal real server address[:port] specified")
	}
	if !e.hasPort {
		e.port = l.Service.Addr.Port()
	}
	l.Destination.Addr = netip.AddrPortFrom(e.addr, e.port)
	return nil
}

func setMasquerade(l *line, _ string) error { return setMethod(l, ipvs.Masquerade) }
func setTunnel(l *line, _ string) error     { return setMethod(l, ipvs.Tunnel) }
func setRoute(l *line, _ string) error      { return setMethod(l, ipvs.Route) }

func setMethod(l *line, m ipvs.Method) error {
	l.Destination.Method = m
	return nil
}

func setWeight(l *line, arg string) error {
	n, err := bounded(arg, 0, maxInt, "weight")
	l.Destination.Weight = int32(n)
	return err
}

func setUpper(l *line, arg string) error {
	n, err := bounded(arg, 0, maxInt, "u_threshold")
	l.Destination.Upper = uint32(n)
	return err
}

func setLower(l *line, arg string) error {
	n, err := bounded(arg, 0, maxInt, "l_threshold")
	l.Destination.Lower = uint32(n)
	return err
}

func setTunnelType(l *line, arg string) error {
	for t := range tunnelRules {
		if t.String() == arg {
			l.Destination.Tunnel.Type = t
			return nil
		}
	}
	return complain("illegal tunnel type specified")
}

func setTunnelPort(l *line, arg string) error {
	n, err := bounded(arg, 1, 65535, "tunnel port")
	l.Destination.Tunnel.Port = uint16(n)
	return err
}

func setTunnelChecksum(l *line, _ string) error {
	l.Destination.Tunnel.Flags |= ipvs.TunnelChecksum
	return nil
}

func setTunnelRemoteChecksum(l *line, _ string) error {
	l.Destination.Tunnel.Flags |= ipvs.TunnelRemoteChecksum
	return nil
}

func setMcastInterface(l *line, arg string) error {
	l.Daemon.Interface = arg
	return nil
}

func setSyncID(l *line, arg string) error {
	n, err := bounded(arg, 0, 255, "syncid")
	l.Daemon.SyncID = uint8(n)
	return err
}

func setSyncMaxLen(l *line, arg string) error {
	n, err := bounded(arg, 1, maxSyncLen, "sync-maxlen")
	l.Daemon.MaxLen = uint16(n)
	return err
}

// setMcastGroup reads a numeric group; a colon makes it an IPv6 one.
func setMcastGroup(l *line, arg string) error {
	group, family := netip.Addr{}, "IPv4"
	if strings.Contains(arg, ":") {
		group, _ = parseIPv6(arg)
		family = "IPv6"
	} else if addr, err := netip.ParseAddr(arg); err == nil {
		group = addr
	}
	if !group.IsMulticast() {
		return complain("invalid %s mcast-group `%s'", family, arg)
	}
	l.Daemon.Group = group
	return nil
}

func setMcastPort(l *line, arg string) error {
	n, err := bounded(arg, 1, 65535, "mcast-port")
	l.Daemon.Port = uint16(n)
	return err
}

func setMcastTTL(l *line, arg string) error {
	n, err := bounded(arg, 1, 255, "mcast-ttl")
	l.Daemon.TTL = uint8(n)
	return err
}
