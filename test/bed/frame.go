package bed

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
)

// Packet is one packet, as the recordings describe it. Its family is that of
// the addresses.
type Packet struct {
	Proto   string     `json:"proto"` // a name of protocols
	Src     netip.Addr `json:"src"`
	Sport   uint16     `json:"sport"`
	Dst     netip.Addr `json:"dst"`
	Dport   uint16     `json:"dport"`
	Flags   string     `json:"flags"`   // of TCP; the chunk of SCTP
	Len     int        `json:"len"`     // of the payload
	Payload Hex        `json:"payload"` // instead of Len bytes
	From    string     `json:"from"`    // "server" if it comes from there
	// Of ICMP: the second word and the body.
	Type  uint8 `json:"type"`
	Code  uint8 `json:"code"`
	Rest  Hex   `json:"rest"`
	Inner Hex   `json:"inner"`

	TTL uint8 `json:"-"` // 0: 64
	TOS uint8 `json:"-"`
}

// Hex is bytes that are written in hexadecimal.
type Hex []byte

// UnmarshalJSON reads a string of hexadecimal digits.
func (h *Hex) UnmarshalJSON(data []byte) (err error) {
	var s string
	if err = json.Unmarshal(data, &s); err == nil {
		*h, err = hex.DecodeString(s)
	}
	return err
}

const (
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoFragment = 44
	protoICMP6    = 58
	protoSCTP     = 132
)

// protocols are those a Packet may be of. Of what is not told apart in l4, the
// payload is all there is.
var protocols = map[string]byte{
	"icmp": protoICMP, "ipip": 4, "tcp": protoTCP, "udp": protoUDP, "dccp": 33, "ipv6": protoIPv6, "gre": 47,
	"esp": 50, "ah": 51, "sctp": protoSCTP, "udplite": 136,
}

// tcpFlags are the letters of the recordings, the lowest bit first.
const tcpFlags = "FSRPAUEC"

// sctpChunks are the first chunks of packets by name.
var sctpChunks = map[string]byte{
	"DATA": 0, "INIT": 1, "INIT_ACK": 2, "SACK": 3, "HEARTBEAT": 4, "HEARTBEAT_ACK": 5, "ABORT": 6, "SHUTDOWN": 7,
	"SHUTDOWN_ACK": 8, "ERROR": 9, "COOKIE_ECHO": 10, "COOKIE_ACK": 11, "SHUTDOWN_COMPLETE": 14,
}

// FromServer tells on which side of the director the packet comes in.
func (p Packet) FromServer() bool { return p.From == "server" }

// Frame is the packet on the cable, with right checksums.
func (p Packet) Frame() ([]byte, error) {
	proto, ok := protocols[p.Proto]
	if !ok {
		return nil, fmt.Errorf("protocol %q", p.Proto)
	}
	if p.Dst.Is6() && proto == protoICMP {
		proto = protoICMP6
	}
	l4, err := p.l4(proto)
	if err != nil {
		return nil, err
	}
	frame := append(p.ethernet(), p.ip(proto, len(l4))...)
	return Checksummed(append(frame, l4...)), nil
}

// l4 is the packet without its IP header, checksum not filled in.
func (p Packet) l4(proto byte) ([]byte, error) {
	payload := p.Payload
	if payload == nil {
		payload = make([]byte, p.Len)
	}
	var h []byte
	switch proto {
	case protoTCP:
		h = p.tcp()
	case protoUDP:
		h = make([]byte, 8)
		put(h[4:], uint16(8+len(payload)))
	case protoSCTP:
		chunk, ok := sctpChunks[p.Flags]
		if !ok {
			return nil, fmt.Errorf("SCTP chunk %q", p.Flags)
		}
		h = p.sctp(chunk)
	case protoICMP, protoICMP6:
		h = append([]byte{p.Type, p.Code, 0, 0, 0, 0, 0, 0}, p.Inner...)
		copy(h[4:8], p.Rest)
		return h, nil
	default:
		return payload, nil
	}
	put(h, p.Sport)
	put(h[2:], p.Dport)
	return append(h, payload...), nil
}

