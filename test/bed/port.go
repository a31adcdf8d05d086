package bed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Port is the far end of one of the director's cables.
type Port struct{ fd int }

// cable lays a veth pair from this namespace to outside.
func (t *Topology) cable(near string, nearMAC net.HardwareAddr, far string, farMAC net.HardwareAddr) (int, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = near, nearMAC
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1
	pair := &netlink.Veth{
		LinkAttrs: attrs, PeerName: far, PeerHardwareAddr: farMAC,
		PeerNamespace: netlink.NsFd(t.outside), PeerNumTxQueues: 1, PeerNumRxQueues: 1,
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return 0, fmt.Errorf("cable %s to %s: %w", near, far, err)
	}
	link, err := netlink.LinkByName(near)
	if err != nil {
		return 0, err
	}
	// What the director's own stack sends shall be complete on the wire.
	if err := ethtool(near, unix.ETHTOOL_STXCSUM, 0); err != nil {
		return 0, fmt.Errorf("transmit checksums of %s: %w", near, err)
	}
	if err := t.farUp(far); err != nil {
		return 0, err
	}
	return link.Attrs().Index, netlink.LinkSetUp(link)
}

// farUp readies a far end. It needs gro to receive what XDP redirects; it has
// no IPv6 and so is silent.
func (t *Topology) farUp(name string) error {
	return t.atOutside(func() error {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil {
			return err
		}
		if err := ethtool(name, unix.ETHTOOL_SGRO, 1); err != nil {
			return fmt.Errorf("gro of %s: %w", name, err)
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}

// Apart has the server's end receive packets one by one, as the wire has them, and
// not joined. What XDP redirects does not get there then.
func (t *Topology) Apart() error {
	return t.atOutside(func() error { return ethtool("r0", unix.ETHTOOL_SGRO, 0) })
}

// atOutside runs act on this thread in the namespace of the far ends.
func (t *Topology) atOutside(act func() error) error {
	if err := netns.Set(t.outside); err != nil {
		return err
	}
	err := act()
	return errors.Join(err, netns.Set(t.inside))
}

// ethtool switches one feature of an interface.
func ethtool(name string, command, value uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request := [2]uint32{command, value}
	var ifr struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(ifr.name[:len(ifr.name)-1], name)
	ifr.data = unsafe.Pointer(&request)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr))); errno != 0 {
		return errno
	}
	return nil
}

// open opens a far end for frames of IP, which leaves out ARP and the like.
func (t *Topology) open(name string) (*Port, error) {
	p := &Port{fd: -1}
	return p, t.atOutside(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
		if p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptInt(p.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Attrs().Index}))
	})
}

func (p *Port) close() {
	if p != nil && p.fd >= 0 {
		unix.Close(p.fd)
	}
}

// Send puts a frame on the cable, towards the director.
func (p *Port) Send(frame []byte) error {
	_, err := unix.Write(p.fd, frame)
	return err
}

// SendVerified sends a frame of ICMPv6 as if the director's device had checked
// its checksum: as one that is still to be filled in.
func (p *Port) SendVerified(frame []byte) error {
	const start, at = ethLen + 40, 2 // of the message; of its checksum in it
	if len(frame) < start+8 || frame[ethLen+6] != protoICMP6 {
		return errors.New("a frame that is vouched for is ICMPv6 without extension headers")
	}
	return p.sendHeaded(frame, protoICMP6, start, at, 0, 0)
}

// SendSuper sends a frame that stands for as many as it takes to carry size bytes of
// payload each; the checksums of those are still to be made. It is of TCP or UDP.
func (p *Port) SendSuper(frame []byte, size int) error {
	const tcp4, tcp6, udp = 1, 4, 5 // VIRTIO_NET_HDR_GSO_TCPV4, _TCPV6, _UDP_L4
	proto, start, kind := frame[ethLen+9], ethLen+20, byte(tcp4)
	if frame[ethLen]>>4 == 6 {
		proto, start, kind = frame[ethLen+6], ethLen+40, tcp6
	}
	if proto == protoUDP {
		return p.sendHeaded(frame, proto, start, 6, udp, size)
	}
	return p.sendHeaded(frame, proto, start, 16, kind, size)
}

// sendHeaded sends a frame whose transport header begins at start, with its checksum
// so many bytes behind that still to be made; and, of a kind of segments, their size.
func (p *Port) sendHeaded(frame []byte, proto byte, start, at int, kind byte, size int) error {
	if err := unix.SetsockoptInt(p.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return err
	}
	header := make([]byte, 10)     // struct virtio_net_hdr
	header[0], header[1] = 1, kind // VIRTIO_NET_HDR_F_NEEDS_CSUM
	if kind != 0 {
		binary.NativeEndian.PutUint16(header[2:], uint16(start+at+4))
		binary.NativeEndian.PutUint16(header[4:], uint16(size))
	}
	binary.NativeEndian.PutUint16(header[6:], uint16(start))
	binary.NativeEndian.PutUint16(header[8:], uint16(at))
	frame = append(header, frame...)
	ip := frame[len(header)+ethLen:]
	put(ip[start-ethLen+at:], fold(pseudo(ip, proto, len(ip)-(start-ethLen))))
	_, err := unix.Write(p.fd, frame)
	return errors.Join(err, unix.SetsockoptInt(p.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 0))
}

// Receive returns the next packet of IP that came out of the director, nil if
// none came in time. What a host says to its neighbours is left out.
func (p *Port) Receive(patience time.Duration) ([]byte, error) {
	deadline := time.Now().Add(patience)
	buffer := make([]byte, 65536)
	for {
		left := max(0, time.Until(deadline))
		wait := unix.NsecToTimespec(left.Nanoseconds())
		n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, &wait, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n == 0 || err != nil {
			return nil, err
		}
		if n, err = unix.Read(p.fd, buffer); err != nil {
			return nil, err
		}
		if !isNoise(buffer[:n]) {
			return buffer[:n], nil
		}
	}
}

// isNoise tells ARP, neighbour discovery, and reports of multicast listeners
// from what the director forwards or answers.
func isNoise(frame []byte) bool {
	if len(frame) < ethLen+20 {
		return true
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return false
	case unix.ETH_P_IPV6:
	default:
		return true
	}
	proto, l4, err := upper(frame[ethLen:])
	if err != nil || proto != protoICMP6 || len(l4) == 0 {
		return false
	}
	kind := l4[0]
	return kind >= 130 && kind <= 137 || kind == 143
}
