package packet

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

// A seed is a frame to mutate, and the side it comes in on.
type seed struct {
	frame      []byte
	fromServer bool
}

// ways are the services that mutants meet: a port to each way to a server.
var ways = []struct {
	port    int
	options string
	other   bool // a server of the other family
}{
	{80, "-m", false}, {81, "-g", false}, {82, "-i", false},
	{83, "-i --tun-type gre", false}, {84, "-i --tun-type gre --tun-csum", false},
	{85, "-i --tun-type gue --tun-port 6080", false}, {86, "-i --tun-type gue --tun-port 6081 --tun-csum", false},
	{87, "-i --tun-type gue --tun-port 6082 --tun-remcsum", false},
	{88, "-i", true}, {89, "-i --tun-type gue --tun-port 6083", true}, {90, "-i --tun-type gre", true},
}

// families are the addresses of mutants: VIP, server, client, stranger.
var families = [][4]string{
	{"198.51.100.129", "203.0.113.1", "192.0.2.10", "203.0.113.20"},
	{"[2001:db8:2::81]", "[2001:db8:3::1]", "[2001:db8:1::10]", "[2001:db8:3::20]"},
}

// transports are the options that begin the services of mutants.
var transports = []string{"-t", "-u", "--sctp-service"}

// dismiss removes the servers of one way, whose connections stay.
func dismiss(t *testing.T, b *bed.Bed) {
	for _, f := range families {
		for _, protocol := range transports {
			command(t, b, fmt.Sprintf("-d %s %s:81 -r %s:81", protocol, f[0], f[1]))
		}
	}
}

// serve makes the services of the mutants.
func serve(t *testing.T, b *bed.Bed) {
	for i, f := range families {
		for _, protocol := range transports {
			for _, w := range ways {
				server, port := f[1], w.port
				if w.other {
					server = families[1-i][1]
				}
				if w.options == "-m" {
					port = 8080
				}
				command(t, b, fmt.Sprintf("-A %s %s:%d -s rr", protocol, f[0], w.port))
				command(t, b, fmt.Sprintf("-a %s %s:%d -r %s:%d %s", protocol, f[0], w.port, server, port, w.options))
			}
			command(t, b, fmt.Sprintf("-A %s %s:99 -s wrr", protocol, f[0])) // without a server
		}
	}
}

// seeds are all frames of the recordings, and packets of every kind to and from
// every service.
func seeds(t *testing.T) (all []seed) {
	scenarios, err := conformance.Load(frames)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		for _, step := range s.Steps {
			f, err := conformance.Read[conformance.Frame](step)
			if err != nil || f.In == "" {
				continue
			}
			frame, err := hex.DecodeString(f.In)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, seed{frame, f.From == "server"})
		}
	}
	for _, f := range families {
		var addr [4]netip.Addr
		for i, s := range f {
			addr[i] = netip.MustParseAddr(strings.Trim(s, "[]"))
		}
		for _, w := range ways {
			all = append(all, kinds(t, addr, uint16(w.port))...)
		}
	}
	return all
}

// kinds are packets of every kind about one service.
func kinds(t *testing.T, addr [4]netip.Addr, port uint16) (all []seed) {
	vip, server, client, stranger := addr[0], addr[1], addr[2], addr[3]
	add := func(p bed.Packet) []byte {
		frame := frameOf(t, p, nil)
		all = append(all, seed{frame, p.FromServer()})
		return frame[ethLen:]
	}
	for _, proto := range []string{"tcp", "udp", "sctp"} {
		flags := map[string][]string{"tcp": {"S", "A", "FA", "R"}, "udp": {""}, "sctp": {"INIT", "DATA", "ABORT"}}[proto]
		for i, flag := range flags {
			p := bed.Packet{Proto: proto, Src: client, Sport: 40000 + port, Dst: vip, Dport: port, Flags: flag, Len: 11 * i}
			back := bed.Packet{Proto: proto, Src: server, Sport: port, Dst: client, Dport: p.Sport, Flags: flag, From: "server", Len: 7}
			if port == 80 {
				back.Sport = 8080
			}
			there := add(p)
			add(back)
			quoted := back
			quoted.Src, quoted.Sport = vip, port
			for _, kind := range [][2]byte{{3, 3}, {3, 4}, {11, 0}, {1, 4}, {2, 0}, {3, 0}} {
				inner := frameOf(t, quoted, nil)[ethLen:]
				add(bed.Packet{Proto: "icmp", Src: client, Dst: vip, Type: kind[0], Code: kind[1], Inner: inner})
				from := p
				from.Dst, from.Dport = server, back.Sport
				inner = frameOf(t, from, nil)[ethLen:]
				add(bed.Packet{Proto: "icmp", Src: stranger, Dst: client, Type: kind[0], Code: kind[1], Inner: inner, From: "server"})
			}
			// a tunnel, or what claims to be one
			for _, outer := range []string{"ipip", "ipv6", "gre"} {
				add(bed.Packet{Proto: outer, Src: client, Dst: vip, Payload: there})
			}
		}
	}
	return all
}

// A mutant is a seed that was changed.
type mutant struct {
	seed
	how []string
}

// mutate changes a seed up to three times. Every other mutant has its lengths
// and checksums put right, which lets it come further.
func mutate(r *rand.Rand, all []seed) mutant {
	s := all[r.IntN(len(all))]
	m := mutant{seed: seed{slices.Clone(s.frame), s.fromServer}}
	for range r.IntN(4) {
		o := operators[r.IntN(len(operators))]
		m.frame = atLeast(o.change(r, m.frame))
		m.how = append(m.how, o.name)
	}
	m.frame = m.frame[:min(len(m.frame), mostBytes)]
	if r.IntN(2) == 0 && len(m.frame) >= ethLen+20 {
		m.frame = bed.Checksummed(lengthened(m.frame))
		m.how = append(m.how, "put right")
	}
	return m
}

