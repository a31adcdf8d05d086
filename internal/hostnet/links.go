package hostnet

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

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