func (p Packet) tcp() []byte {
	h := make([]byte, 20)
	binary.BigEndian.PutUint32(h[4:], 1000)
	h[12] = 5 << 4
	for _, f := range p.Flags {
		h[13] |= 1 << strings.IndexRune(tcpFlags, f)
	}
	put(h[14:], 64240)
	return h
}

// sctp is a header and one chunk, with a value where chunks of the kind have one.
func (p Packet) sctp(chunk byte) []byte {
	tag, value := uint32(0x22222222), 0
	switch p.Flags {
	case "INIT":
		tag, value = 0, 16
	case "INIT_ACK", "DATA":
		value = 16
	case "SACK", "COOKIE_ECHO":
		value = 12
	case "HEARTBEAT":
		value = 8
	case "SHUTDOWN":
		value = 4
	}
	h := make([]byte, 16+value)
	binary.BigEndian.PutUint32(h[4:], tag)
	h[12] = chunk
	put(h[14:], uint16(4+value))
	return h
}

func (p Packet) ethernet() []byte {
	src, dst, kind := clientRouterMAC, directorClientMAC, []byte{8, 0}
	if p.FromServer() {
		src, dst = macOf(p.Src), directorServerMAC
	}
	if p.Dst.Is6() {
		kind = []byte{0x86, 0xdd}
	}
	return append(append(append([]byte{}, dst...), src...), kind...)
}

// ip is the header before a payload of a length, checksum not filled in.
func (p Packet) ip(proto byte, payload int) []byte {
	ttl := p.TTL
	if ttl == 0 {
		ttl = 64
	}
	if p.Dst.Is6() {
		h := []byte{6<<4 | p.TOS>>4, p.TOS << 4, 0, 0, byte(payload >> 8), byte(payload), proto, ttl}
		return append(append(h, p.Src.AsSlice()...), p.Dst.AsSlice()...)
	}
	h := []byte{0x45, p.TOS, 0, 0, 0x12, 0x34, 0x40, 0, ttl, proto, 0, 0} // may not be cut
	put(h[2:], uint16(20+payload))
	return append(append(h, p.Src.AsSlice()...), p.Dst.AsSlice()...)
}

// checksumAt is where the transport checksum of a protocol is. SCTP's is of
// another kind.
var checksumAt = map[byte]int{protoICMP: 2, protoTCP: 16, protoUDP: 6, protoICMP6: 2}

// Checksummed fills in the checksums of a frame, those of the transport as if it
// were no fragment.
func Checksummed(frame []byte) []byte {
	ip := frame[ethLen:]
	if size := 4 * int(ip[0]&15); ip[0]>>4 == 4 && 20 <= size && size <= len(ip) {
		put(ip[10:], 0)
		put(ip[10:], ^fold(sum(ip[:size])))
	}
	proto, l4, err := upper(ip)
	if err != nil {
		return frame
	}
	if proto == protoSCTP && len(l4) >= 12 {
		binary.LittleEndian.PutUint32(l4[8:], 0)
		binary.LittleEndian.PutUint32(l4[8:], crc32.Checksum(l4, crc32.MakeTable(crc32.Castagnoli)))
	}
	at, ok := checksumAt[proto]
	if !ok || len(l4) < at+2 {
		return frame
	}
	put(l4[at:], 0)
	check := ^fold(pseudo(ip, proto, len(l4)) + sum(l4))
	if check == 0 && proto == protoUDP {
		check = 0xffff
	}
	put(l4[at:], check)
	return frame
}

// pseudo is the sum over what a transport checksum covers of the IP header.
func pseudo(ip []byte, proto byte, length int) uint32 {
	switch {
	case proto == protoICMP:
		return 0
	case ip[0]>>4 == 6:
		return sum(ip[8:40]) + uint32(proto) + uint32(length)
	}
	return sum(ip[12:20]) + uint32(proto) + uint32(length)
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
