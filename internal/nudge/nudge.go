// Package nudge makes an idle peer of a TCP connection speak, whose sequence numbers
// nobody knows: by a segment that it cannot accept, which it has to answer with an
// acknowledgement (RFC 9293, section 3.10.7.4). It never receives anything.
package nudge

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Ends are those of a connection: a segment is sent from one to the other, whether
// this host has the address it comes from or not.
type Ends struct {
	From, To netip.AddrPort
}

// Send sends a segment to each, from the network namespace of the calling thread. Where
// there is no way to a peer, nothing is sent to it.
func Send(all []Ends) error {
	sockets := map[int]int{}
	defer func() {
		for _, fd := range sockets {
			unix.Close(fd)
		}
	}()
	for _, e := range all {
		domain, to := peer(e.To)
		fd, open := sockets[domain]
		if !open {
			var err error
			if fd, err = unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
				return fmt.Errorf("raw socket: %w", err)
			}
			sockets[domain] = fd
		}
		_ = unix.Sendto(fd, packet(e, rand.Uint32(), rand.Uint32()), 0, to) // there may be no way, or a filter
	}
	return nil
}

// peer is where the socket sends to; the port is in the packet.
func peer(a netip.AddrPort) (domain int, to unix.Sockaddr) {
	if a.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: a.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Addr: a.Addr().As16()}
}

const (
	tcpSize = 20
	tcpACK  = 0x10
	hops    = 64
)

// packet is a bare acknowledgement; of IPv4 the kernel fills in the header's checksum.
func packet(e Ends, seq, ack uint32) []byte {
	tcp := make([]byte, tcpSize)
	binary.BigEndian.PutUint16(tcp, e.From.Port())
	binary.BigEndian.PutUint16(tcp[2:], e.To.Port())
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = tcpSize/4<<4, tcpACK
	addrs := append(e.From.Addr().AsSlice(), e.To.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(tcp[16:], ^sum(addrs, tcp, []byte{0, unix.IPPROTO_TCP, 0, tcpSize}))
	if e.To.Addr().Is4() {
		const size = 20
		ip := []byte{0x45, 0, 0, size + tcpSize, 0, 0, 0x40, 0, hops, unix.IPPROTO_TCP, 0, 0}
		return append(append(ip, addrs...), tcp...)
	}
	ip := []byte{0x60, 0, 0, 0, 0, tcpSize, unix.IPPROTO_TCP, hops}
	return append(append(ip, addrs...), tcp...)
}

// sum is that of the Internet checksum (RFC 1071) over parts of even length.
func sum(parts ...[]byte) uint16 {
	var s uint32
	for _, p := range parts {
		for i := 0; i < len(p); i += 2 {
			s += uint32(binary.BigEndian.Uint16(p[i:]))
		}
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
