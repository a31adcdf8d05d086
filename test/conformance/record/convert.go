package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// pairs are the addresses of the recordings in both families.
var pairs = [][2]string{
	{"192.0.2.10", "2001:db8:1::10"}, {"192.0.2.20", "2001:db8:1::20"}, {"192.0.2.254", "2001:db8:1::fe"},
	{"198.51.100.129", "2001:db8:2::81"}, {"198.51.100.128", "2001:db8:2::83"}, {"198.51.100.9", "2001:db8:9::9"},
	{"203.0.113.1", "2001:db8:3::1"}, {"203.0.113.2", "2001:db8:3::2"}, {"203.0.113.3", "2001:db8:3::3"},
	{"203.0.113.20", "2001:db8:3::20"}, {"203.0.113.254", "2001:db8:3::fe"}, {"127.0.0.1", "::1"},
}

// other is the address in the other family.
func other(a netip.Addr) netip.Addr {
	for _, p := range pairs {
		if p[0] == a.String() {
			return netip.MustParseAddr(p[1])
		}
		if p[1] == a.String() {
			return netip.MustParseAddr(p[0])
		}
	}
	panic("no address of the other family for " + a.String() + ": add it to pairs")
}

// to6 and to4 make steps of the other family.
func to6(s step) (step, bool) { return s.swapped(six), true }
func to4(s step) (step, bool) { return s.swapped(four), true }

func (s step) swapped(frame func([]byte) []byte) step {
	s.Cmd = slices.Clone(s.Cmd)
	for i, arg := range s.Cmd {
		if a, err := netip.ParseAddr(strings.Trim(arg, "[]")); err == nil {
			s.Cmd[i] = other(a).String()
		}
		if a, err := netip.ParseAddrPort(arg); err == nil {
			s.Cmd[i] = netip.AddrPortFrom(other(a.Addr()), a.Port()).String()
		}
	}
	if slices.Contains(s.Cmd, "-f") {
		s.Cmd = append(s.Cmd, "-6") // a service of IPv6, where no address says so
	}
	if s.Mark != nil {
		m := *s.Mark
		p := netip.PrefixFrom(other(netip.MustParsePrefix(m.Dst).Addr()), 0)
		m.Dst = netip.PrefixFrom(p.Addr(), p.Addr().BitLen()).String()
		s.Mark = &m
	}
	return s.reframed(func(f []byte) []byte {
		ip := frame(f[ethLen:])
		kind := []byte{8, 0}
		if ip[0]>>4 == 6 {
			kind = []byte{0x86, 0xdd}
		}
		return slices.Concat(f[:12], kind, ip)
	})
}

const (
	ethLen   = 14
	icmp4    = 1
	tcp      = 6
	udp      = 17
	fragment = 44
	icmp6    = 58
	cutID    = 0x01020304
)

// reframed changes the frame of a step that has one.
func (s step) reframed(how func([]byte) []byte) step {
	if s.In == "" {
		return s
	}
	b, err := hex.DecodeString(s.In)
	if err != nil {
		panic(err)
	}
	s.In = hex.EncodeToString(how(b))
	return s
}

// six is the IPv4 packet, whole or quoted, as one of IPv6.
func six(ip []byte) []byte {
	src, dst := other(netip.AddrFrom4([4]byte(ip[12:]))), other(netip.AddrFrom4([4]byte(ip[16:])))
	addresses := slices.Concat(src.AsSlice(), dst.AsSlice())
	length, word, proto, body := be(ip[2:])-20, be(ip[6:]), ip[9], slices.Clone(ip[20:])
	switch {
	case proto == icmp4:
		proto, body = icmp6, message(ip[20:], 0, sum(addresses)+icmp6, six)
		length = uint16(len(body))
	case word&0x1fff == 0:
		fix(proto, body, ip[12:20], addresses)
	}
	next := proto
	if word&0x3fff != 0 {
		header := []byte{proto, 0, 0, 0, 0, 0, 0, 0}
		put(header[2:], word<<3|word>>13&1)
		binary.BigEndian.PutUint32(header[4:], cutID)
		body, next, length = append(header, body...), fragment, length+8
	}
	h := []byte{6<<4 | ip[1]>>4, ip[1] << 4, 0, 0, byte(length >> 8), byte(length), next, ip[8]}
	return slices.Concat(h, addresses, body)
}

// four is the IPv6 packet, whole or quoted, as one of IPv4.
func four(ip []byte) []byte {
	src, dst := other(netip.AddrFrom16([16]byte(ip[8:]))), other(netip.AddrFrom16([16]byte(ip[24:])))
	addresses := slices.Concat(src.AsSlice(), dst.AsSlice())
	length, proto, body := be(ip[4:]), ip[6], slices.Clone(ip[40:])
	if proto == icmp6 {
		proto, body = icmp4, message(ip[40:], sum(ip[8:40])+icmp6, 0, four)
		length = uint16(len(body))
	} else {
		fix(proto, body, ip[8:40], addresses)
	}
	length += 20
	h := []byte{0x45, ip[0]<<4 | ip[1]>>4, byte(length >> 8), byte(length), 0x12, 0x34, 0x40, 0, ip[7], proto, 0, 0}
	packet := slices.Concat(h, addresses, body)
	put(packet[10:], ^sum16(packet[:20]))
	return packet
}

// kinds are types and codes of ICMP and what they are in the other family; where
// it is the same number in both, the message tells which it is.
var kinds = map[[2]byte][2]byte{
	{3, 3}: {1, 4}, {3, 1}: {1, 0}, {3, 4}: {2, 0}, {11, 0}: {3, 0}, {12, 0}: {4, 0}, {8, 0}: {128, 0},
	{1, 4}: {3, 3}, {1, 0}: {3, 1}, {2, 0}: {3, 4}, {3, 0}: {11, 0}, {4, 0}: {12, 0}, {128, 0}: {8, 0},
}

