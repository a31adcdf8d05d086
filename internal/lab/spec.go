package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/evs-project/evs/internal/realserver"
	"github.com/evs-project/evs/ipvs"
)

// Method is the forwarding method the lab is laid out for: it decides which way
// the real servers answer.
type Method string

// The forwarding methods, by their everyday names.
const (
	NAT    Method = "nat"    // ipvs.Masquerade: servers answer through the director
	DR     Method = "dr"     // ipvs.Route: the VIP on the servers' lo; they answer through the router
	Tunnel Method = "tunnel" // ipvs.Tunnel: packets come wrapped; they answer through the router
	Local  Method = "local"  // ipvs.Route to the director, which is a real server itself; the others as with DR
)

// Methods are all of them.
var Methods = []Method{NAT, DR, Tunnel, Local}

// Forwarding is the method as the virtual server table has it.
func (m Method) Forwarding() ipvs.Method {
	switch m {
	case DR, Local:
		return ipvs.Route
	case Tunnel:
		return ipvs.Tunnel
	}
	return ipvs.Masquerade
}

// Encapsulation is a kind of tunnel, by the name ipvsadm gives it.
type Encapsulation string

// Encapsulations are all of them; the first is the default.
var Encapsulations = []Encapsulation{"ipip", "gue", "gre"}

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
	minMTU     = 1280
	maxMTU     = 9000
)

// The ports every real server listens on, at all its addresses.
const (
	HTTPPort    = 80
	AltHTTPPort = 8080 // the same service, for port translation
	EchoPort    = 7    // TCP: what comes; UDP: "server1: " and the payload
)

// TunnelPort is where servers expect tunnels of kind gue.
const TunnelPort = realserver.DefaultPort

// Spec is what a lab is to be. The zero value, with defaults, is one client,
// two servers, NAT, IPv4, called "lab".
type Spec struct {
	Name     string   `json:"name"`
	Clients  int      `json:"clients"`
	Servers  int      `json:"servers"`
	Method   Method   `json:"method"`
	Families Families `json:"families"`
	// Tunnel is the kind that the servers take packets out of, if the method is
	// Tunnel.
	Tunnel Encapsulation `json:"tunnel,omitempty"`
	// Arms is the number of the director's interfaces: 2, one towards the
	// clients and one towards the servers, or 1 on the servers' link for both.
	Arms int `json:"arms"`
	// Gateways is the number of routers, 1 or 2, between the clients and the
	// director. Routes go by the first; the second is there to be chosen.
	Gateways int `json:"gateways"`
	// MTU is that of every link, InsideMTU that of the servers' link where it
	// differs; 0 leaves what the kernel gives, 1500.
	MTU       int `json:"mtu,omitempty"`
	InsideMTU int `json:"inside_mtu,omitempty"`
	// Loss is how many of a hundred packets the routers lose; see Lab.Lose.
	Loss float64 `json:"loss,omitempty"`
	// XDP readies the director's cables for XDP on its interfaces: the far
	// ends complete checksums before they send, which a program that rewrites
	// frames needs, and receive offload is on, so that they take what one
	// redirects.
	XDP bool `json:"xdp,omitempty"`
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
	if s.Method == Tunnel && s.Tunnel == "" {
		s.Tunnel = Encapsulations[0]
	}
	if s.Arms == 0 {
		s.Arms = 2
	}
	if s.Gateways == 0 {
		s.Gateways = 1
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
	case !slices.Contains(Methods, s.Method):
		return fmt.Errorf("forwarding method %q: want nat, dr, tunnel or local", s.Method)
	case !slices.Contains([]Families{Only4, Only6, Both}, s.Families):
		return fmt.Errorf("family %q: want 4, 6 or both", s.Families)
	}
	return errors.Join(s.validTunnel(), s.validArms(), s.validLoss(), s.validMTU("MTU", s.MTU), s.validMTU("MTU of the servers' link", s.InsideMTU))
}

func (s Spec) validTunnel() error {
	switch {
	case s.Tunnel != "" && !slices.Contains(Encapsulations, s.Tunnel):
		return fmt.Errorf("tunnel %q: want ipip, gue or gre", s.Tunnel)
	case s.Tunnel != "" && s.Method != Tunnel:
		return fmt.Errorf("tunnel %s with method %s: a tunnel is for method tunnel", s.Tunnel, s.Method)
	}
	return nil
}

func (s Spec) validArms() error {
	switch {
	case s.Arms != 1 && s.Arms != 2:
		return fmt.Errorf("%d arms: want 1 or 2 interfaces of the director", s.Arms)
	case s.Gateways != 1 && s.Gateways != 2:
		return fmt.Errorf("%d gateways: want 1 or 2", s.Gateways)
	case s.Gateways == 2 && s.Arms == 1:
		return errors.New("2 gateways and 1 arm: the second gateway is on the director's outer link, which takes 2 arms")
	}
	return nil
}

func (s Spec) validLoss() error {
	if s.Loss < 0 || s.Loss > 100 {
		return fmt.Errorf("loss of %g %%: want 0 to 100", s.Loss)
	}
	return nil
}

// validMTU wants what IPv6 needs, and what veth takes.
func (s Spec) validMTU(what string, mtu int) error {
	if mtu != 0 && (mtu < minMTU || mtu > maxMTU) {
		return fmt.Errorf("%s %d: want %d to %d", what, mtu, minMTU, maxMTU)
	}
	return nil
}

// onInside says whether the router has a foot on the servers' link: where
// servers answer past the director, or the director has no other link.
func (s Spec) onInside() bool { return s.Method != NAT || s.Arms == 1 }

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
	Router2  = "router2" // where there are two gateways
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
	nodes = append(nodes, s.routers()...)
	nodes = append(nodes, Director, Switch)
	for i := range s.Servers {
		nodes = append(nodes, ServerNode(i+1))
	}
	return nodes
}

func (s Spec) routers() []string { return []string{Router, Router2}[:s.Gateways] }

// Serving are the nodes that run a real server.
func (s Spec) Serving() []string {
	var nodes []string
	for i := range s.Servers {
		nodes = append(nodes, ServerNode(i+1))
	}
	if s.Method == Local {
		nodes = append(nodes, Director)
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

// RouterInside is the router's address on the servers' link, if it is on it.
func RouterInside(f ipvs.Family) netip.Addr { return host(inner[f], 254) }

// Router2Addr is the second router's address towards the director.
func Router2Addr(f ipvs.Family) netip.Addr { return host(middle[f], 254) }

// The interfaces of the director; with one arm it has the inside one alone.
const (
	DirectorOutsideIface = "outside"
	DirectorInsideIface  = "inside"
)
