package packet

import (
	"encoding/binary"
	"net/netip"
)

// Len is the length of every frame: the smallest Ethernet has, 64 bytes less
// the check sequence.
const Len = 60

// TTL is what every frame starts with.
const TTL = 64

const (
	offIP     = 14
	offTTL    = offIP + 8
	offIPSum  = offIP + 10
	offSource = offIP + 12
	offDest   = offIP + 16
	offTCP    = offIP + 20
	offFlags  = offTCP + 13
	offTCPSum = offTCP + 16
	tcpLen    = 20
)

// Blank is a frame whose client is yet to be filled in: address, port and both
// checksums are zero, and the sums are what the checksums cover so far, in the
// byte order of the wire, not yet complemented.
type Blank struct {
	Bytes  [Len]byte
	IPSum  uint16
	TCPSum uint16
	Reply  bool
}

// Blank builds the frame of a kind for whichever client.
func (s Scene) Blank(k Kind) Blank {
	b := Blank{Bytes: s.build(k, netip.AddrPortFrom(netip.IPv4Unspecified(), 0)), Reply: k.Reply}
	b.IPSum = fold(ipSum(b.Bytes[:]))
	b.TCPSum = fold(tcpSum(b.Bytes[:]))
	return b
}

// Frame is the frame of a kind for flow f, as the client or the server sends
// it: what the harness makes of the Blank.
func (s Scene) Frame(k Kind, f int) []byte {
	frame := s.build(k, Client(f))
	binary.BigEndian.PutUint16(frame[offIPSum:], ^fold(ipSum(frame[:])))
	binary.BigEndian.PutUint16(frame[offTCPSum:], ^fold(tcpSum(frame[:])))
	return frame[:]
}

func (s Scene) build(k Kind, client netip.AddrPort) [Len]byte {
	from, to, source := client, s.VIP, s.Gateway
	if k.Reply {
		from, to, source = s.Server, client, s.RealMAC
	}
	var b [Len]byte
	copy(b[0:], s.Director[:])
	copy(b[6:], source[:])
	binary.BigEndian.PutUint16(b[12:], 0x0800)

	b[offIP] = 0x45
	binary.BigEndian.PutUint16(b[offIP+2:], 20+tcpLen)
	b[offIP+6] = 0x40 // do not fragment
	b[offTTL] = TTL
	b[offIP+9] = 6 // TCP
	put(b[:], offSource, from.Addr())
	put(b[:], offDest, to.Addr())

	binary.BigEndian.PutUint16(b[offTCP:], from.Port())
	binary.BigEndian.PutUint16(b[offTCP+2:], to.Port())
	seq, ack := k.numbers()
	binary.BigEndian.PutUint32(b[offTCP+4:], seq)
	binary.BigEndian.PutUint32(b[offTCP+8:], ack)
	b[offTCP+12] = tcpLen / 4 << 4
	b[offFlags] = k.Flags
	binary.BigEndian.PutUint16(b[offTCP+14:], 65535)
	return b
}

func put(b []byte, at int, addr netip.Addr) {
	a := addr.As4()
	copy(b[at:], a[:])
}

// ipSum adds up the IP header.
func ipSum(frame []byte) uint32 { return add(0, frame[offIP:offTCP]) }

// tcpSum adds up the pseudo-header and the segment, which carries no data.
func tcpSum(frame []byte) uint32 {
	sum := add(6+tcpLen, frame[offSource:offTCP])
	return add(sum, frame[offTCP:offTCP+tcpLen])
}

func add(sum uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
