package matrix

import (
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

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
	l := filtered(t, "tunnel", lab.Spec{Method: lab.Tunnel})
	for i, r := range rows(lab.Tunnel) {
		t.Run(r.name, func(t *testing.T) {
			r.prepare(t, l)
			c := r.clientOf(l, 20_000+500*i)
			if err := c.stream(t.Context(), 1<<20); err != nil {
				t.Errorf("1 MiB each way: %v\n%s", err, cluster.On(t, l, lab.Director, "evs status"))
			}
			r.setup += " --keep-mss"
			r.prepare(t, l)
			if n := c.echoed(t, 100_000); n == 100_000 {
				t.Error("full segments got through though nobody lowered what is announced: this test proves nothing")
			}
		})
	}
}

func TestMasqueradedSegmentsFitANarrowLinkWhereICMPIsFiltered(t *testing.T) {
	l := filtered(t, "nat", lab.Spec{Method: lab.NAT, InsideMTU: 1400})
	// the server would tell what its own link takes; it is to know no better
	cluster.On(t, l, lab.ServerNode(1), "ip link set eth0 mtu 1500")
	for i, r := range rows(lab.NAT) {
		t.Run(r.name, func(t *testing.T) {
			for on, through := range []bool{false, true} {
				cluster.On(t, l, lab.Director, fmt.Sprintf("evs sysctl -w net.ipv4.vs.mss_clamp=%d", on))
				r.prepare(t, l)
				n := r.clientOf(l, 20_000+500*i+100*on).echoed(t, 100_000)
				if got := n == 100_000; got != through {
					t.Errorf("mss_clamp %d: %d of 100000 bytes came back", on, n)
				}
			}
		})
	}
}

// filtered brings up a lab whose client sends packets of the wire's size and does
// not hear when they are too big.
func filtered(t *testing.T, name string, spec lab.Spec) *lab.Lab {
	t.Helper()
	spec.Name, spec.Servers, spec.Families = "deaf-"+name, 1, lab.Both
	l := cluster.Up(t, spec)
	cluster.On(t, l, lab.ClientNode(1), "ethtool -K eth0 tx off")
	err := l.Do(lab.ClientNode(1), func() error {
		nft := exec.CommandContext(t.Context(), "nft", "-f", "-")
		nft.Stdin = strings.NewReader(deaf)
		return nft.Run()
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// clientOf is a client of the row's service, with source ports above first.
func (r row) clientOf(l *lab.Lab, first int) *client {
	c := &client{lab: l, to: netip.AddrPortFrom(lab.VIP(r.vip), lab.EchoPort)}
	c.port.Store(uint32(first))
	return c
}

// echoed sends bytes and returns how many came back soon.
func (c *client) echoed(t *testing.T, size int) int {
	t.Helper()
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
