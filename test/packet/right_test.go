package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// unchanged says in what a frame that is left to the kernel was changed.
func unchanged(in, out []byte) string {
	if bytes.Equal(in, out) {
		return ""
	}
	return "and was changed"
}

// sent says what is wrong with a frame that was sent, and whether it is an ICMP
// error to the sender of the one that came in.
func (m *mutation) sent(in, out []byte) (answered bool, why string) {
	a, b := trimmed(in), trimmed(out)
	switch {
	case a == nil:
		return false, "it is garbage"
	case b == nil:
		return false, "it came out as garbage"
	case !slices.Contains(interfaces, [6]byte(out[6:12])) && !bytes.Equal(out[:12], in[:12]):
		return false, "it is from no interface of the director" // in[:12]: the kernel resolves
	}
	if padding := in[ethLen+len(a):]; len(in) == len(out) && len(a) == len(b) && !bytes.Equal(padding, out[ethLen+len(b):]) {
		return false, "what is behind the packet was changed"
	}
	from, to := endpoints(a)
	outFrom, outTo := endpoints(b)
	switch {
	case pieceOf(b) != nil && len(b) < len(a): // the last; the others went before it
		if !bytes.HasSuffix(a, pieceOf(b)) {
			return false, "it was cut, and its last piece is not its end"
		}
		return false, ""
	case outTo == from && isError(b) && same(a, b) != "": // or it sent one to itself
		return true, rightError(a, b)
	case slices.Contains(directors, outFrom) && !slices.Contains(directors, to):
		// around a fragment that is a whole packet, the outer packet is such a one
		if whole := withoutFragment(b); whole != nil && b[42] == 0 && b[43] == 0 {
			b = whole
		}
		inner, wrapped, err := unwrap(b)
		if err != nil || !wrapped || sumIP(b) != 0 {
			return false, fmt.Sprintf("it is in no right tunnel: %v", err)
		}
		if inner = whole4or6(inner); inner == nil {
			return false, "what is in the tunnel is garbage"
		}
		return false, same(a, inner)
	}
	return false, same(a, b)
}

var (
	interfaces = [][6]byte{{2, 0, 0, 0, 1, 0xfe}, {2, 0, 0, 0, 2, 0xfe}}
	directors  = []netip.Addr{netip.MustParseAddr("203.0.113.254"), netip.MustParseAddr("2001:db8:3::fe")}
)

// trimmed is the IP packet in a frame, nil if it is not as long as it says.
func trimmed(frame []byte) []byte {
	if len(frame) < ethLen {
		return nil
	}
	kinds := map[byte]uint16{4: 0x0800, 6: 0x86dd}
	ip := whole4or6(frame[ethLen:])
	if ip == nil || binary.BigEndian.Uint16(frame[12:]) != kinds[ip[0]>>4] {
		return nil
	}
	return ip
}

func whole4or6(ip []byte) []byte {
	switch {
	case len(ip) >= 40 && ip[0]>>4 == 6:
		if total := 40 + int(binary.BigEndian.Uint16(ip[4:])); total <= len(ip) {
			return ip[:total]
		}
	case len(ip) >= 20 && ip[0]>>4 == 4:
		if total, size := int(binary.BigEndian.Uint16(ip[2:])), 4*int(ip[0]&15); size >= 20 && size <= total && total <= len(ip) {
			return ip[:total]
		}
	}
	return nil
}

func endpoints(ip []byte) (src, dst netip.Addr) {
	if ip[0]>>4 == 6 {
		return netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
	}
	return netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
}

// sumIP is what the header's checksum is off; IPv6 has none.
func sumIP(ip []byte) uint16 {
	if ip[0]>>4 == 6 {
		return 0
	}
	return sum(ip[:4*int(ip[0]&15)])
}

func isError(ip []byte) bool {
	if ip[0]>>4 == 6 {
		return ip[6] == 58 && len(ip) >= 48 && ip[40] < 128
	}
	return ip[9] == 1 && len(ip) >= 28 && slices.Contains([]byte{3, 4, 5, 11, 12}, ip[20])
}

// rightError says what is wrong with an ICMP error about packet a.
func rightError(a, b []byte) string {
	head, longest, check := 20, 576, b[20:]
	if b[0]>>4 == 6 {
		head, longest = 40, 1280
		check = slices.Concat(b[8:40], []byte{0, 0, byte((len(b) - 40) >> 8), byte(len(b) - 40), 0, 0, 0, 58}, b[40:])
	}
	quote := b[head+8:]
	switch {
	case len(b) > longest, len(quote) > len(a):
		return fmt.Sprintf("its error is of %d bytes", len(b))
	case sumIP(b) != 0, sum(check) != 0:
		return "its error has a wrong checksum"
	}
	for i := range quote {
		aged := a[0]>>4 == 4 && 8 <= i && i < 12 || a[0]>>4 == 6 && i == 7
		if quote[i] != a[i] && !aged {
			return fmt.Sprintf("its error quotes it otherwise from byte %d on", i)
		}
	}
	return ""
}

