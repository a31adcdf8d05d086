package packet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

// The address filter is written by Go and read by C: if the two hashed an
// address differently, packets for it would pass the data path by.
func TestAnyAddressCanBeAVIPOrAServer(t *testing.T) {
	d := doors[0]
	b := beds.Lend(t, d.mode)
	if err := b.IP("route", "add", "default", "via", "203.0.113.1", "dev", "d1"); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, d, b)
	random := rand.New(rand.NewPCG(8, 8))
	address := func(first byte) netip.Addr {
		return netip.AddrFrom4([4]byte{first, byte(random.Uint32()), byte(random.Uint32()), byte(1 + random.IntN(254))})
	}
	for n := range 150 {
		vip, rip := address(byte(20+n%80)), address(byte(130+n%50))
		command(t, b, fmt.Sprintf("-A -u %s:80 -s rr", vip))
		command(t, b, fmt.Sprintf("-a -u %s:80 -r %s:8080 -m", vip, rip))
		in := bed.Packet{Proto: "udp", Src: netip.MustParseAddr("192.0.2.9"), Sport: uint16(2000 + n), Dst: vip, Dport: 80}
		back := bed.Packet{Proto: "udp", From: "server", Src: rip, Sport: 8080, Dst: in.Src, Dport: in.Sport}
		for _, p := range []bed.Packet{in, back} {
			if err := r.pass(p); err != nil {
				t.Fatalf("VIP %s, server %s: %v", vip, rip, err)
			}
		}
		command(t, b, fmt.Sprintf("-D -u %s:80", vip))
		if n%2 == 0 { // another service keeps the table awake
			command(t, b, fmt.Sprintf("-A -u %s:81 -s rr", vip))
		}
		if err := r.pass(back); n%2 == 0 && err != nil {
			t.Fatalf("an answer of a removed service's connection: %v", err)
		}
	}
}
