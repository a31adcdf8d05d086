package routes

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// byEveryDoor runs a test in a lab for each door, with a service of UDP and TCP
// echo at the VIP, masqueraded to both servers.
func byEveryDoor(t *testing.T, spec lab.Spec, test func(t *testing.T, l *lab.Lab)) {
	for _, door := range []string{"tc", "xdp"} {
		t.Run(door, func(t *testing.T) {
			spec := spec
			spec.Name += "-" + door
			spec.XDP = door == "xdp"
			l := cluster.Up(t, spec)
			cluster.On(t, l, lab.Director, "evs attach --mode "+door+`
				ipvsadm -A -u 203.0.113.10:7 -s rr
				ipvsadm -a -u 203.0.113.10:7 -r 192.0.2.2 -m
				ipvsadm -a -u 203.0.113.10:7 -r 192.0.2.3 -m
				ipvsadm -A -t 203.0.113.10:7 -s rr
				ipvsadm -a -t 203.0.113.10:7 -r 192.0.2.2 -m`)
			test(t, l)
		})
	}
}

// vip is where the echo service is.
const vip = "203.0.113.10:7"

// dial connects a client to the service.
func dial(t *testing.T, l *lab.Lab, client int, network string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := l.Dial(lab.ClientNode(client))(ctx, network, vip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo sends a datagram or bytes once and wants them back in time.
func echo(c net.Conn, what string, patience time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write([]byte(what)); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	if err != nil {
		return err
	}
	if got := string(buf[max(0, n-len(what)):n]); got != what {
		return fmt.Errorf("%q came back for %q", buf[:n], what)
	}
	return nil
}

// received is how many packets an interface of a node has received.
func received(t *testing.T, l *lab.Lab, node, iface string) (packets uint64) {
	t.Helper()
	err := l.Do(node, func() error {
		link, err := netlink.LinkByName(iface)
		if err != nil {
			return err
		}
		packets = link.Attrs().Statistics.RxPackets
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packets
}