// mtus are those of the recordings that say what would have fit.
var mtus = map[[2]byte][]byte{{3, 4}: {0, 0, 1300 >> 8, 1300 & 255}, {2, 0}: {0, 0, 1280 >> 8, 1280 & 255}}

// message is an ICMP message of the other family. The sums are over the
// pseudo-headers but for the length, before and after; 0 for ICMP of IPv4.
func message(m []byte, before, after uint32, quoted func([]byte) []byte) []byte {
	kind, ok := kinds[[2]byte(m)]
	if !ok {
		panic(fmt.Sprintf("no kind of ICMP for %v: add it", m[:2]))
	}
	rest, body := m[4:8], m[8:]
	if mtu := mtus[kind]; mtu != nil {
		rest = mtu
	}
	if kind[0] != 8 && kind[0] != 128 {
		body = quoted(body)
	}
	out := slices.Concat(kind[:], []byte{0, 0}, rest, body)
	wrong := be(m[2:]) ^ checksum(m, before)
	put(out[2:], checksum(out, after)^wrong)
	return out
}

// checksum is the right one of an ICMP message.
func checksum(m []byte, pseudo uint32) uint16 {
	if pseudo != 0 {
		pseudo += uint32(len(m))
	}
	return ^fold(pseudo + sum(m[:2]) + sum(m[4:]))
}

// inside makes the packet that an error from inside a tunnel quotes one of
// another tunnel than ipip.
func inside(method string) change {
	return func(s step) (step, bool) {
		if strings.Contains(s.Note, "inside the tunnel") && method != "ipip" {
			s = s.reframed(func(f []byte) []byte { return slices.Concat(f[:ethLen], rewrap(f[ethLen:], method)) })
		}
		return s, true
	}
}

func rewrap(ip []byte, method string) []byte {
	head, at, more, kind, next := 20, 9, 2, []byte{8, 0}, byte(4)
	if ip[0]>>4 == 6 {
		head, at, more, kind, next = 40, 6, 4, []byte{0x86, 0xdd}, 41
	}
	m := slices.Clone(ip[head:])
	outer, inner := m[8:8+head], m[8+head:]
	length := be(outer[more:])
	header := append([]byte{0, 0}, kind...)
	outer[at] = 47
	if method == "gue" {
		outer[at] = udp
		plain := length - uint16(head%40) // of the packet inside
		header = []byte{50000 >> 8, 50000 & 255, 6080 >> 8, 6080 & 255, 0, 0, 0, 0, 0, next, 0, 0}
		put(header[4:], plain+12)
	}
	put(outer[more:], length+uint16(len(header)))
	if head == 20 {
		put(outer[10:], 0)
		put(outer[10:], ^sum16(outer))
	}
	m = slices.Concat(m[:8], outer, header, inner)[:len(m)]
	pseudo := uint32(0)
	if head == 40 {
		pseudo = sum(ip[8:40]) + icmp6
	}
	put(m[2:], checksum(m, pseudo))
	return slices.Concat(ip[:head], m)
}

// toUDP makes TCP UDP, in what is quoted too.
func toUDP(s step) (step, bool) {
	s.Cmd = slices.Clone(s.Cmd)
	for i, arg := range s.Cmd {
		if arg == "-t" {
			s.Cmd[i] = "-u"
		}
	}
	return s.reframed(func(f []byte) []byte { return slices.Concat(f[:ethLen], asUDP(f[ethLen:], 0)) }), true
}

// asUDP is the packet of IPv4 with UDP instead of TCP, and so many bytes of data.
func asUDP(ip []byte, data int) []byte {
	ip = slices.Clone(ip)
	if ip[9] == icmp4 {
		const quoted = 30
		m := ip[20:]
		wrong := be(m[2:]) ^ checksum(m, 0)
		short := len(m) - 8 - 20 // of the packet quoted
		quote := asUDP(m[8:], quoted)
		if short < 20 {
			quote = quote[:20+short]
		}
		m = slices.Concat(m[:8], quote)
		put(m[2:], checksum(m, 0)^wrong)
		return relength(slices.Concat(ip[:20], m))
	}
	l4 := make([]byte, 8+data)
	copy(l4, ip[20:24])
	put(l4[4:], uint16(len(l4)))
	for i := range data {
		l4[8+i] = 'a' + byte(i%26)
	}
	put(l4[6:], ^fold(sum(ip[12:20])+udp+uint32(len(l4))+sum(l4)))
	ip[9] = udp
	return relength(slices.Concat(ip[:20], l4))
}

// relength has the length and the checksum of an IPv4 packet right.
func relength(packet []byte) []byte {
	put(packet[2:], uint16(len(packet)))
	put(packet[10:], 0)
	put(packet[10:], ^sum16(packet[:20]))
	return packet
}

// fix corrects a transport checksum for other addresses, so that it is as right
// or wrong as before.
func fix(proto byte, l4, old, new []byte) {
	at := map[byte]int{tcp: 16, udp: 6}[proto]
	if at == 0 || len(l4) < at+2 || proto == udp && be(l4[6:]) == 0 {
		return
	}
	put(l4[at:], ^fold(uint32(^be(l4[at:]))+uint32(^sum16(old))+uint32(sum16(new))))
}

func be(b []byte) uint16     { return binary.BigEndian.Uint16(b) }
func put(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }

func sum16(b []byte) uint16 { return fold(sum(b)) }

func sum(b []byte) (s uint32) {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(be(b))
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
