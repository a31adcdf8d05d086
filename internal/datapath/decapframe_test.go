package datapath

import (
	"encoding/binary"
	"net/netip"
)

// Frames for the decapsulator, built from the inside out: l4 within ip within a
// kind of tunnel within ip within ethernet.

const (
	protoIPIP, protoTCP, protoUDP, protoIPv6, protoGRE, protoFragment, protoOptions = 4, 6, 17, 41, 47, 44, 60
)

var (
	vip4, vip6       = netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8:2::10")
	client4, client6 = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:1::7")
	rip4, rip6       = netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8:3::2")
	dip4, dip6       = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:3::1")
)

func be16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func sum(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for ; len(b) > 1; b = b[2:] {
			s += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			s += uint32(b[0]) << 8
		}
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func pseudo(src, dst netip.Addr, proto byte, length int) uint16 {
	return sum(src.AsSlice(), dst.AsSlice(), be16(uint16(proto), uint16(length)))
}

// udp is a datagram with its checksum between the addresses.
func udp(src, dst netip.Addr, sport, dport uint16, checksum bool, payload []byte) []byte {
	d := append(be16(sport, dport, uint16(8+len(payload)), 0), payload...)
	if checksum {
		c := ^sum(be16(pseudo(src, dst, protoUDP, len(d))), d)
		if c == 0 {
			c = 0xffff
		}
		copy(d[6:], be16(c))
	}
	return d
}

// ip is a packet of the family of its addresses. tos is all eight bits.
func ip(src, dst netip.Addr, proto, tos byte, payload []byte) []byte {
	if src.Is6() {
		h := make([]byte, 8, 40+len(payload))
		h[0], h[1] = 0x60|tos>>4, tos<<4
		copy(h[4:], be16(uint16(len(payload))))
		h[6], h[7] = proto, 64
		return append(append(append(h, src.AsSlice()...), dst.AsSlice()...), payload...)
	}
	h := make([]byte, 12, 20+len(payload))
	h[0], h[1], h[8], h[9] = 0x45, tos, 64, proto
	copy(h[2:], be16(uint16(20+len(payload)), 0x1234, 0x4000))
	h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
	return append(fixed4(h), payload...)
}

// fixed4 puts the checksum of an IPv4 header right.
func fixed4(packet []byte) []byte {
	size := int(packet[0]&15) * 4
	copy(packet[10:], be16(0))
	copy(packet[10:], be16(^sum(packet[:size])))
	return packet
}

func ethernet(packet []byte) []byte {
	kind := uint16(0x0800)
	if packet[0]>>4 == 6 {
		kind = 0x86dd
	}
	return append(append([]byte{2, 0, 0, 0, 2, 2, 2, 0, 0, 0, 2, 1}, be16(kind)...), packet...)
}

// request is a datagram from the client to the VIP.
func request(family int, tos byte, payload int) []byte {
	src, dst := client4, vip4
	if family == 6 {
		src, dst = client6, vip6
	}
	data := make([]byte, payload)
	for i := range data {
		data[i] = byte(i * 7)
	}
	return ip(src, dst, protoUDP, tos, udp(src, dst, 40000, 53, true, data))
}

func protoOf(packet []byte) byte {
	if packet[0]>>4 == 6 {
		return protoIPv6
	}
	return protoIPIP
}

func gre(flags uint16, packet []byte) []byte {
	kind := uint16(0x0800)
	if packet[0]>>4 == 6 {
		kind = 0x86dd
	}
	h := be16(flags, kind)
	for _, bit := range []uint16{0x8000, 0x2000, 0x1000} {
		if flags&bit != 0 {
			h = append(h, 0, 0, 0, 0)
		}
	}
	whole := append(h, packet...)
	if flags&0x8000 != 0 {
		copy(whole[4:], be16(^sum(whole)))
	}
	return whole
}

// gue is the base header with its options, and what follows.
func gue(first, proto byte, flags uint16, options, packet []byte) []byte {
	h := append([]byte{first | byte(len(options)/4), proto}, be16(flags)...)
	return append(append(h, options...), packet...)
}

// remcsum is what a sender with remote checksum offload makes of a request: the
// checksum inside is that of the pseudo-header, and the option says where.
func remcsum(packet []byte) (options, offloaded []byte) {
	start, src, dst := 20, client4, vip4
	if packet[0]>>4 == 6 {
		start, src, dst = 40, client6, vip6
	}
	offloaded = append([]byte{}, packet...)
	copy(offloaded[start+6:], be16(pseudo(src, dst, protoUDP, len(packet)-start)))
	return append([]byte{0x80, 0, 0, 0}, be16(uint16(start), uint16(start+6))...), offloaded
}

// outer wraps what a tunnel carries for the real server.
func outer(family int, proto, tos byte, payload []byte) []byte {
	if family == 6 {
		return ip(dip6, rip6, proto, tos, payload)
	}
	return ip(dip4, rip4, proto, tos, payload)
}

// outerGUE is outer with UDP for GUE.
func outerGUE(family int, checksum bool, payload []byte) []byte {
	src, dst := dip4, rip4
	if family == 6 {
		src, dst = dip6, rip6
	}
	return outer(family, protoUDP, 0, udp(src, dst, 50000, 6080, checksum, payload))
}
