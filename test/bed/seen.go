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
	if length(ip) > len(ip) {
		return 0, nil, errNotIP
	}
	return upperQuoted(ip)
}

// length is how long an IP packet says that it is.
func length(ip []byte) int {
	switch {
	case len(ip) < 20:
		return 0
	case ip[0]>>4 == 4:
		return int(binary.BigEndian.Uint16(ip[2:]))
	}
	return 40 + int(binary.BigEndian.Uint16(ip[4:]))
}

// upperQuoted is upper of a packet whose end may be missing, as in an ICMP error.
func upperQuoted(ip []byte) (proto byte, l4 []byte, err error) {
	if len(ip) < 20 {
		return 0, nil, errNotIP
	}
	if ip[0]>>4 == 4 {
		size, total := 4*int(ip[0]&15), min(length(ip), len(ip))
		if size > total || size < 20 {
			return 0, nil, errNotIP
		}
		return ip[9], ip[size:total], nil
	}
	if ip[0]>>4 != 6 || len(ip) < 40 {
		return 0, nil, errNotIP
	}
	return afterExtensions(ip[6], ip[40:min(length(ip), len(ip))])
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
	Len      int   // of what follows the IP header
	Quote    *Seen // of an ICMP error: the packet that it is about
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
	s.read(ip, proto, l4)
	if bytes.Equal(frame[:5], serverMAC(0)[:5]) {
		s.To = serverAddrs(int(frame[5]))[int(ip[0]>>4)/6]
	}
	if isError(proto, l4[0]) {
		inner := l4[8:]
		if proto, l4, err := upperQuoted(inner); err == nil && len(l4) >= 8 {
			s.Quote = &Seen{}
			s.Quote.read(inner, proto, l4)
		}
	}
	return s, nil
}

// isError tells what quotes a packet from other messages of ICMP.
func isError(proto, kind byte) bool {
	switch proto {
	case protoICMP:
		return kind == 3 || kind == 4 || kind == 5 || kind == 11 || kind == 12
	case protoICMP6:
		return kind < 128
	}
	return false
}

// read reads the headers of a packet.
func (s *Seen) read(ip []byte, proto byte, l4 []byte) {
	s.Proto, s.Len = proto, len(l4)
	src, dst := addresses(ip)
	s.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(l4))
	s.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(l4[2:]))
	if proto == protoTCP && len(l4) >= 14 {
		for i, f := range tcpFlags {
			if l4[13]>>i&1 == 1 {
				s.Flags += string(f)
			}
		}
	}
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
		if s.Len < 14 { // of a quote, its end with the flags may be missing
			return head + fmt.Sprintf("tcp %s len %d", ports, s.Len)
		}
		return head + fmt.Sprintf("tcp %s [%s] len %d", ports, s.Flags, s.Len)
	case protoUDP:
		return head + fmt.Sprintf("udp %s len %d", ports, s.Len)
	case protoSCTP:
		return head + fmt.Sprintf("sctp %s len %d", ports, s.Len)
	case protoICMP:
		return head + fmt.Sprintf("icmp %d/%d", s.Src.Port()>>8, s.Src.Port()&255) + s.quote()
	case protoICMP6:
		return head + fmt.Sprintf("icmp6 %d/%d", s.Src.Port()>>8, s.Src.Port()&255) + s.quote()
	}
	return head + fmt.Sprintf("proto %d len %d", s.Proto, s.Len)
}

func (s Seen) quote() string {
	if s.Quote == nil {
		return ""
	}
	return fmt.Sprintf(" { %s }", s.Quote)
}

// IsTCP tells TCP from the rest.
func (s Seen) IsTCP() bool { return s.Proto == protoTCP }
