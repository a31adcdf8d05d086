package datapath

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// tellAddrs tells the data path which addresses the interfaces have, and
// which of IPv6 the host has at all: its ICMP errors come from them.
func (a attacher) tellAddrs(present []facts) error {
	addrs, err := ebpf.LoadPinnedMap(filepath.Join(a.dir, controlMapLinkAddrs), nil)
	if err != nil {
		return fmt.Errorf("addresses of interfaces: %w", err)
	}
	defer addrs.Close()
	for _, f := range present {
		for _, family := range []uint8{FamilyV4, FamilyV6} {
			key := uint64(family)<<32 | uint64(f.Index)
			err := addrs.Delete(key)
			if addr, ok := f.Addrs[family]; ok {
				err = addrs.Put(key, addr)
			}
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return fmt.Errorf("address of %s: %w", f.Name, err)
			}
		}
	}
	own, err := ownAddrs()
	if err != nil {
		return err
	}
	return a.tellOwn(own)
}

// ownAddrs lists the host's IPv6 addresses, on whichever interface they are.
func ownAddrs() (map[Addr]bool, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_V6)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	own := map[Addr]bool{}
	for _, a := range list {
		if !a.IP.IsLinkLocalUnicast() && !a.IP.IsLoopback() {
			own[Addr(a.IP.To16())] = true
		}
	}
	return own, nil
}

// tellOwn makes the map of the host's addresses hold these.
func (a attacher) tellOwn(own map[Addr]bool) error {
	m, err := ebpf.LoadPinnedMap(filepath.Join(a.dir, controlMapOwnAddrs), nil)
	if err != nil {
		return fmt.Errorf("addresses of the host: %w", err)
	}
	defer m.Close()
	var addr Addr
	var gone []Addr
	var value uint32
	known := m.Iterate()
	for known.Next(&addr, &value) {
		if !own[addr] {
			gone = append(gone, addr)
		}
	}
	if err := known.Err(); err != nil {
		return fmt.Errorf("addresses of the host: %w", err)
	}
	for _, addr := range gone {
		if err := m.Delete(addr); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("address of the host: %w", err)
		}
	}
	for addr := range own {
		if err := m.Put(addr, uint32(1)); err != nil {
			return fmt.Errorf("address of the host: %w", err)
		}
	}
	return nil
}
