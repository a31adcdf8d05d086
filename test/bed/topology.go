package bed

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Topology is the network of the recordings, without a table: a director
// between two cables. What the recordings were made on is the same.
type Topology struct {
	// Client and Server are the far ends of the director's two cables.
	Client, Server *Port
	// D0 and D1 are the indices of the director's interfaces.
	D0, D1 int

	inside  netns.NsHandle // the director
	outside netns.NsHandle // the far ends
}

// Side is the far end of a side of the recordings: "client" or "server".
func (t *Topology) Side(name string) *Port {
	if name == "server" {
		return t.Server
	}
	return t.Client
}

// Build lays the topology in new namespaces. The calling goroutine is locked to
// a thread in the director's until it ends. What was made before an error is
// left to Close.
func (t *Topology) Build() (err error) {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	t.inside, t.outside = netns.None(), netns.None()
	if t.outside, err = emptyNamespace(); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if t.inside, err = netns.Get(); err != nil {
		return err
	}
	return t.wire()
}

// Close gives up the namespaces, which end with their last thread and
// descriptor.
func (t *Topology) Close() error {
	t.Client.close()
	t.Server.close()
	return errors.Join(t.inside.Close(), t.outside.Close())
}

// Enter puts the calling goroutine into the director's namespace, on a thread
// that ends with it.
func (t *Topology) Enter() error {
	runtime.LockOSThread()
	return netns.Set(t.inside)
}

// emptyNamespace makes a namespace that nothing runs in.
func emptyNamespace() (netns.NsHandle, error) {
	type result struct {
		ns  netns.NsHandle
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // ends with the thread
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{netns.None(), fmt.Errorf("network namespace: %w", err)}
			return
		}
		ns, err := netns.Get()
		made <- result{ns, err}
	}()
	r := <-made
	return r.ns, r.err
}

// The addresses of the recordings. A server of number n has MAC address n too.
const (
	vips4, vips6 = "198.51.100.128/25", "2001:db8:2::/64"
	servers      = 64
)

var (
	directorClientMAC = net.HardwareAddr{2, 0, 0, 0, 1, 0xfe}
	directorServerMAC = net.HardwareAddr{2, 0, 0, 0, 2, 0xfe}
	clientRouterMAC   = net.HardwareAddr{2, 0, 0, 0, 1, 1}
	strangerMAC       = net.HardwareAddr{2, 0, 0, 0, 2, 0xfd} // on the servers' side

	// clientNets are behind a router each, which is the same machine.
	clientNets = []struct{ net, router string }{
		{"192.0.2.0/24", "192.0.2.253"},
		{"198.51.100.0/25", "192.0.2.253"},
		{"2001:db8:1::/64", "2001:db8:1::fd"},
	}

	serverNets = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:3::/64")}
)

// serverAddrs are the addresses of server n.
func serverAddrs(n int) (both []netip.Addr) {
	for _, p := range serverNets {
		a := p.Addr().AsSlice()
		a[len(a)-1] = byte(n)
		addr, _ := netip.AddrFromSlice(a)
		both = append(both, addr)
	}
	return both
}

func serverMAC(n int) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 2, byte(n)} }

// macOf is the MAC address that a packet from the servers' side comes from.
func macOf(a netip.Addr) net.HardwareAddr {
	b := a.AsSlice()
	n := int(b[len(b)-1])
	for _, p := range serverNets {
		if p.Contains(a) && 1 <= n && n <= servers {
			return serverMAC(n)
		}
	}
	return strangerMAC
}

// settings are those of the director, in the order in which they take effect:
// what is set by default holds for the interfaces made afterwards.
var settings = [][2]string{
	{"ipv4/ip_forward", "1"},
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
	{"ipv4/conf/all/send_redirects", "0"},
	{"ipv4/conf/default/send_redirects", "0"},
	{"ipv4/icmp_ratelimit", "0"},
	{"ipv4/icmp_ratemask", "0"},
	{"ipv6/icmp/ratelimit", "0"},
	{"ipv6/icmp/ratemask", ""},
	{"ipv6/conf/default/accept_dad", "0"},
	{"ipv6/conf/default/accept_ra", "0"},
	{"ipv6/conf/default/addr_gen_mode", "1"}, // no link-local address
	{"ipv6/conf/all/forwarding", "1"},
}

// wire lays the cables and sets the director up.
func (t *Topology) wire() (err error) {
	for _, s := range settings {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", s[0]), []byte(s[1]+"\n"), 0); err != nil {
			return fmt.Errorf("setting %s: %w", s[0], err)
		}
	}
	if t.D0, err = t.cable("d0", directorClientMAC, "c0", clientRouterMAC); err != nil {
		return err
	}
	if t.D1, err = t.cable("d1", directorServerMAC, "r0", serverMAC(1)); err != nil {
		return err
	}
	if err := t.address(); err != nil {
		return err
	}
	if t.Client, err = t.open("c0"); err != nil {
		return err
	}
	t.Server, err = t.open("r0")
	return err
}

// address gives the director its addresses, neighbours and routes.
func (t *Topology) address() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	errs := []error{
		netlink.LinkSetUp(lo),
		addAddr(t.D0, "192.0.2.254/32"),
		addAddr(t.D0, "2001:db8:1::fe/128"),
		addAddr(t.D1, "203.0.113.254/24"),
		addAddr(t.D1, "2001:db8:3::fe/64"),
	}
	errs = append(errs, t.meet())
	for _, c := range clientNets {
		errs = append(errs, netlink.RouteAdd(&netlink.Route{
			LinkIndex: t.D0, Dst: prefix(c.net), Gw: netip.MustParseAddr(c.router).AsSlice(), Flags: int(netlink.FLAG_ONLINK),
		}))
	}
	for _, dst := range []string{vips4, vips6} {
		errs = append(errs, netlink.RouteAdd(&netlink.Route{
			LinkIndex: lo.Attrs().Index, Dst: prefix(dst), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST,
		}))
	}
	return errors.Join(errs...)
}

// meet gives the director its neighbours, also those that it has lost.
func (t *Topology) meet() error {
	var errs []error
	for n := 1; n <= servers; n++ {
		for _, a := range serverAddrs(n) {
			errs = append(errs, addNeighbour(t.D1, a, serverMAC(n)))
		}
	}
	for _, c := range clientNets {
		errs = append(errs, addNeighbour(t.D0, netip.MustParseAddr(c.router), clientRouterMAC))
	}
	return errors.Join(errs...)
}

// widen gives the director's links their MTU back.
func (t *Topology) widen() error {
	var errs []error
	for _, link := range []int{t.D0, t.D1} {
		errs = append(errs, netlink.LinkSetMTU(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: link}}, mtu))
	}
	return errors.Join(errs...)
}

func prefix(s string) *net.IPNet {
	p := netip.MustParsePrefix(s)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func addAddr(link int, s string) error {
	a, err := netlink.ParseAddr(s)
	if err != nil {
		return err
	}
	a.Flags = unix.IFA_F_NODAD
	return netlink.AddrAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: link}}, a)
}

func addNeighbour(link int, a netip.Addr, mac net.HardwareAddr) error {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	return netlink.NeighSet(&netlink.Neigh{
		LinkIndex: link, IP: a.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT, Family: family,
	})
}
