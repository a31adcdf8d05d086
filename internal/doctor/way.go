package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/hostnet"
)

// arrivals are the interfaces that packets from the director come in by: those
// named, the one towards the director, or the only one there is. Otherwise it is
// not known, and all are returned.
func (f ServerFacts) arrivals() (ifaces []string, known bool) {
	if len(f.Server.Interfaces) > 0 {
		return f.Server.Interfaces, true
	}
	if f.Director.IsValid() && f.ToDirector.Iface != "" {
		return []string{f.ToDirector.Iface}, true
	}
	for _, l := range f.links() {
		if slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() && p.Addr().IsGlobalUnicast() }) {
			ifaces = append(ifaces, l.Name)
		}
	}
	return ifaces, len(ifaces) == 1
}

// reversePath finds where a client's packet comes in by one interface, and the
// way to the client leads out by another: strict means that they are the same,
// and loose still drops what comes in by an interface without an address. Where
// it is not known which they come in by, packets dropped already tell.
func reversePath(f ServerFacts) (found []Finding) {
	vip := slices.IndexFunc(f.VIPs, netip.Addr.Is4)
	if vip < 0 || !f.answersItself() {
		return nil
	}
	back := f.Back[f.VIPs[vip]]
	if back.Unreachable != "" || back.Local {
		return nil
	}
	arrivals, known := f.arrivals()
	if !known && f.Dropped == 0 {
		arrivals = nil
	}
	for _, name := range slices.Concat(arrivals, f.tunnelDevices()) {
		link, _ := f.Link(name)
		cure, problem := f.reversePathOf(link, f.VIPs[vip])
		if problem == "" || back.Iface == name {
			continue
		}
		found = append(found, one(name, cure, "the reverse-path check %s, and the way to clients leads by %s: their packets are dropped (%d so far in this namespace)", problem, back.Iface, f.Dropped)...)
	}
	return found
}

// tunnelDevices are the kernel's, where packets come out of tunnels.
func (f ServerFacts) tunnelDevices() (names []string) {
	for _, l := range f.Links {
		if l.Up && f.Method == "tunnel" && hostnet.Silent(l.Type) && l.Type != "dummy" {
			names = append(names, l.Name)
		}
	}
	return names
}

// reversePathOf judges the check on packets that come in by a link and whose way
// back is another.
func (f ServerFacts) reversePathOf(link hostnet.Link, vip netip.Addr) (cure, problem string) {
	key := hostnet.InterfaceKey("ipv4", link.Name, "rp_filter")
	has4 := slices.ContainsFunc(link.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() })
	value := f.effective(link.Name, "rp_filter")
	switch {
	case value == "1" && has4:
		return "sysctl -w " + key + "=2", "is strict there"
	case value == "1" || value == "2" && !has4:
		problem = "drops what comes in by an interface without an IPv4 address"
		if hostnet.Silent(link.Type) {
			return fmt.Sprintf("ip address add %s dev %s && sysctl -w %s=2", hostPrefix(vip), link.Name, key), problem
		}
		return fmt.Sprintf("sysctl -w %s=0 %s=0", hostnet.InterfaceKey("ipv4", "all", "rp_filter"), key), problem
	}
	return "", ""
}

func wayBack(f ServerFacts) []Finding {
	var found []Finding
	for _, vip := range f.VIPs {
		found = append(found, f.wayBackFrom(vip)...)
	}
	return found
}