// same says in what packet b is another than packet a translated: a hop older,
// from or to elsewhere, and as right or wrong as before.
func same(a, b []byte) string {
	if a[0]>>4 == 6 && len(b) == len(a)-8 {
		if a = withoutFragment(a); a == nil {
			return "it lost eight bytes"
		}
	}
	if len(a) != len(b) || a[0] != b[0] {
		return fmt.Sprintf("it was of %d bytes and is of %d", len(a), len(b))
	}
	may, hop := changeable(a)
	if b[hop] != a[hop]-1 {
		return fmt.Sprintf("it had %d hops and has %d", a[hop], b[hop])
	}
	for i := range a {
		if a[i] != b[i] && !may[i] {
			return fmt.Sprintf("byte %d of the packet was %02x and is %02x", i, a[i], b[i])
		}
	}
	if options := a[0] > 0x45 && a[0]>>4 == 4; sumIP(a) != sumIP(b) && (!options || sumIP(b) != 0) {
		return fmt.Sprintf("its header's checksum was off by %04x and is by %04x", sumIP(a), sumIP(b))
	}
	return ""
}

// pieceOf is what a later fragment carries, nil if the packet is none; over IPv6 if
// nothing is before its header.
func pieceOf(ip []byte) []byte {
	switch size := 4 * int(ip[0]&15); {
	case ip[0]>>4 == 4 && size <= len(ip) && binary.BigEndian.Uint16(ip[6:])&offset4 != 0:
		return ip[size:]
	case ip[0]>>4 == 6 && len(ip) >= 48 && ip[6] == fragNext && binary.BigEndian.Uint16(ip[42:]) > 7:
		return ip[48:]
	}
	return nil
}

// withoutFragment is a packet of IPv6 without its fragment header, nil if it
// has none.
func withoutFragment(ip []byte) []byte {
	at, next := 40, 6
	for ip[next] == 0 || ip[next] == 43 || ip[next] == 60 {
		if at+8 > len(ip) {
			return nil
		}
		next, at = at, at+8+8*int(ip[at+1])
	}
	if ip[next] != fragNext || at+8 > len(ip) {
		return nil
	}
	less := slices.Concat(ip[:at], ip[at+8:])
	less[next] = ip[at]
	binary.BigEndian.PutUint16(less[4:], uint16(len(less)-40))
	return less
}

// changeable marks the bytes that translating may change, and says where the
// hops are counted.
func changeable(ip []byte) (may []bool, hop int) {
	may = make([]bool, len(ip))
	mark := func(from, to int) {
		for i := from; i < min(to, len(may)); i++ {
			may[i] = true
		}
	}
	hop = 8
	if ip[0]>>4 == 6 {
		hop = 7
	}
	mark(hop, hop+1)
	header(ip, 0, mark)
	return may, hop
}

// checks are where protocols have their checksum.
var checks = map[byte][2]int{1: {2, 4}, 6: {16, 18}, 17: {6, 8}, 58: {2, 4}, 132: {8, 12}}

// header marks what may change of the packet that begins at, and of that which
// it quotes.
func header(ip []byte, at int, mark func(from, to int)) {
	p := ip[at:]
	if len(p) < 20 || p[0]>>4 == 6 && len(p) < 40 {
		return
	}
	proto, l4 := p[9], 4*int(p[0]&15)
	if p[0]>>4 == 6 {
		mark(at+8, at+40)
		var first bool
		if proto, l4, first = behind(p); !first {
			return
		}
	} else {
		mark(at+10, at+20)
		mark(at+20, at+l4) // options
		if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
			return
		}
	}
	check := checks[proto]
	mark(at+l4+check[0], at+l4+check[1])
	switch proto {
	case 6, 17, 132:
		mark(at+l4, at+l4+4)
	case 1, 58:
		if at == 0 && l4+8 < len(p) {
			header(ip, l4+8, mark)
		}
	}
}

const authNext = 51

// behind finds the transport header behind extension headers; false if this is
// a later fragment, or cut off.
func behind(ip []byte) (proto byte, at int, ok bool) {
	proto, at = ip[6], 40
	for {
		size := 8
		switch {
		case proto != 0 && proto != 43 && proto != 60 && proto != authNext && proto != fragNext:
			return proto, at, true
		case at+8 > len(ip), proto == fragNext && binary.BigEndian.Uint16(ip[at+2:])&^7 != 0:
			return 0, 0, false
		case proto == authNext:
			size += 4 * int(ip[at+1])
		case proto != fragNext:
			size += 8 * int(ip[at+1])
		}
		proto, at = ip[at], at+size
	}
}
