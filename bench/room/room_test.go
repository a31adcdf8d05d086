package room

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/bench/packet"
)

var index int

func TestMain(m *testing.M) {
	if code, done := Enter(); done {
		os.Exit(code)
	}
	var err error
	if index, err = Wire(packet.Documentation); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestBothEndsAreReachedByTheDirectorsInterface(t *testing.T) {
	for name, to := range map[string]net.IP{
		"a client":        packet.Client(0).Addr().AsSlice(),
		"the real server": packet.Documentation.Server.Addr().AsSlice(),
	} {
		routes, err := netlink.RouteGet(to)
		if err != nil || len(routes) != 1 || routes[0].LinkIndex != index {
			t.Errorf("the way to %s, %s: %v, %v; want interface %d", name, to, routes, err, index)
		}
	}
}

func TestNoNeighbourIsAskedFor(t *testing.T) {
	neighbours, err := netlink.NeighList(index, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]string)
	for _, n := range neighbours {
		if n.State == netlink.NUD_PERMANENT {
			known[n.IP.String()] = n.HardwareAddr.String()
		}
	}
	s := packet.Documentation
	for ip, mac := range map[string]packet.MAC{gateway: s.Gateway, s.Server.Addr().String(): s.RealMAC} {
		if want := net.HardwareAddr(mac[:]).String(); known[ip] != want {
			t.Errorf("neighbour %s is %q, want %s for good", ip, known[ip], want)
		}
	}
}

func TestTheDirectorHasTheAddressThatPacketsAreSentTo(t *testing.T) {
	link, err := netlink.LinkByName(Name)
	if err != nil {
		t.Fatal(err)
	}
	mac := packet.Documentation.Director
	if got, want := link.Attrs().HardwareAddr.String(), net.HardwareAddr(mac[:]).String(); got != want {
		t.Errorf("MAC %s, want %s", got, want)
	}
}
