package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

func TestALossyLabLosesThatManyPacketsUntilItIsToldToStop(t *testing.T) {
	l := up(t, Spec{Name: unique("t-loss"), Loss: 30})
	lost := func() int {
		r, err := Load(t.Context(), LoadSpec{
			URL: fmt.Sprintf("udp://%s:%d", ServerAddr(1, ipvs.IPv4), EchoPort), Dial: l.Dial(ClientNode(1)),
			Requests: 600, Concurrency: 100, Timeout: 300 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r.Failed()
	}
	// The router is passed twice: 0.7 of 0.7 come back.
	if n := lost(); n < 246 || n > 366 {
		t.Errorf("%d of 600 were lost, not about 306", n)
	}
	if err := l.Lose(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if n := lost(); n != 0 {
		t.Errorf("%d of 600 were lost when none should be", n)
	}
	if err := l.Lose(t.Context(), 120); err == nil || !strings.Contains(err.Error(), "want 0 to 100") {
		t.Errorf("error: %v", err)
	}
}

func TestLinksHaveTheMTUAskedFor(t *testing.T) {
	l := up(t, Spec{Name: unique("t-mtu"), MTU: 9000, InsideMTU: 1400})
	for at, mtu := range map[end]string{
		{ClientNode(1), clientIface}: "9000", {Router, "director"}: "9000", {Director, DirectorOutsideIface}: "9000",
		{Director, DirectorInsideIface}: "1400", {ServerNode(2), serverIface}: "1400", {Switch, "servers"}: "1400",
	} {
		if out, err := l.Exec(t.Context(), at.node, "ip", "-o", "link", "show", at.iface); err != nil || !strings.Contains(out, " mtu "+mtu+" ") {
			t.Errorf("%s: want %s: %s, %v", at, mtu, out, err)
		}
	}
}

func TestTheDirectorOfALocalLabServesTheVIPItself(t *testing.T) {
	l := up(t, Spec{Name: unique("t-local"), Method: Local, Families: Both})
	for _, f := range l.FamilyList() {
		if got := who(t, l, ClientNode(1), "http://"+netip.AddrPortFrom(VIP(f), HTTPPort).String()+"/"); got != Director {
			t.Errorf("%s answers", got)
		}
	}
}

// reaches wants the client to be told that nobody listens at a port of the
// address, which takes the way there and back.
func reaches(t *testing.T, l *Lab, a netip.Addr) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	c, err := l.Dial(ClientNode(1))(ctx, "tcp", netip.AddrPortFrom(a, 9).String())
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("%s: %v", a, err)
	}
}

func TestADirectorOfOneArmHasOneInterfaceAndIsReached(t *testing.T) {
	l := up(t, Spec{Name: unique("t-arm"), Arms: 1, Families: Both})
	for _, f := range l.FamilyList() {
		reaches(t, l, VIP(f))
	}
	if out, err := l.Exec(t.Context(), Director, "ip", "-br", "link"); err != nil || strings.Count(out, "\n") != 2 {
		t.Errorf("%s, %v", out, err)
	}
}

func TestClientsReachTheDirectorByEitherGateway(t *testing.T) {
	l := up(t, Spec{Name: unique("t-two"), Gateways: 2, Families: Both})
	for _, f := range l.FamilyList() {
		for _, gateway := range []netip.Addr{host(outer[f], 1), host(outer[f], 254)} {
			err := l.Do(ClientNode(1), func() error {
				return settle(t.Context(), hostnet.Want{Routes: []hostnet.Route{{To: only(DirectorOutside(f)), Via: gateway}}})
			})
			if err != nil {
				t.Fatal(err)
			}
			reaches(t, l, DirectorOutside(f))
		}
	}
}

func TestTheFarEndsOfADirectorForXDPCompleteChecksums(t *testing.T) {
	l := up(t, Spec{Name: unique("t-xdp"), XDP: true})
	for at, want := range map[end][]string{
		{Router, "director"}:            {"tx-checksumming: off", "generic-receive-offload: on"},
		{Switch, "director"}:            {"tx-checksumming: off", "generic-receive-offload: on"},
		{Director, DirectorInsideIface}: {"tx-checksumming: on"},
		{ServerNode(1), serverIface}:    {"tx-checksumming: on"},
	} {
		out, err := l.Exec(t.Context(), at.node, "ethtool", "-k", at.iface)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: not %s", at, w)
			}
		}
	}
}
