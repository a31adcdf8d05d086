package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

// withOptions puts options into a TCP frame without any.
func withOptions(f []byte, options ...byte) []byte {
	_, l4, _ := transportOf(f[14:])
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	l4 += 14
	out := append(append(append([]byte{}, f[:l4+20]...), options...), f[l4+20:]...)
	out[l4+12] = byte(20+len(options)) / 4 << 4
	if ip := out[14:]; ip[0]>>4 == 6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-40))
	} else {
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	}
	out = bed.Checksummed(out)
	finish(out[14:])
	return out
}

// announcements are options of SYNs, and what they announce when it is lowered to
// 1380; 0 if nothing changes.
var announcements = []struct {
	name    string
	options []byte
	at      int // of the value
	want    uint16
}{
	{"the usual options of Linux", []byte{2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}, 2, 1380},
	{"between two words of the sum", []byte{1, 2, 4, 5, 180}, 3, 1380},
	{"behind others", []byte{3, 3, 7, 1, 1, 4, 2, 2, 4, 0xff, 0xff}, 9, 1380},
	{"at the very end", []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 5, 180}, 38, 1380},
	{"less already", []byte{2, 4, 2, 24}, 2, 0},
	{"just as much", []byte{2, 4, 5, 100}, 2, 0},
	{"no options", nil, 0, 0},
	{"none that announces", []byte{4, 2, 1, 1}, 0, 0},
	{"behind the end of the list", []byte{0, 2, 4, 5, 180}, 0, 0},
	{"of a wrong length", []byte{2, 3, 180, 1}, 0, 0},
	{"behind one of no length", []byte{8, 0, 2, 4, 5, 180}, 0, 0},
	{"cut off", []byte{1, 1, 2, 4}, 0, 0},
}

// clamps are ways on which 1380 bytes of payload just fit, by the MTU of the
// servers' side.
var clamps = []struct {
	name, vip, server, client, options string
	between, mtu                       int
}{
	{"nat", "198.51.100.129", "203.0.113.1", "192.0.2.7", "-m", -1, 1420},
	{"nat, IPv6", "2001:db8:2::81", "2001:db8:3::1", "2001:db8:1::7", "-m", -1, 1440},
	{"dr", "198.51.100.129", "203.0.113.1", "192.0.2.7", "-g", -1, 1420},
	{"ipip", "198.51.100.129", "203.0.113.1", "192.0.2.7", "-i", 0, 1440},
	{"ipip, 6 in 4", "2001:db8:2::81", "203.0.113.1", "2001:db8:1::7", "-i", 0, 1460},
	{"gre with checksum, 4 in 6", "198.51.100.129", "2001:db8:3::1", "192.0.2.7", "-i --tun-type gre --tun-csum", 8, 1468},
	{"gue, IPv6", "2001:db8:2::81", "2001:db8:3::1", "2001:db8:1::7", "-i --tun-type gue --tun-port 6080", 12, 1492},
}

func TestASYNAnnouncesWhatTheWayHasRoomFor(t *testing.T) {
	for _, d := range doors {
		for _, c := range clamps {
			t.Run(string(d.mode)+", "+c.name, func(t *testing.T) {
				t.Parallel()
				r := through(t, d, c.vip, c.server, c.options)
				if err := r.bed.IP("link", "set", "d1", "mtu", fmt.Sprint(c.mtu)); err != nil {
					t.Fatal(err)
				}
				for i, on := range []string{"0", "1"} {
					if err := r.bed.Table().SetSysctl("mss_clamp", on); err != nil {
						t.Fatal(err)
					}
					for j, a := range announcements {
						want := a.want
						if on == "0" {
							want = 0
						}
						in := bed.Packet{
							Proto: "tcp", Src: netip.MustParseAddr(c.client), Sport: uint16(2000 + 100*i + j), Dst: netip.MustParseAddr(c.vip), Dport: 80, Flags: "S", Len: 7,
						}
						checkAnnouncement(t, r, withOptions(frameOf(t, in, nil), a.options...), c.between, a.name, a.at, want)
						if c.options == "-m" { // the answer passes here too
							in.From, in.Src, in.Sport, in.Dst, in.Dport = "server", netip.MustParseAddr(c.server), 80, in.Src, in.Sport
							in.Flags = "SA"
							checkAnnouncement(t, r, withOptions(frameOf(t, in, nil), a.options...), c.between, a.name+", answered", a.at, want)
						}
					}
				}
			})
		}
	}
}

// checkAnnouncement runs a SYN, and wants its options as they were but for what is
// announced, and a right checksum. between is negative where nothing is wrapped.
func checkAnnouncement(t *testing.T, r *runner, in []byte, between int, name string, at int, want uint16) {
	t.Helper()
	var ip []byte
	if between < 0 {
		v, out, err := r.run(in, in[5] == 0xfe && in[4] == 2)
		if err != nil || v != send {
			t.Fatalf("%s: a SYN was %s (%v)", name, v, err)
		}
		ip = out[14:]
	} else {
		ip = r.forwarded(t, in, between).inner
	}
	_, l4, check := transportOf(ip)
	was := append([]byte{}, in[14+l4+20:]...)
	if want != 0 {
		binary.BigEndian.PutUint16(was[at:], want)
	}
	if hexOf(ip[l4+20:]) != hexOf(was) {
		t.Errorf("%s: %s behind the TCP header, want %s", name, hexOf(ip[l4+20:]), hexOf(was))
	}
	checkWhole(t, ip, check)
}
