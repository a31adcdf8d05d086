package bed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Packet is one TCP or UDP packet over IPv4, as the recordings describe it.
type Packet struct {
	Proto   string     `json:"proto"`
	Src     netip.Addr `json:"src"`
	Sport   uint16     `json:"sport"`
	Dst     netip.Addr `json:"dst"`
	Dport   uint16     `json:"dport"`
	Flags   string     `json:"flags"` // of TCP
	Len     int        `json:"len"`   // of the payload
	From    string     `json:"from"`  // "server" if it comes from there
	TTL     uint8      `json:"-"`     // 0: 64
	Payload []byte     `json:"-"`
}

const (
	protoTCP = 6
	protoUDP = 17
)

// tcpFlags are the letters of the recordings, the lowest bit first.
const tcpFlags = "FSRPAUEC"

// FromServer tells on which side of the director the packet comes in.
func (p Packet) FromServer() bool { return p.From == "server" }

// Frame is the packet on the cable, with right checksums.
func (p Packet) Frame() ([]byte, error) {
	payload := p.Payload
	if payload == nil {
		payload = make([]byte, p.Len)
	}
	var l4 []byte
	proto := byte(protoTCP)
	switch p.Proto {
	case "tcp":
		l4 = p.tcp()
	case "udp":
		proto = protoUDP
		l4 = make([]byte, 8)
		binary.BigEndian.PutUint16(l4[4:], uint16(8+len(payload)))
	default:
		return nil, fmt.Errorf("protocol %q", p.Proto)
	}
	binary.BigEndian.PutUint16(l4, p.Sport)
	binary.BigEndian.PutUint16(l4[2:], p.Dport)
	frame := append(p.ethernet(), p.ipv4(proto, len(l4)+len(payload))...)
	frame = append(append(frame, l4...), payload...)
	return Checksummed(frame), nil
}

func (p Packet) tcp() []byte {
	h := make([]byte, 20)
	binary.BigEndian.PutUint32(h[4:], 1000)
	h[12] = 5 << 4
	for _, f := range p.Flags {
		h[13] |= 1 << strings.IndexRune(tcpFlags, f)
	}
	binary.BigEndian.PutUint16(h[14:], 64240)
	return h
}

func (p Packet) ethernet() []byte {
	src, dst := clientRouterMAC, directorClientMAC
	if p.FromServer() {
		src, dst = serverMAC(int(p.Src.As4()[3])), directorServerMAC
	}
	return append(append(append([]byte{}, dst...), src...), 8, 0)
}

func (p Packet) ipv4(proto byte, payload int) []byte {
	h := make([]byte, 20)
	h[0] = 0x45
	binary.BigEndian.PutUint16(h[2:], uint16(20+payload))
	binary.BigEndian.PutUint16(h[4:], 0x1234)
	h[6] = 0x40 // do not fragment
	h[8] = p.TTL
	if p.TTL == 0 {
		h[8] = 64
	}
	h[9] = proto
	copy(h[12:], p.Src.AsSlice())
	copy(h[16:], p.Dst.AsSlice())
	return h
}

// Checksummed fills in the checksums of a frame of TCP or UDP.
func Checksummed(frame []byte) []byte {
	ip := frame[14:]
	l4 := ip[4*(ip[0]&15):]
	at := 16
	if ip[9] == protoUDP {
		at = 6
	}
	put(l4[at:], 0)
	pseudo := sum(ip[12:20]) + uint32(ip[9]) + uint32(len(l4))
	check := ^fold(pseudo + sum(l4))
	if check == 0 && ip[9] == protoUDP {
		check = 0xffff
	}
	put(l4[at:], check)
	put(ip[10:], 0)
	put(ip[10:], ^fold(sum(ip[:4*(ip[0]&15)])))
	return frame
}

func put(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }

func sum(b []byte) (s uint32) {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// Seen is what one reads off a frame that came out.
type Seen struct {
	To       netip.Addr // the server whose MAC address it has, if it is one's
	Proto    byte
	Src, Dst netip.AddrPort // of ICMP, the port of Src is type and code
	Flags    string
	Len      int // of what follows the IP header
}

// Parse reads a frame of IPv4.
func Parse(frame []byte) (s Seen, err error) {
	if len(frame) < 14+20 {
		return s, fmt.Errorf("frame of %d bytes", len(frame))
	}
	if bytes.Equal(frame[:5], serverMAC(0)[:5]) {
		s.To = serverAddr(int(frame[5]))
	}
	ip := frame[14:]
	size := 4 * int(ip[0]&15)
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if total > len(ip) || size > total || total-size < 8 {
		return s, fmt.Errorf("IP packet of %d bytes in a frame of %d", total, len(frame))
	}
	l4 := ip[size:total]
	s.Proto, s.Len = ip[9], len(l4)
	src, dst := netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
	s.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(l4))
	s.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(l4[2:]))
	if s.Proto == protoTCP && len(l4) >= 14 {
		for i, f := range tcpFlags {
			if l4[13]>>i&1 == 1 {
				s.Flags += string(f)
			}
		}
	}
	return s, nil
}

// String is the text of the recordings.
func (s Seen) String() string {
	head := fmt.Sprintf("%s > %s ", s.Src.Addr(), s.Dst.Addr())
	switch s.Proto {
	case protoTCP:
		return head + fmt.Sprintf("tcp %d > %d [%s] len %d", s.Src.Port(), s.Dst.Port(), s.Flags, s.Len)
	case protoUDP:
		return head + fmt.Sprintf("udp %d > %d len %d", s.Src.Port(), s.Dst.Port(), s.Len)
	case 1:
		return head + fmt.Sprintf("icmp %d/%d", s.Src.Port()>>8, s.Src.Port()&255)
	}
	return head + fmt.Sprintf("proto %d len %d", s.Proto, s.Len)
}

// IsTCP tells TCP from the rest.
func (s Seen) IsTCP() bool { return s.Proto == protoTCP }
