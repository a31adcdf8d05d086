package packet

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

// tunnels are ways to a server through tunnels, as options of ipvsadm, that the
// tests below range over.
var tunnels = []struct {
	name, options string
	proto         byte // of the outer header
	between       int  // bytes between the outer IP header and the packet
	check         int  // where between them the checksum is, -1 for none
	ports         bool // it has ports that spread load
}{
	{"ipip", "-i", 4, 0, -1, false},
	{"gre", "-i --tun-type gre", 47, 4, -1, false},
	{"gre with checksum", "-i --tun-type gre --tun-csum", 47, 8, 4, false},
	{"gue", "-i --tun-type gue --tun-port 6080", 17, 12, -1, true},
	{"gue with checksum", "-i --tun-type gue --tun-port 6080 --tun-csum", 17, 12, 6, true},
	{"gue with remote checksum offload", "-i --tun-type gue --tun-port 6080 --tun-remcsum", 17, 12, 6, true},
}

// ends are the families that a packet and its tunnel may be of.
var ends = []struct{ name, vip, server, client string }{
	{"4 in 4", "198.51.100.129", "203.0.113.1", "192.0.2.7"},
	{"6 in 6", "2001:db8:2::81", "2001:db8:3::1", "2001:db8:1::7"},
	{"4 in 6", "198.51.100.129", "2001:db8:3::1", "192.0.2.7"},
	{"6 in 4", "2001:db8:2::81", "203.0.113.1", "2001:db8:1::7"},
}

// wrapped is a frame that left through a tunnel, taken apart.
type wrapped struct {
	src, dst netip.Addr
	proto    byte
	between  []byte // outer IP header and packet
	inner    []byte
}

func takenApart(frame []byte, between int) (w wrapped) {
	ip, head := frame[14:], 20
	if ip[0]>>4 == 6 {
		head = 40
		w.proto, w.src, w.dst = ip[6], addrAt(ip[8:24]), addrAt(ip[24:40])
	} else {
		w.proto, w.src, w.dst = ip[9], addrAt(ip[12:16]), addrAt(ip[16:20])
	}
	w.between, w.inner = ip[head:head+between], ip[head+between:]
	return w
}