// lengthened says that it is as long as it is.
func lengthened(f []byte) []byte {
	if f[ethLen]>>4 == 6 {
		return word16(f, ethLen+4, uint16(max(0, len(f)-ethLen-40)))
	}
	return word16(f, ethLen+2, uint16(len(f)-ethLen))
}

func atLeast(frame []byte) []byte {
	return append(frame, make([]byte, max(0, leastBytes-len(frame)))...)
}

// What there is of a frame at least, and at most.
const leastBytes, mostBytes = ethLen + 1, 1514

// odd are values at which things turn.
var odd = []uint16{0, 1, 4, 5, 7, 8, 19, 20, 40, 0x7f, 0x80, 0xff, 0x100, 0x1fff, 0x2000, 0x4000, 0x7fff, 0x8000, 0xffff}

// operators are the ways to change a frame. Headers change more often than what
// they carry.
var operators = []struct {
	name   string
	change func(r *rand.Rand, f []byte) []byte
}{
	{"bit", func(r *rand.Rand, f []byte) []byte { f[near(r, f)] ^= 1 << r.IntN(8); return f }},
	{"byte", func(r *rand.Rand, f []byte) []byte { f[near(r, f)] = byte(r.Uint32()); return f }},
	{"odd byte", func(r *rand.Rand, f []byte) []byte { f[near(r, f)] = byte(odd[r.IntN(len(odd))]); return f }},
	{"odd word", func(r *rand.Rand, f []byte) []byte { return word16(f, near(r, f), odd[r.IntN(len(odd))]) }},
	{"length", func(r *rand.Rand, f []byte) []byte {
		return word16(f, near(r, f), uint16(len(f)-ethLen-40+r.IntN(44)))
	}},
	{"cut", func(r *rand.Rand, f []byte) []byte { return f[:ethLen+1+r.IntN(len(f)-ethLen)] }},
	{"longer", func(r *rand.Rand, f []byte) []byte { return append(f, make([]byte, r.IntN(64))...) }},
	{"much longer", func(r *rand.Rand, f []byte) []byte { return append(f, make([]byte, r.IntN(1400))...) }},
	{"put in", func(r *rand.Rand, f []byte) []byte {
		more := make([]byte, 1+r.IntN(24))
		for i := range more {
			more[i] = byte(r.Uint32())
		}
		return slices.Insert(f, near(r, f), more...)
	}},
	{"taken out", func(r *rand.Rand, f []byte) []byte {
		at := near(r, f)
		return slices.Delete(f, at, min(len(f), at+1+r.IntN(12)))
	}},
	{"copied", func(r *rand.Rand, f []byte) []byte {
		from, to := near(r, f), near(r, f)
		copy(f[to:], f[from:min(len(f), from+r.IntN(40))])
		return f
	}},
	{"options", func(r *rand.Rand, f []byte) []byte {
		if len(f) < ethLen+20 || f[ethLen]>>4 != 4 {
			return f
		}
		kinds := []byte{0, 1, 7, 68, 131, 137, 148, 130}
		words := 1 + r.IntN(10)
		more := make([]byte, 4*words)
		for i := range more {
			more[i] = byte(r.IntN(44))
		}
		more[0], more[1] = kinds[r.IntN(len(kinds))], byte(r.IntN(4*words+2))
		f[ethLen] = 0x40 | byte(5+words)
		f = word16(f, ethLen+2, binary.BigEndian.Uint16(f[ethLen+2:])+uint16(len(more)))
		return slices.Insert(f, ethLen+20, more...)
	}},
	{"extension", func(r *rand.Rand, f []byte) []byte {
		if len(f) < ethLen+40 || f[ethLen]>>4 != 6 {
			return f
		}
		kinds := []byte{0, 43, 44, 60, 51, 59, 135}
		more := make([]byte, 8*(1+r.IntN(4)))
		more[0], more[1] = f[ethLen+6], byte(len(more)/8-1+r.IntN(20)/19)
		f[ethLen+6] = kinds[r.IntN(len(kinds))]
		if f[ethLen+6] == 44 {
			more = more[:8]
			more[1], more[3] = 0, byte(r.Uint32())
		}
		f = word16(f, ethLen+4, binary.BigEndian.Uint16(f[ethLen+4:])+uint16(len(more)))
		return slices.Insert(f, ethLen+40, more...)
	}},
	{"fragment", func(r *rand.Rand, f []byte) []byte {
		if len(f) < ethLen+20 || f[ethLen]>>4 != 4 {
			return f
		}
		return word16(f, ethLen+6, uint16(r.Uint32()))
	}},
	{"last hop", func(r *rand.Rand, f []byte) []byte {
		at := ethLen + 8
		if f[ethLen]>>4 == 6 {
			at = ethLen + 7
		}
		if at < len(f) {
			f[at] = byte(r.IntN(3))
		}
		return f
	}},
}

// near is a place in a frame, mostly in its headers.
func near(r *rand.Rand, f []byte) int {
	begin, end := ethLen, len(f)
	switch r.IntN(16) {
	case 0:
		begin = 12 // the kind of frame
	case 1, 2:
	default:
		end = min(end, ethLen+100)
	}
	return begin + r.IntN(end-begin)
}

func word16(f []byte, at int, v uint16) []byte {
	if at+2 <= len(f) {
		binary.BigEndian.PutUint16(f[at:], v)
	}
	return f
}
