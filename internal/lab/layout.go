package lab

import (
	"net/netip"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// end is one end of a cable.
type end struct{ node, iface string }

// cable is a veth pair. If the far end is on the switch, bridge says which of
// its bridges it is a port of.
type cable struct {
	a, b   end
	bridge string
}

// layout is a lab decided down to the last route, with nothing done yet.
type layout struct {
	bridges []string // on the switch
	cables  []cable
	// tunnels are the nodes' tunnel ends, by node.
	tunnels map[string][]tunnelEnd
	config  map[string]hostnet.Want
}

type tunnelEnd struct {
	name  string
	local netip.Addr
}

const (
	clientIface = "eth0"
	serverIface = "eth0"
	tunnelIface = "tun"
)

// quiet are the settings a node gets before it has interfaces: no wait for
// duplicate addresses, no router advertisements, no reverse-path check, no
// redirects.
var quiet = hostnet.Values{
	hostnet.InterfaceKey("ipv6", "default", "accept_dad"):     "0",
	hostnet.InterfaceKey("ipv6", "default", "dad_transmits"):  "0",
	hostnet.InterfaceKey("ipv6", "default", "accept_ra"):      "0",
	hostnet.InterfaceKey("ipv4", "default", "rp_filter"):      "0",
	hostnet.InterfaceKey("ipv4", "all", "rp_filter"):          "0",
	hostnet.InterfaceKey("ipv4", "default", "send_redirects"): "0",
	hostnet.InterfaceKey("ipv4", "all", "send_redirects"):     "0",
}

// layout decides. For NAT the way from a server back to a client is through the
// director; otherwise the router has a foot on the servers' link and it is
// through that.
func (s Spec) layout() layout {
	l := layout{
		bridges: []string{"clients", "servers"},
		tunnels: map[string][]tunnelEnd{},
		config:  map[string]hostnet.Want{Switch: {Up: []string{"lo"}}},
	}
	l.cables = []cable{
		{a: end{Router, "clients"}, b: end{Switch, "router-out"}, bridge: "clients"},
		{a: end{Router, "director"}, b: end{Director, DirectorOutsideIface}},
		{a: end{Director, DirectorInsideIface}, b: end{Switch, "director"}, bridge: "servers"},
	}
	if s.Method != NAT {
		l.cables = append(l.cables, cable{a: end{Router, "servers"}, b: end{Switch, "router-in"}, bridge: "servers"})
	}
	for i := range s.Clients {
		node := ClientNode(i + 1)
		l.cables = append(l.cables, cable{a: end{node, clientIface}, b: end{Switch, node}, bridge: "clients"})
		l.config[node] = s.client(i + 1)
	}
	for i := range s.Servers {
		node := ServerNode(i + 1)
		l.cables = append(l.cables, cable{a: end{node, serverIface}, b: end{Switch, node}, bridge: "servers"})
		l.config[node] = s.server(i + 1)
		if s.Method == Tunnel {
			for _, f := range s.FamilyList() {
				l.tunnels[node] = append(l.tunnels[node], tunnelEnd{tunnelName(f), ServerAddr(i+1, f)})
			}
		}
	}
	l.config[Router] = s.router()
	l.config[Director] = s.director()
	return l
}

func (s Spec) client(i int) hostnet.Want {
	w := hostnet.Want{Up: []string{"lo", clientIface}}
	for _, f := range s.FamilyList() {
		w.Addresses = append(w.Addresses, at(clientIface, ClientAddr(i, f), outer[f]))
		w.Routes = append(w.Routes, defaultRoute(f, host(outer[f], 1)))
	}
	return w
}

func (s Spec) router() hostnet.Want {
	w := hostnet.Want{Up: []string{"lo", "clients", "director"}}
	for _, f := range s.FamilyList() {
		w.Addresses = append(w.Addresses, at("clients", host(outer[f], 1), outer[f]), at("director", RouterAddr(f), middle[f]))
		if s.Method == NAT {
			w.Routes = append(w.Routes, hostnet.Route{To: inner[f], Via: DirectorOutside(f)})
		} else {
			w.Addresses = append(w.Addresses, at("servers", routerInside(f), inner[f]))
		}
	}
	if s.Method != NAT {
		w.Up = append(w.Up, "servers")
	}
	return w
}

// director leaves the settings of forwarding to hostnet, as router does. The VIP is on
// the outside interface and not on lo, because neighbour discovery answers only
// for addresses of the interface it is asked on.
func (s Spec) director() hostnet.Want {
	w := hostnet.Want{Up: []string{"lo", DirectorOutsideIface, DirectorInsideIface}}
	for _, f := range s.FamilyList() {
		w.Addresses = append(w.Addresses,
			at(DirectorOutsideIface, DirectorOutside(f), middle[f]),
			hostnet.InterfaceAddress{Iface: DirectorOutsideIface, Prefix: netip.PrefixFrom(VIP(f), VIP(f).BitLen())},
			at(DirectorInsideIface, DirectorInside(f), inner[f]))
		w.Routes = append(w.Routes, defaultRoute(f, RouterAddr(f)))
	}
	return w
}

func (s Spec) server(i int) hostnet.Want {
	w := hostnet.Want{Up: []string{"lo", serverIface}, Sysctl: hostnet.Values{}}
	for _, f := range s.FamilyList() {
		gateway := DirectorInside(f)
		if s.Method != NAT {
			gateway = routerInside(f)
			device := "lo"
			if s.Method == Tunnel {
				device = tunnelName(f)
			}
			own := hostnet.RealServer(device, VIP(f))
			w.Up = append(w.Up, own.Up...)
			w.Addresses = append(w.Addresses, own.Addresses...)
			for key, value := range own.Sysctl {
				w.Sysctl[key] = value
			}
		}
		w.Addresses = append(w.Addresses, at(serverIface, ServerAddr(i, f), inner[f]))
		w.Routes = append(w.Routes, defaultRoute(f, gateway))
	}
	return w
}

func routerInside(f ipvs.Family) netip.Addr { return host(inner[f], 254) }

func tunnelName(f ipvs.Family) string { return tunnelIface + string('0'+rune(f)) }

func at(iface string, a netip.Addr, net netip.Prefix) hostnet.InterfaceAddress {
	return hostnet.InterfaceAddress{Iface: iface, Prefix: netip.PrefixFrom(a, net.Bits())}
}

func defaultRoute(f ipvs.Family, via netip.Addr) hostnet.Route {
	to := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if f == ipvs.IPv6 {
		to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return hostnet.Route{To: to, Via: via}
}
