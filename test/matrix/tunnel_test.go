package matrix

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
)

// unwrapped are tunnels by the options of the director and of its real servers.
var unwrapped = []struct{ name, director, server string }{
	{"ipip", "-i", "--tun-type ipip"},
	{"gre", "-i --tun-type gre", "--tun-type gre"},
	{"gre with checksum", "-i --tun-type gre --tun-csum", "--tun-type gre --tun-csum"},
	{"gue", "-i --tun-type gue --tun-port 6080", "--tun-type gue"},
	{"gue with checksum", "-i --tun-type gue --tun-port 6080 --tun-csum", "--tun-type gue"},
	{"gue with remote checksum offload", "-i --tun-type gue --tun-port 6080 --tun-remcsum", "--tun-type gue"},
}

// tunnelled brings up a lab whose servers take packets out of tunnels by EVS's
// decapsulator and answer clients themselves.
func tunnelled(t *testing.T, name, setup string) *lab.Lab {
	t.Helper()
	l := up(t, lab.Spec{Name: name, Method: lab.DR, Servers: 1, Families: lab.Both})
	on(t, l, lab.ServerNode(1), fmt.Sprintf("evs realserver setup --vip %s --vip %s --method tunnel --decap evs %s",
		lab.VIP(ipvs.IPv4), lab.VIP(ipvs.IPv6), setup))
	t.Cleanup(func() { // the test's own context has ended
		if _, err := l.Exec(context.Background(), lab.ServerNode(1), "evs", "realserver", "teardown"); err != nil {
			t.Error(err)
		}
	})
	return l
}

// each runs a test with services of each pair of families through a tunnel.
func each(t *testing.T, l *lab.Lab, options string, test func(*testing.T, *client)) {
	for i, f := range [][2]ipvs.Family{{ipvs.IPv4, ipvs.IPv4}, {ipvs.IPv6, ipvs.IPv6}, {ipvs.IPv4, ipvs.IPv6}, {ipvs.IPv6, ipvs.IPv4}} {
		t.Run(fmt.Sprintf("IPv%d in IPv%d", f[0], f[1]), func(t *testing.T) {
			r := row{"", lab.DR, f[0], f[1], options}
			on(t, l, lab.Director, "ipvsadm -C")
			on(t, l, lab.Director, r.rules(l, "t")...)
			c := &client{lab: l, to: netip.AddrPortFrom(lab.VIP(r.vip), lab.EchoPort)}
			c.port.Store(uint32(10_000 + i*1000))
			test(t, c)
		})
	}
}

// With offloads as they are, a veth carries packets that stand for several, and
// checksums that are still to be made.
func TestATunnelOfEveryKindCarriesTCPWithDefaultOffloads(t *testing.T) {
	for i, tun := range unwrapped {
		t.Run(tun.name, func(t *testing.T) {
			t.Parallel()
			l := tunnelled(t, fmt.Sprintf("tun-%d", i), tun.server)
			each(t, l, tun.director, func(t *testing.T, c *client) {
				begin := time.Now()
				if err := c.stream(t.Context(), bulk); err != nil {
					t.Errorf("10 MiB each way: %v\n%s", err, on(t, l, lab.Director, "evs status"))
				}
				t.Logf("10 MiB each way: %v", time.Since(begin).Round(time.Millisecond))
			})
		})
	}
}

// deaf has the client not hear that what it sends is too big.
const deaf = `table inet deaf {
	chain in {
		type filter hook input priority 0
		icmp type destination-unreachable drop
		icmpv6 type packet-too-big drop
	}
}
`

func TestFullSegmentsGetThroughATunnelWhereICMPIsFiltered(t *testing.T) {
	for i, tun := range unwrapped {
		t.Run(tun.name, func(t *testing.T) {
			t.Parallel()
			l := tunnelled(t, fmt.Sprintf("mss-%d", i), tun.server)
			if err := l.Do(lab.ClientNode(1), func() error {
				nft := exec.CommandContext(t.Context(), "nft", "-f", "-")
				nft.Stdin = strings.NewReader(deaf)
				return nft.Run()
			}); err != nil {
				t.Fatal(err)
			}
			// packets of the wire's size
			on(t, l, lab.ClientNode(1), "ethtool -K eth0 tx off")
			each(t, l, tun.director, func(t *testing.T, c *client) {
				if err := c.stream(t.Context(), 1<<20); err != nil {
					t.Errorf("1 MiB each way: %v\n%s", err, on(t, l, lab.Director, "evs status"))
				}
			})
			// and would not without what the server does about it
			on(t, l, lab.ServerNode(1), fmt.Sprintf("evs realserver setup --vip %s --method tunnel --decap evs --keep-mss %s", lab.VIP(ipvs.IPv4), tun.server))
			each(t, l, tun.director, func(t *testing.T, c *client) {
				if n := c.echoed(t, 100_000); n == 100_000 {
					t.Error("full segments got through though nobody lowered what is announced: this test proves nothing")
				}
			})
		})
	}
}

// echoed sends bytes and returns how many came back soon.
func (c *client) echoed(t *testing.T, size int) int {
	t.Helper()
	c.port.Add(500) // not a port of before
	conn, err := c.dial(t.Context(), "tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, size)); err != nil {
		return 0
	}
	n, _ := io.ReadFull(conn, make([]byte, size))
	return n
}
