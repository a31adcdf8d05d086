package lab

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/evs-project/evs/ipvs"
)

// Method is the forwarding method the lab is laid out for: it decides which way
// the real servers answer.
type Method string

// The forwarding methods, by their everyday names.
const (
	NAT    Method = "nat"    // ipvs.Masquerade: servers answer through the director
	DR     Method = "dr"     // ipvs.Route: the VIP on the servers' lo; they answer through the router
	Tunnel Method = "tunnel" // ipvs.Tunnel: the VIP on a tunnel device; they answer through the router
)

// Forwarding is the method as the virtual server table has it.
func (m Method) Forwarding() ipvs.Method {
	switch m {
	case DR:
		return ipvs.Route
	case Tunnel:
		return ipvs.Tunnel
	}
	return ipvs.Masquerade
}

// Families says which address families a lab speaks.
type Families string

// The choices of address family.
const (
	Only4 Families = "4"
	Only6 Families = "6"
	Both  Families = "both"
)

// Limits of a lab.
const (
	MaxServers = 16
	MaxClients = 64
)

// The ports every real server listens on, at all its addresses.
const (
	HTTPPort    = 80
	AltHTTPPort = 8080 // the same service, for port translation
	EchoPort    = 7    // UDP: "server1: " and the payload
)

// Spec is what a lab is to be. The zero value, with defaults, is one client,
// two servers, NAT, IPv4, called "lab".
type Spec struct {
	Name     string   `json:"name"`
	Clients  int      `json:"clients"`
	Servers  int      `json:"servers"`
	Method   Method   `json:"method"`
	Families Families `json:"families"`
	// GRO turns generic receive offload of every interface on, which veth
	// needs to take what an XDP program redirects. It is off by default, as
	// on any veth.
	GRO bool `json:"gro,omitempty"`
	// Binary is the evs program the real servers run; the running program if
	// empty.
	Binary string `json:"binary,omitempty"`
}

// WithDefaults fills in what was left out.
func (s Spec) WithDefaults() Spec {
	if s.Name == "" {
		s.Name = "lab"
	}
	if s.Clients == 0 {
		s.Clients = 1
	}
	if s.Servers == 0 {
		s.Servers = 2
	}
	if s.Method == "" {
		s.Method = NAT
	}
	if s.Families == "" {
		s.Families = Only4
	}
	return s
}

var nameShape = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)

// Validate says what is wrong with the spec, and what would be right.
func (s Spec) Validate() error {
	switch {
	case !nameShape.MatchString(s.Name):
		return fmt.Errorf("lab name %q: want up to 30 small letters, digits and dashes, a letter first", s.Name)
	case s.Clients < 1 || s.Clients > MaxClients:
		return fmt.Errorf("%d clients: want 1 to %d", s.Clients, MaxClients)
	case s.Servers < 1 || s.Servers > MaxServers:
		return fmt.Errorf("%d servers: want 1 to %d", s.Servers, MaxServers)
	case !slices.Contains([]Method{NAT, DR, Tunnel}, s.Method):
		return fmt.Errorf("forwarding method %q: want nat, dr or tunnel", s.Method)
	case !slices.Contains([]Families{Only4, Only6, Both}, s.Families):
		return fmt.Errorf("family %q: want 4, 6 or both", s.Families)
	}
	return nil
}

// FamilyList are the address families the lab speaks, IPv4 first.
func (s Spec) FamilyList() []ipvs.Family {
	switch s.Families {
	case Only6:
		return []ipvs.Family{ipvs.IPv6}
	case Both:
		return []ipvs.Family{ipvs.IPv4, ipvs.IPv6}
	}
	return []ipvs.Family{ipvs.IPv4}
}

// The nodes that every lab has once. The switch has no address; it joins the
// links that have more than two ends.
const (
	Router   = "router"
	Director = "director"
	Switch   = "switch"
)

// ClientNode is the name of the i-th client, counting from 1.
func ClientNode(i int) string { return fmt.Sprintf("client%d", i) }

// ServerNode is the name of the i-th real server, counting from 1.
func ServerNode(i int) string { return fmt.Sprintf("server%d", i) }

// Nodes are the names of all nodes, in the order packets meet them.
func (s Spec) Nodes() []string {
	var nodes []string
	for i := range s.Clients {
		nodes = append(nodes, ClientNode(i+1))
	}
	nodes = append(nodes, Router, Director, Switch)
	for i := range s.Servers {
		nodes = append(nodes, ServerNode(i+1))
	}
	return nodes
}

// Namespace is the name of a node's network namespace, as `ip netns` knows it.
func (s Spec) Namespace(node string) string { return s.Name + "-" + node }

// The three links: the clients', between router and director, and the real
// servers'.
var (
	outer  = map[ipvs.Family]netip.Prefix{ipvs.IPv4: netip.MustParsePrefix("198.51.100.0/24"), ipvs.IPv6: netip.MustParsePrefix("2001:db8:1::/64")}
	middle = map[ipvs.Family]netip.Prefix{ipvs.IPv4: netip.MustParsePrefix("203.0.113.0/24"), ipvs.IPv6: netip.MustParsePrefix("2001:db8:2::/64")}
	inner  = map[ipvs.Family]netip.Prefix{ipvs.IPv4: netip.MustParsePrefix("192.0.2.0/24"), ipvs.IPv6: netip.MustParsePrefix("2001:db8:3::/64")}
	vips   = map[ipvs.Family]netip.Addr{ipvs.IPv4: netip.MustParseAddr("203.0.113.10"), ipvs.IPv6: netip.MustParseAddr("2001:db8:2::10")}
)

// host is the n-th address of a network.
func host(net netip.Prefix, n int) netip.Addr {
	b := net.Addr().AsSlice()
	b[len(b)-1] = byte(n)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// VIP is the address for virtual services: 203.0.113.10 or 2001:db8:2::10.
func VIP(f ipvs.Family) netip.Addr { return vips[f] }

// ClientAddr is the address of the i-th client: 198.51.100.2 is the first.
func ClientAddr(i int, f ipvs.Family) netip.Addr { return host(outer[f], i+1) }

// ServerAddr is the address (RIP) of the i-th real server: 192.0.2.2 is the
// first.
func ServerAddr(i int, f ipvs.Family) netip.Addr { return host(inner[f], i+1) }

// DirectorInside is the director's address (DIP) on the real servers' link.
func DirectorInside(f ipvs.Family) netip.Addr { return host(inner[f], 1) }

// DirectorOutside is the director's address towards the router.
func DirectorOutside(f ipvs.Family) netip.Addr { return host(middle[f], 2) }

// RouterAddr is the router's address towards the director.
func RouterAddr(f ipvs.Family) netip.Addr { return host(middle[f], 1) }

// The interfaces of the director.
const (
	DirectorOutsideIface = "outside"
	DirectorInsideIface  = "inside"
)
