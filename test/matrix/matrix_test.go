package matrix

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of the time is spent waiting for what is lost to be sent again.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cluster.Main(m))
}

func TestEveryWayToAServerCarriesEverything(t *testing.T) {
	for _, method := range lab.Methods {
		for _, door := range []string{"tc", "xdp"} {
			t.Run(string(method)+" by "+door, func(t *testing.T) {
				t.Parallel()
				l := cluster.Up(t, lab.Spec{Name: "mx-" + string(method) + "-" + door, Method: method, Families: lab.Both, XDP: door == "xdp"})
				cluster.On(t, l, lab.Director, "evs attach --mode "+door)
				for i, r := range rows(method) {
					t.Run(r.name, func(t *testing.T) { carry(t, l, r, 10_000+i*1000) })
				}
			})
		}
	}
}

// How much goes each way.
const (
	bulk      = 10 << 20
	bulkUDP   = 1 << 20
	shortOnes = 200
)

// carry sends everything one way to a server, from source ports above first.
func carry(t *testing.T, l *lab.Lab, r row, first int) {
	r.prepare(t, l)
	c := &client{lab: l, to: netip.AddrPortFrom(lab.VIP(r.vip), lab.EchoPort)}
	c.port.Store(uint32(first))
	left := leftByXDP(t, l)
	send(t, c, r, "with nothing lost")
	lossy(t, l, 1)
	send(t, c, r, "with 1 % lost")
	lossy(t, l, 0)
	if left = leftByXDP(t, l) - left; left > r.leaves() {
		t.Errorf("XDP left %d packets to tc", left)
	}
	if t.Failed() {
		t.Logf("%s\n%s", cluster.On(t, l, lab.Director, "evs status"), cluster.On(t, l, lab.Director, "ipvsadm -Ln --stats"))
	}
}

// send sends all there is, until something fails.
func send(t *testing.T, c *client, r row, circumstances string) {
	t.Helper()
	for _, step := range []struct {
		name string
		send func(context.Context) error
	}{
		{"200 short connections", func(ctx context.Context) error { return c.streams(ctx, shortOnes) }},
		{"10 MiB each way by TCP", func(ctx context.Context) error { return c.stream(ctx, bulk) }},
		{"200 flows of UDP", func(ctx context.Context) error { return c.manyFlows(ctx, r) }},
		{"datagrams as large as the link takes", func(ctx context.Context) error { return c.datagrams(ctx, bulkUDP, fullDatagram(r)) }},
	} {
		begin := time.Now()
		if err := step.send(t.Context()); err != nil {
			t.Errorf("%s, %s: %v", step.name, circumstances, err)
			return
		}
		t.Logf("%s, %s: %v", step.name, circumstances, time.Since(begin).Round(time.Millisecond))
	}
}

// lossy has the lab lose packets of the wire's size: those who send have no
// segmentation offload meanwhile.
func lossy(t *testing.T, l *lab.Lab, percent float64) {
	t.Helper()
	offload := map[bool]string{true: "off", false: "on"}[percent > 0]
	for _, node := range append([]string{lab.ClientNode(1)}, l.Serving()...) {
		iface := "eth0"
		if node == lab.Director {
			iface = lab.DirectorOutsideIface
		}
		cluster.On(t, l, node, "ethtool -K "+iface+" tx "+offload)
	}
	if err := l.Lose(t.Context(), percent); err != nil {
		t.Fatal(err)
	}
}

// leftByXDP is how many packets XDP did not finish so far.
func leftByXDP(t *testing.T, l *lab.Lab) (packets int) {
	t.Helper()
	for line := range strings.Lines(cluster.On(t, l, lab.Director, "evs status")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "slow_path" {
			if _, err := fmt.Sscan(f[1], &packets); err != nil {
				t.Fatal(err)
			}
		}
	}
	return packets
}

// fullDatagram is how many bytes make the answer, with the name of the server
// before them, the largest packet that a link of 1,500 bytes takes.
func fullDatagram(r row) int {
	headers := map[bool]int{true: 28, false: 48}[r.vip == 4]
	return 1500 - headers - len("director: ")
}

// manyFlows wants every server to answer its share.
func (c *client) manyFlows(ctx context.Context, r row) error {
	answers, err := c.flows(ctx, shortOnes)
	if err != nil {
		return err
	}
	servers := r.answerers(c.lab)
	for _, server := range servers {
		if got, want := answers[server], shortOnes/len(servers); got < want-want/10 || got > want+want/10 {
			return fmt.Errorf("%s answered %d flows, not about %d: %v", server, got, want, answers)
		}
	}
	return nil
}
