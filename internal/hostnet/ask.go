package hostnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Answer is a machine that says an address is its own.
type Answer struct {
	Iface string // the question went out by
	MAC   string
}

// askPatience is how long answers are waited for; a link answers in a fraction,
// but a busy host may not.
const askPatience = time.Second

// AskOwners asks on an interface who has the addresses, by ARP or neighbour
// discovery, in its own name and without claiming anything: no cache learns but
// who it is that asks. Several machines may answer for one address.
func AskOwners(ctx context.Context, iface string, addrs []netip.Addr) (map[netip.Addr][]Answer, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", iface, err)
	}
	mac := link.Attrs().HardwareAddr
	if len(mac) != 6 || link.Attrs().Flags&net.FlagUp == 0 {
		return nil, nil // nobody to ask
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("ask on %s: %w", iface, err)
	}
	defer unix.Close(fd)
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // network order
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Attrs().Index}); err != nil {
		return nil, fmt.Errorf("ask on %s: %w", iface, err)
	}
	var asked []netip.Addr
	for _, a := range addrs {
		source, ok := sourceFor(link, a)
		if !ok {
			continue // no name of its own to ask in
		}
		if _, err := unix.Write(fd, question(mac, source, a)); err != nil {
			return nil, fmt.Errorf("ask on %s who has %s: %w", iface, a, err)
		}
		asked = append(asked, a)
	}
	if len(asked) == 0 {
		return nil, nil
	}
	return listen(ctx, fd, iface, mac, asked)
}

// sourceFor is an address of the interface in the family of a, not a itself. For
// IPv4 it has to share a network with a host that is to answer, but not with a:
// a server answers for a VIP whatever network that is in.
func sourceFor(link netlink.Link, a netip.Addr) (netip.Addr, bool) {
	family := netlink.FAMILY_V4
	if a.Is6() {
		family = netlink.FAMILY_V6
	}
	addrs, err := netlink.AddrList(link, family)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return netip.Addr{}, false
	}
	var best netip.Addr
	for _, own := range addrs {
		p, ok := prefixOf(own.IPNet)
		if !ok || p.Addr() == a || own.Flags&unix.IFA_F_TENTATIVE != 0 {
			continue
		}
		if !best.IsValid() || p.Bits() < p.Addr().BitLen() && p.Contains(a) {
			best = p.Addr()
		}
	}
	return best, best.IsValid()
}

// listen collects answers until patience or ctx ends.
func listen(ctx context.Context, fd int, iface string, own net.HardwareAddr, asked []netip.Addr) (map[netip.Addr][]Answer, error) {
	answers := map[netip.Addr][]Answer{}
	deadline := time.Now().Add(askPatience)
	buffer := make([]byte, 2048)
	for ctx.Err() == nil {
		wait := unix.NsecToTimespec(max(0, time.Until(deadline)).Nanoseconds())
		n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &wait, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return answers, err
		}
		if n, err = unix.Read(fd, buffer); err != nil {
			return answers, err
		}
		a, mac, ok := readAnswer(buffer[:n])
		answer := Answer{Iface: iface, MAC: mac.String()}
		if ok && slices.Contains(asked, a) && !bytes.Equal(mac, own) && !slices.Contains(answers[a], answer) {
			answers[a] = append(answers[a], answer)
		}
	}
	return answers, ctx.Err()
}

// question is the frame that asks who has an address: an ARP request (RFC 826) or
// a neighbour solicitation (RFC 4861). It is pure.
func question(mac net.HardwareAddr, source, target netip.Addr) []byte {
	if target.Is4() {
		frame := slices.Concat(bytes.Repeat([]byte{0xff}, 6), mac, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, mac, source.AsSlice(), make([]byte, 6), target.AsSlice())
		return append(frame, make([]byte, 18)...) // to the least length of a frame
	}
	t := target.As16()
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(group[13:], t[13:])
	icmp := slices.Concat([]byte{135, 0, 0, 0, 0, 0, 0, 0}, t[:], []byte{1, 1}, mac)
	check := checksum6(source, netip.AddrFrom16(group), icmp)
	icmp[2], icmp[3] = byte(check>>8), byte(check)
	ip := slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255}, source.AsSlice(), group[:])
	return slices.Concat([]byte{0x33, 0x33}, group[12:], mac, []byte{0x86, 0xdd}, ip, icmp)
}

// checksum6 is that of ICMPv6.
func checksum6(source, target netip.Addr, payload []byte) uint16 {
	var sum uint32
	whole := slices.Concat(source.AsSlice(), target.AsSlice(), []byte{0, byte(len(payload)), 0, unix.IPPROTO_ICMPV6}, payload)
	for i := 0; i+1 < len(whole); i += 2 {
		sum += uint32(whole[i])<<8 | uint32(whole[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// readAnswer finds in a frame who has an address. It is pure.
func readAnswer(frame []byte) (netip.Addr, net.HardwareAddr, bool) {
	const header = 14
	switch {
	case len(frame) >= header+28 && frame[12] == 8 && frame[13] == 6 && frame[20] == 0 && frame[21] == 2:
		a, _ := netip.AddrFromSlice(frame[28:32])
		return a, slices.Clone(frame[22:28]), true
	case len(frame) >= header+40+24 && frame[12] == 0x86 && frame[13] == 0xdd && frame[header+6] == unix.IPPROTO_ICMPV6 && frame[header+40] == 136:
		a, _ := netip.AddrFromSlice(frame[header+48 : header+64])
		return a, slices.Clone(frame[6:12]), true
	}
	return netip.Addr{}, nil, false
}

// MACs are the hardware addresses of the host's own interfaces, and of the
// neighbours it knows by their addresses.
func MACs() (own []string, neighbours map[netip.Addr]string, err error) {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, nil, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, l := range links {
		own = append(own, l.Attrs().HardwareAddr.String())
	}
	found, err := netlink.NeighList(0, 0)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, nil, fmt.Errorf("list the neighbours: %w", err)
	}
	neighbours = map[netip.Addr]string{}
	for _, n := range found {
		if a, ok := netip.AddrFromSlice(n.IP); ok && len(n.HardwareAddr) == 6 && n.State&(unix.NUD_FAILED|unix.NUD_INCOMPLETE) == 0 {
			neighbours[a.Unmap()] = n.HardwareAddr.String()
		}
	}
	return own, neighbours, nil
}