func addrAt(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// off is what the sum over all that the tunnel's checksum covers is off from that
// of a right one.
func (w wrapped) off() uint16 {
	body := append(append([]byte{}, w.between...), w.inner...)
	if w.proto == 17 {
		body = append(pseudo(w.src, w.dst, 17, len(body)), body...)
	}
	return sum(body) % 0xffff
}

func pseudo(src, dst netip.Addr, proto byte, length int) []byte {
	return append(append(src.AsSlice(), dst.AsSlice()...), byte(length>>8), byte(length), 0, proto)
}

// transportOf is where the transport header and its checksum are in a packet.
func transportOf(ip []byte) (proto byte, l4, check int) {
	proto, l4 = ip[9], 20
	if ip[0]>>4 == 6 {
		proto, l4 = ip[6], 40
	}
	if proto == 17 {
		return proto, l4, l4 + 6
	}
	return proto, l4, l4 + 16
}

// pseudoOf is the pseudo-header of a packet.
func pseudoOf(ip []byte) []byte {
	proto, l4, _ := transportOf(ip)
	if l4 == 40 {
		return pseudo(addrAt(ip[8:24]), addrAt(ip[24:40]), proto, len(ip)-l4)
	}
	return pseudo(addrAt(ip[12:16]), addrAt(ip[16:20]), proto, len(ip)-l4)
}

// through is a runner on a bed with TCP and UDP services on port 80 of the VIP.
func through(t *testing.T, d door, vip, server, options string) *runner {
	t.Helper()
	return serving(t, d, beds.Lend(t, d.mode), vip, server, options)
}

// serving is the same on a bed that there is.
func serving(t *testing.T, d door, b *bed.Bed, vip, server, options string) *runner {
	t.Helper()
	host := netip.AddrPortFrom(netip.MustParseAddr(vip), 80).String()
	to := netip.AddrPortFrom(netip.MustParseAddr(server), 80).String()
	for _, proto := range []string{"-t", "-u"} {
		command(t, b, "-A "+proto+" "+host+" -s rr")
		command(t, b, "-a "+proto+" "+host+" -r "+to+" "+options)
	}
	return newRunner(t, d, b)
}

// forwarded runs a packet that has to be sent on.
func (r *runner) forwarded(t *testing.T, frame []byte, between int) wrapped {
	t.Helper()
	v, out, err := r.run(frame, false)
	if err != nil || v != send {
		t.Fatalf("a packet was %s (%v): %s", v, err, hexOf(frame))
	}
	return takenApart(append([]byte{}, out...), between)
}

// A veth hands over packets whose checksum is still to be made: its field holds
// the sum of the pseudo-header.
func TestATunnelsChecksumIsThatOfTheFinishedPacket(t *testing.T) {
	for _, tun := range tunnels {
		if tun.check < 0 {
			continue
		}
		for _, end := range ends {
			t.Run(tun.name+", "+end.name, func(t *testing.T) {
				t.Parallel()
				r := through(t, doors[0], end.vip, end.server, tun.options)
				for _, proto := range []string{"tcp", "udp"} {
					for length := range 20 {
						in := frameOf(t, bed.Packet{
							Proto: proto, Src: netip.MustParseAddr(end.client), Sport: 4000, Dst: netip.MustParseAddr(end.vip), Dport: 80, Flags: "S", Len: length * 29,
						}, nil)
						_, _, check := transportOf(in[14:])
						binary.BigEndian.PutUint16(in[14+check:], sum(pseudoOf(in[14:])))
						w := r.forwarded(t, in, tun.between)
						finish(w.inner)
						if off := w.off(); off != 0 {
							t.Fatalf("%s of %d bytes: the tunnel's checksum is off by %04x when the packet's is made", proto, length*29, off)
						}
					}
				}
			})
		}
	}
}

// finish makes the transport checksum of a packet, as a card does.
func finish(ip []byte) {
	_, l4, check := transportOf(ip)
	binary.BigEndian.PutUint16(ip[check:], 0)
	binary.BigEndian.PutUint16(ip[check:], ^sum(append(pseudoOf(ip), ip[l4:]...)))
}

func TestATunnelsSourceVariesByConnectionInTheBitsAskedFor(t *testing.T) {
	for _, tun := range tunnels {
		for _, end := range ends {
			t.Run(tun.name+", "+end.name, func(t *testing.T) {
				t.Parallel()
				own := netip.MustParseAddr("203.0.113.254")
				if netip.MustParseAddr(end.server).Is6() {
					own = netip.MustParseAddr("2001:db8:3::fe")
				}
				for _, d := range doors {
					r := through(t, d, end.vip, end.server, tun.options)
					for bits, want := range map[string]int{"0": 1, "1": 2, "4": 16, "8": 200} {
						if err := r.bed.Table().SetSysctl("tun_rss_source", bits); err != nil {
							t.Fatal(err)
						}
						if tun.ports {
							want = 1
						}
						checkSources(t, r, end.vip, end.client, own, bits, want, tun.between)
					}
				}
			})
		}
	}
}

// checkSources counts the sources of a thousand connections' tunnel: at least
// want of them, all within bits of the director's own, and one for each connection.
func checkSources(t *testing.T, r *runner, vip, client string, own netip.Addr, bits string, want, between int) {
	t.Helper()
	n := map[string]int{"0": 0, "1": 1, "4": 4, "8": 8}[bits]
	within, err := own.Prefix(own.BitLen() - n)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]int{}
	for port := range uint16(1000) {
		in := bed.Packet{Proto: "udp", Src: netip.MustParseAddr(client), Sport: 2000 + port, Dst: netip.MustParseAddr(vip), Dport: 80, Len: 9}
		first := r.forwarded(t, frameOf(t, in, nil), between)
		in.Len = 30
		if second := r.forwarded(t, frameOf(t, in, nil), between); second.src != first.src {
			t.Fatalf("%s bits: one connection comes from %s and from %s", bits, first.src, second.src)
		}
		if !within.Contains(first.src) {
			t.Fatalf("%s bits: from %s, which is not in %s", bits, first.src, within)
		}
		seen[first.src]++
	}
	if len(seen) < want || want == 1 && seen[own] != 1000 {
		t.Errorf("%s bits: %d sources, want %d: %v", bits, len(seen), want, seen)
	}
}

func TestMasqueradedUDPWithoutAChecksumGetsOne(t *testing.T) {
	for _, d := range doors {
		for _, end := range ends[:2] {
			t.Run(string(d.mode)+", "+end.name, func(t *testing.T) {
				t.Parallel()
				r := through(t, d, end.vip, end.server, "-m")
				for length := range 40 {
					in := frameOf(t, bed.Packet{
						Proto: "udp", Src: netip.MustParseAddr(end.client), Sport: 4000, Dst: netip.MustParseAddr(end.vip), Dport: 80, Len: length * 31,
					}, nil)
					_, _, check := transportOf(in[14:])
					binary.BigEndian.PutUint16(in[14+check:], 0)
					ip := r.forwarded(t, in, 0)
					checkWhole(t, append(headOf(in, ip.dst), ip.inner...), check)
				}
			})
		}
	}
}

// headOf is the IP header of a frame with another destination.
func headOf(in []byte, dst netip.Addr) []byte {
	_, l4, _ := transportOf(in[14:])
	head := append([]byte{}, in[14:14+l4]...)
	copy(head[l4-len(dst.AsSlice()):], dst.AsSlice())
	return head
}

func checkWhole(t *testing.T, ip []byte, check int) {
	t.Helper()
	_, l4, _ := transportOf(ip)
	if off := sum(append(pseudoOf(ip), ip[l4:]...)) % 0xffff; off != 0 || binary.BigEndian.Uint16(ip[check:]) == 0 {
		t.Fatalf("the checksum is off by %04x: %s", off, hexOf(ip))
	}
}
