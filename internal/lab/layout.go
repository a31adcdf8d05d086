package lab

import (
	"net/netip"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/internal/realserver"
	"github.com/evs-project/evs/ipvs"
)

// end is one end of a cable.
type end struct{ node, iface string }

// cable is a veth pair. If the far end is on the switch, bridge says which of
// its bridges it is a port of.
type cable struct {
	a, b   end
	bridge string
	mtu    int // 0 as the kernel has it
	// far are the ends that complete checksums, and receive in bulk, for the
	// sake of an XDP program at the other.
	far []end
}

// layout is a lab decided down to the last route, with nothing done yet.
type layout struct {
	bridges []string // on the switch
	cables  []cable
	config  map[string]hostnet.Want
}

const (
	clientIface = "eth0"
	serverIface = "eth0"
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
		config:  map[string]hostnet.Want{Switch: {Up: []string{"lo"}}, Router: s.router(), Director: s.director()},
	}
	l.cables = append(s.outerCables(), s.cable(Director, DirectorInsideIface, "director", "servers"))
	if s.onInside() {
		l.cables = append(l.cables, s.cable(Router, "servers", "router-in", "servers"))
	}
	if s.Gateways == 2 {
		l.bridges = append(l.bridges, "middle")
		l.config[Router2] = s.router2()
	}
	for i := range s.Clients {
		node := ClientNode(i + 1)
		l.cables = append(l.cables, s.cable(node, clientIface, node, "clients"))
		l.config[node] = s.client(i + 1)
	}
	for i := range s.Servers {
		node := ServerNode(i + 1)
		l.cables = append(l.cables, s.cable(node, serverIface, node, "servers"))
		l.config[node] = s.server(i + 1)
	}
	return l
}

// outerCables join clients, routers and director. A single gateway has a cable
// to the director; two share a bridge with it.
func (s Spec) outerCables() []cable {
	cables := []cable{s.cable(Router, "clients", "router-out", "clients")}
	if s.Gateways == 2 {
		return append(cables,
			s.cable(Router2, "clients", "router2-out", "clients"),
			s.cable(Router, "director", "router-mid", "middle"),
			s.cable(Router2, "director", "router2-mid", "middle"),
			s.cable(Director, DirectorOutsideIface, "director-mid", "middle"))
	}
	if s.Arms == 2 {
		direct := cable{a: end{Router, "director"}, b: end{Director, DirectorOutsideIface}, mtu: s.MTU}
		if s.XDP {
			direct.far = []end{direct.a}
		}
		cables = append(cables, direct)
	}
	return cables
}

// cable is one from a node to a port of the switch.
func (s Spec) cable(node, iface, port, bridge string) cable {
	c := cable{a: end{node, iface}, b: end{Switch, port}, bridge: bridge, mtu: s.MTU}
	if bridge == "servers" && s.InsideMTU != 0 {
		c.mtu = s.InsideMTU
	}
	if s.XDP && node == Director {
		c.far = []end{c.b}
	}
	return c
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
	w := hostnet.Want{Up: []string{"lo", "clients"}}
	if s.Arms == 2 {
		w.Up = append(w.Up, "director")
	}
	if s.onInside() {
		w.Up = append(w.Up, "servers")
	}
	for _, f := range s.FamilyList() {
		w.Addresses = append(w.Addresses, at("clients", host(outer[f], 1), outer[f]))
		if s.Arms == 2 {
			w.Addresses = append(w.Addresses, at("director", RouterAddr(f), middle[f]))
		} else {
			w.Routes = append(w.Routes, hostnet.Route{To: only(VIP(f)), Via: DirectorInside(f)})
		}
		if s.onInside() {
			w.Addresses = append(w.Addresses, at("servers", RouterInside(f), inner[f]))
		} else {
			w.Routes = append(w.Routes, hostnet.Route{To: inner[f], Via: DirectorOutside(f)})
		}
	}
	return w
}

// router2 is another way between the clients and the director. To the servers
// it goes through the director.
func (s Spec) router2() hostnet.Want {
	w := hostnet.Want{Up: []string{"lo", "clients", "director"}}
	for _, f := range s.FamilyList() {
		w.Addresses = append(w.Addresses, at("clients", host(outer[f], 254), outer[f]), at("director", Router2Addr(f), middle[f]))
		w.Routes = append(w.Routes, hostnet.Route{To: inner[f], Via: DirectorOutside(f)})
	}
	return w
}

// director leaves the settings of forwarding to hostnet, as router does. The VIP
// is on the interface that the clients' packets come in by and not on lo, because
// neighbour discovery answers only for addresses of the interface it is asked on.
func (s Spec) director() hostnet.Want {
	w := hostnet.Want{Up: []string{"lo", DirectorInsideIface}}
	for _, f := range s.FamilyList() {
		gateway, outside := RouterInside(f), DirectorInsideIface
		if s.Arms == 2 {
			gateway, outside = RouterAddr(f), DirectorOutsideIface
			w.Up = append(w.Up, outside)
			w.Addresses = append(w.Addresses, at(outside, DirectorOutside(f), middle[f]))
		}
		w.Addresses = append(w.Addresses,
			hostnet.InterfaceAddress{Iface: outside, Prefix: only(VIP(f))},
			at(DirectorInsideIface, DirectorInside(f), inner[f]))
		w.Routes = append(w.Routes, defaultRoute(f, gateway))
	}
	return w
}

func (s Spec) server(i int) hostnet.Want {
	w := hostnet.Want{Up: []string{"lo", serverIface}}
	for _, f := range s.FamilyList() {
		gateway := DirectorInside(f)
		if s.Method != NAT {
			gateway = RouterInside(f)
		}
		w.Addresses = append(w.Addresses, at(serverIface, ServerAddr(i, f), inner[f]))
		w.Routes = append(w.Routes, defaultRoute(f, gateway))
	}
	return w
}

// realServer is what a server is set up as to answer for the VIPs itself; false
// if it is not.
func (s Spec) realServer() (o realserver.Options, needed bool) {
	if s.Method == NAT {
		return o, false
	}
	o.Method, o.Decap, o.Interfaces = "dr", realserver.Auto, []string{serverIface}
	if s.Method == Tunnel {
		o.Method, o.Tunnel, o.Port = "tunnel", string(s.Tunnel), TunnelPort
	}
	for _, f := range s.FamilyList() {
		o.VIPs = append(o.VIPs, VIP(f))
	}
	return o, true
}

func only(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

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
