package hostnet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoTunnelDevice says that the kernel has no device that takes IP-in-IP
// packets apart.
var ErrNoTunnelDevice = errors.New("this kernel has no IP-in-IP tunnel device; load its modules (modprobe -a ipip ip6_tunnel) or use another forwarding method")

// AddVeth creates a veth pair: name in the calling thread's namespace, peer in
// the namespace that the open file descriptor peerNS stands for. The pair never
// exists anywhere else. The MTU of both is the kernel's choice if mtu is 0.
func AddVeth(name, peer string, peerNS, mtu int) error {
	link := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: peer, PeerNamespace: netlink.NsFd(peerNS)}
	link.Name, link.MTU = name, mtu
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("veth pair %s and %s: %w", name, peer, err)
	}
	return nil
}

// AddBridge creates a bridge, up, without spanning tree.
func AddBridge(name string) error {
	link := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	link.Name = name
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

// AddPort puts the interface port into bridge and sets it up.
func AddPort(bridge, port string) error {
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", bridge, err)
	}
	link, err := netlink.LinkByName(port)
	if err != nil {
		return fmt.Errorf("port %s of bridge %s: %w", port, bridge, err)
	}
	if err := netlink.LinkSetMaster(link, master); err != nil {
		return fmt.Errorf("port %s of bridge %s: %w", port, bridge, err)
	}
	return netlink.LinkSetUp(link)
}

// AddTunnelEnd creates a device that unpacks IP-in-IP packets for local from
// any director: ipip for IPv4, ip6tnl for IPv6. The error wraps
// ErrNoTunnelDevice when the kernel has none.
func AddTunnelEnd(name string, local netip.Addr) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	var link netlink.Link = &netlink.Iptun{LinkAttrs: attrs, Local: local.AsSlice(), Ttl: 64}
	if local.Is6() {
		link = &netlink.Ip6tnl{LinkAttrs: attrs, Local: local.AsSlice(), Remote: netip.IPv6Unspecified().AsSlice(), Proto: unix.IPPROTO_IPV6}
	}
	err := netlink.LinkAdd(link)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("tunnel end %s: %w", local, ErrNoTunnelDevice)
	}
	if err != nil {
		return fmt.Errorf("tunnel end %s for %s: %w", name, local, err)
	}
	return nil
}
