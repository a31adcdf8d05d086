package room

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/bench/packet"
)

// Name is the director's interface in the room.
const Name = "bench0"

const (
	peer    = "wire0"
	address = "203.0.113.129/25" // the director's, in the real servers' network
	gateway = "203.0.113.131"    // the clients' router
	clients = "198.51.100.0/24"
)

// Wire builds the director's interface with its addresses, the route to the
// clients and the neighbours, all static, so that a target may ask the kernel
// for the way. It returns the interface's index. Call it inside the room.
func Wire(s packet.Scene) (int, error) {
	veth := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: Name, HardwareAddr: s.Director[:]},
		PeerName:         peer,
		PeerHardwareAddr: s.Gateway[:],
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return 0, fmt.Errorf("create the veth pair %s, %s: %w", Name, peer, err)
	}
	if err := forward(); err != nil {
		return 0, err
	}
	for _, name := range []string{"lo", peer, Name} {
		if err := up(name); err != nil {
			return 0, err
		}
	}
	link, err := netlink.LinkByName(Name)
	if err != nil {
		return 0, fmt.Errorf("find interface %s: %w", Name, err)
	}
	index := link.Attrs().Index
	if err := furnish(link, s); err != nil {
		return 0, err
	}
	return index, nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set interface %s up: %w", name, err)
	}
	return nil
}

func furnish(link netlink.Link, s packet.Scene) error {
	for _, a := range []string{address, s.VIP.Addr().String() + "/32"} {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a, Name, err)
		}
	}
	router := netip.MustParseAddr(gateway)
	for ip, mac := range map[netip.Addr]packet.MAC{router: s.Gateway, s.Server.Addr(): s.RealMAC} {
		if err := Neighbour(link, ip, mac[:]); err != nil {
			return err
		}
	}
	_, dst, err := net.ParseCIDR(clients)
	if err != nil {
		return fmt.Errorf("network %s: %w", clients, err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Gw: net.IP(router.AsSlice())}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("add route to %s by %s: %w", clients, gateway, err)
	}
	return nil
}

// Neighbour makes ip a neighbour for good, who need not be asked for.
func Neighbour(link netlink.Link, ip netip.Addr, mac net.HardwareAddr) error {
	err := netlink.NeighSet(&netlink.Neigh{
		LinkIndex:    link.Attrs().Index,
		State:        netlink.NUD_PERMANENT,
		IP:           net.IP(ip.AsSlice()),
		HardwareAddr: mac,
	})
	if err != nil {
		return fmt.Errorf("add neighbour %s to %s: %w", ip, link.Attrs().Name, err)
	}
	return nil
}

// forward makes the namespace a router: bpf_fib_lookup refuses to answer for
// an interface that does not forward.
func forward() error {
	for name, value := range map[string]string{
		"ip_forward":                  "1",
		"conf/all/forwarding":         "1",
		"conf/all/rp_filter":          "0",
		"conf/" + Name + "/rp_filter": "0",
	} {
		path := filepath.Join("/proc/sys/net/ipv4", name)
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s to %s: %w", path, value, err)
		}
	}
	return nil
}