func (f ServerFacts) wayBackFrom(vip netip.Addr) []Finding {
	back, known := f.Back[vip]
	whom := "clients"
	route := ip(vip) + " route replace default via "
	if f.Client.IsValid() {
		whom = "client " + f.Client.String()
		route = fmt.Sprintf("%s route replace %s via ", ip(vip), hostPrefix(f.Client))
	}
	sameFamily := f.Director.IsValid() && f.Director.Is4() == vip.Is4()
	switch {
	case !known:
		return nil
	case back.Unreachable != "":
		if !f.Client.IsValid() && f.onLink(vip) {
			return nil // the clients may well be on that link, and need no gateway
		}
		gateway := "GATEWAY"
		if f.Method == "nat" && sameFamily {
			gateway = f.Director.String()
		}
		return one(vip, route+gateway, "there is no way to %s: %s", whom, back.Unreachable)
	case f.Method == "nat" && sameFamily && back.Via != f.Director:
		return one(vip, route+f.Director.String(),
			"replies to %s go %s, not by the director %s, so clients get them from the wrong address", whom, wayWords(back), f.Director)
	case f.answersItself() && sameFamily && back.Via == f.Director:
		return one(vip, route+"GATEWAY",
			"replies to %s go by the director, which drops packets that come from a VIP of its own: use the gateway that the director uses", whom)
	}
	return nil
}

// onLink tells whether an address is in a network of an interface.
func (f ServerFacts) onLink(a netip.Addr) bool {
	return slices.ContainsFunc(f.links(), func(l hostnet.Link) bool {
		return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Bits() < a.BitLen() && p.Contains(a) })
	})
}

func wayWords(w hostnet.Way) string {
	if w.Via.IsValid() {
		return fmt.Sprintf("by %s (%s)", w.Via, w.Iface)
	}
	return "straight out by " + w.Iface
}

// listens finds ports that are served, but not where packets of the service
// arrive: at the VIP, or for nat at the server's own address. Without ports to
// look for, only a host that serves nothing at the right address at all is
// found fault with.
func listens(f ServerFacts) []Finding {
	if len(f.Ports) > 0 {
		return f.listensAt(f.Ports)
	}
	var stray []hostnet.Listener
	for _, l := range f.Listeners {
		if f.served(l) {
			return nil
		}
		a := l.Addr.Addr()
		want := hostnet.Listener{Proto: l.Proto, Addr: netip.AddrPortFrom(netip.Addr{}, l.Addr.Port())}
		if l.Proto == "tcp" && !a.IsLoopback() && !slices.Contains(stray, want) {
			stray = append(stray, want)
		}
	}
	return f.listensAt(stray)
}

func (f ServerFacts) listensAt(ports []hostnet.Listener) (found []Finding) {
	for _, port := range ports {
		var at []string
		right := false
		for _, l := range f.Listeners {
			if l.Proto == port.Proto && l.Addr.Port() == port.Addr.Port() {
				right = right || f.served(l)
				at = append(at, l.Addr.Addr().String())
			}
		}
		subject := fmt.Sprintf("%s port %d", port.Proto, port.Addr.Port())
		where := f.rightAddress()
		switch {
		case right:
		case len(at) == 0:
			found = append(found, one(subject, fmt.Sprintf("start the service, listening at %s", where), "nothing listens there")...)
		default:
			found = append(found, one(subject, fmt.Sprintf("have the service listen at %s, port %d", where, port.Addr.Port()),
				"it is served at %s only, and packets come for %s", strings.Join(at, ", "), where)...)
		}
	}
	return found
}

// served tells whether a socket takes packets of a virtual service.
func (f ServerFacts) served(l hostnet.Listener) bool {
	a := l.Addr.Addr()
	switch {
	case a == netip.IPv6Unspecified(): // takes IPv4 as well, unless that is switched off
		return true
	case a == netip.IPv4Unspecified():
		return slices.ContainsFunc(f.VIPs, netip.Addr.Is4)
	case f.answersItself():
		return slices.Contains(f.VIPs, a.Unmap())
	}
	return slices.Contains(f.Locals(f.VIPs), a.Unmap())
}

func (f ServerFacts) rightAddress() string {
	if !f.answersItself() {
		return "the server's own address, or every address (0.0.0.0 or ::)"
	}
	return f.VIPs[0].String() + ", or every address (0.0.0.0 or ::)"
}
