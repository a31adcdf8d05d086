package realserver

import (
	"net/netip"
	"testing"

	"github.com/evs-project/evs/internal/hostnet"
)

func TestASegmentFitsTheTunnelOfTheNarrowestInterface(t *testing.T) {
	local4, local6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")
	links := []hostnet.Link{
		{Name: "lo", MTU: 65536, Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.10/32")}},
		{Name: "eth0", MTU: 1500, Addresses: []netip.Prefix{netip.PrefixFrom(local4, 24), netip.PrefixFrom(local6, 64)}},
		{Name: "eth1", MTU: 1400},
	}
	for name, c := range map[string]struct {
		o          Options
		mss4, mss6 uint16
		wrong      bool
	}{
		"ipip over IPv4":                   {Options{RealServerSpec: hostnet.RealServerSpec{Tunnel: "ipip", Locals: []netip.Addr{local4}}}, 1440, 1420, false},
		"ipip over either":                 {Options{RealServerSpec: hostnet.RealServerSpec{Tunnel: "ipip", Locals: []netip.Addr{local4, local6}}}, 1420, 1400, false},
		"gre has room for a checksum":      {Options{RealServerSpec: hostnet.RealServerSpec{Tunnel: "gre", Locals: []netip.Addr{local4}}}, 1432, 1412, false},
		"gue has room for options":         {Options{RealServerSpec: hostnet.RealServerSpec{Tunnel: "gue", Locals: []netip.Addr{local4}}}, 1420, 1400, false},
		"an interface that is named":       {Options{RealServerSpec: hostnet.RealServerSpec{Tunnel: "ipip", Locals: []netip.Addr{local4}, Interfaces: []string{"eth1"}}}, 1340, 1320, false},
		"an MTU that is told":              {Options{MTU: 1280, RealServerSpec: hostnet.RealServerSpec{Tunnel: "ipip", Locals: []netip.Addr{local4}}}, 1220, 1200, false},
		"an MTU that no way takes so few":  {Options{MTU: 500, RealServerSpec: hostnet.RealServerSpec{Tunnel: "ipip", Locals: []netip.Addr{local4}}}, 0, 0, true},
		"an MTU that no packet has so big": {Options{MTU: 70_000, RealServerSpec: hostnet.RealServerSpec{Tunnel: "ipip", Locals: []netip.Addr{local4}}}, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.o.chooseMTU(hostnet.Facts{Links: links})
			if (err != nil) != c.wrong {
				t.Fatal(err)
			}
			if c.wrong {
				return
			}
			if mss4, mss6 := c.o.segments(); mss4 != c.mss4 || mss6 != c.mss6 {
				t.Errorf("%d and %d, want %d and %d", mss4, mss6, c.mss4, c.mss6)
			}
		})
	}
}
