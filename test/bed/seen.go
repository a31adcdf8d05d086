package bed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

const ethLen = 14

// errNotIP is of what has no transport header where one would be.
var errNotIP = errors.New("no packet of IP, or not whole")

// upper finds the transport protocol of an IP packet, behind options and
// extension headers. Of a later fragment, the rest is not a transport header.
func upper(ip []byte) (proto byte, l4 []byte, err error) {
	if len(ip) < 20 {
		return 0, nil, errNotIP
	}
	if ip[0]>>4 == 4 {
		size, total := 4*int(ip[0]&15), int(binary.BigEndian.Uint16(ip[2:]))
		if total > len(ip) || size > total || size < 20 {
			return 0, nil, errNotIP
		}
		return ip[9], ip[size:total], nil
	}
	if ip[0]>>4 != 6 || len(ip) < 40 || 40+int(binary.BigEndian.Uint16(ip[4:])) > len(ip) {
		return 0, nil, errNotIP
	}
	return afterExtensions(ip[6], ip[40:40+int(binary.BigEndian.Uint16(ip[4:]))])
}

func afterExtensions(proto byte, rest []byte) (byte, []byte, error) {
	for {
		size := 8
		switch proto {
		case 0, 43, 60: // hop-by-hop options, routing, destination options
			if len(rest) >= 2 {
				size += 8 * int(rest[1])
			}
		case protoFragment:
		default:
			return proto, rest, nil
		}
		if len(rest) < size {
			return 0, nil, errNotIP
		}
		proto, rest = rest[0], rest[size:]
	}
}

// Seen is what one reads off a frame that came out.
type Seen struct {
	To       netip.Addr // the server whose MAC address it has, if it is one's
	Proto    byte
	Src, Dst netip.AddrPort // of ICMP, the port of Src is type and code
	Flags    string
	Len      int // of what follows the IP header
}

// Parse reads a frame of IP.
func Parse(frame []byte) (s Seen, err error) {
	if len(frame) < ethLen {
		return s, fmt.Errorf("frame of %d bytes", len(frame))
	}
	ip := frame[ethLen:]
	proto, l4, err := upper(ip)
	if err != nil || len(l4) < 8 {
		return s, fmt.Errorf("IP packet in a frame of %d bytes: %w", len(frame), errors.Join(err, errNotIP))
	}
	s.Proto, s.Len = proto, len(l4)
	src, dst := addresses(ip)
	s.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(l4))
	s.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(l4[2:]))
	if bytes.Equal(frame[:5], serverMAC(0)[:5]) {
		s.To = serverAddrs(int(frame[5]))[int(ip[0]>>4)/6]
	}
	if proto == protoTCP && len(l4) >= 14 {
		for i, f := range tcpFlags {
			if l4[13]>>i&1 == 1 {
				s.Flags += string(f)
			}
		}
	}
	return s, nil
}

func addresses(ip []byte) (src, dst netip.Addr) {
	if ip[0]>>4 == 6 {
		return netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
	}
	return netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
}

// String is the text of the recordings.
func (s Seen) String() string {
	head := fmt.Sprintf("%s > %s ", s.Src.Addr(), s.Dst.Addr())
	ports := fmt.Sprintf("%d > %d", s.Src.Port(), s.Dst.Port())
	switch s.Proto {
	case protoTCP:
		return head + fmt.Sprintf("tcp %s [%s] len %d", ports, s.Flags, s.Len)
	case protoUDP:
		return head + fmt.Sprintf("udp %s len %d", ports, s.Len)
	case protoSCTP:
		return head + fmt.Sprintf("sctp %s len %d", ports, s.Len)
	case protoICMP:
		return head + fmt.Sprintf("icmp %d/%d", s.Src.Port()>>8, s.Src.Port()&255)
	case protoICMP6:
		return head + fmt.Sprintf("icmp6 %d/%d", s.Src.Port()>>8, s.Src.Port()&255)
	}
	return head + fmt.Sprintf("proto %d len %d", s.Proto, s.Len)
}

// IsTCP tells TCP from the rest.
func (s Seen) IsTCP() bool { return s.Proto == protoTCP }
