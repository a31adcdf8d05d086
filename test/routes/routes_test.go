package routes

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

func TestRepliesAreSpreadOverGatewaysOfEqualCost(t *testing.T) {
	const clients = 16
	byEveryDoor(t, lab.Spec{Name: "ecmp", Gateways: 2, Clients: clients}, func(t *testing.T, l *lab.Lab) {
		cluster.On(t, l, lab.Director, "ip route replace default nexthop via 203.0.113.1 nexthop via 203.0.113.254")
		before := [2]uint64{received(t, l, lab.Router, "director"), received(t, l, lab.Router2, "director")}
		const each = 10
		for i := range clients {
			c := dial(t, l, i+1, "udp")
			for n := range each {
				if err := echo(c, fmt.Sprint("hello ", n), time.Second); err != nil {
					t.Errorf("client %d: %v", i+1, err)
				}
			}
		}
		first, second := received(t, l, lab.Router, "director")-before[0], received(t, l, lab.Router2, "director")-before[1]
		if first < 2*each || second < 2*each {
			t.Errorf("the gateways got %d and %d of %d replies", first, second, clients*each)
		}
	})
}

func TestPolicyRulesChooseTheGatewayOfReplies(t *testing.T) {
	byEveryDoor(t, lab.Spec{Name: "rule", Gateways: 2}, func(t *testing.T, l *lab.Lab) {
		cluster.On(t, l, lab.Director, `
			ip route add default via 203.0.113.254 table 100
			ip rule add from 203.0.113.10 lookup 100`)
		before := received(t, l, lab.Router2, "director")
		c := dial(t, l, 1, "udp")
		for range 20 {
			if err := echo(c, "by the rule", time.Second); err != nil {
				t.Error(err)
			}
		}
		if n := received(t, l, lab.Router2, "director") - before; n < 20 {
			t.Errorf("the gateway of the rule got %d of 20 replies", n)
		}
	})
}

func TestPolicyRulesByMarkChooseTheGatewayOfReplies(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "mark", Gateways: 2})
	serve(t, l, "tc")
	cluster.On(t, l, lab.Director, `
		ip route add default via 203.0.113.254 table 100
		ip rule add fwmark 7 lookup 100`)
	marked(t, l, lab.DirectorInsideIface, 7)
	before := received(t, l, lab.Router2, "director")
	c := dial(t, l, 1, "udp")
	for range 20 {
		if err := echo(c, "by the mark", time.Second); err != nil {
			t.Error(err)
		}
	}
	if n := received(t, l, lab.Router2, "director") - before; n < 20 {
		t.Errorf("the gateway of the mark got %d of 20 replies", n)
	}
}

func TestAConnectionFollowsANewRouteWithinASecondAndLosesNothing(t *testing.T) {
	byEveryDoor(t, lab.Spec{Name: "route", Gateways: 2}, func(t *testing.T, l *lab.Lab) {
		c := dial(t, l, 1, "udp")
		exchange := func(during time.Duration) {
			for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				if err := echo(c, "still there", time.Second); err != nil {
					t.Fatal(err)
				}
			}
		}
		exchange(100 * time.Millisecond)
		cluster.On(t, l, lab.Director, "ip route replace default via 203.0.113.254")
		exchange(1100 * time.Millisecond)
		before := received(t, l, lab.Router, "director")
		exchange(200 * time.Millisecond)
		if n := received(t, l, lab.Router, "director") - before; n > 0 {
			t.Errorf("the old gateway still gets packets: %d", n)
		}
	})
}

// gap is the longest time in which nothing came back, over a while in which
// happen is called.
func gap(t *testing.T, l *lab.Lab, happen func()) (longest time.Duration) {
	t.Helper()
	c := dial(t, l, 1, "udp")
	last := time.Now()
	begin, happened := last, false
	for n := 0; time.Since(begin) < 2500*time.Millisecond; n++ {
		if !happened && time.Since(begin) > 300*time.Millisecond {
			happened = true
			happen()
			last = time.Now() // that took time too
		}
		if echo(c, fmt.Sprint("datagram ", n), 20*time.Millisecond) == nil {
			longest = max(longest, time.Since(last))
			last = time.Now()
			time.Sleep(2 * time.Millisecond)
		}
	}
	return max(longest, time.Since(last))
}

func TestANewAddressOfANeighbourIsFollowedWithinASecond(t *testing.T) {
	for _, n := range []struct{ who, node, iface string }{
		{"gateway", lab.Router, "director"},
		{"server", lab.ServerNode(1), "eth0"},
	} {
		t.Run(n.who, func(t *testing.T) {
			byEveryDoor(t, lab.Spec{Name: "mac-" + n.who}, func(t *testing.T, l *lab.Lab) {
				if n.node == lab.ServerNode(1) {
					cluster.On(t, l, lab.Director, "ipvsadm -d -u 203.0.113.10:7 -r 192.0.2.3")
				}
				// The neighbour tells its link, as one does that takes over an address.
				cluster.On(t, l, n.node, "sysctl -qw net.ipv4.conf."+n.iface+".arp_notify=1")
				longest := gap(t, l, func() {
					cluster.On(t, l, n.node, "ip link set "+n.iface+" address 02:00:00:00:00:99")
				})
				if longest > 1100*time.Millisecond {
					t.Errorf("nothing came back for %v", longest)
				}
				t.Logf("nothing came back for %v at most", longest)
			})
		})
	}
}

func TestANeighbourThatIsNotResolvedCostsNoPacket(t *testing.T) {
	byEveryDoor(t, lab.Spec{Name: "neigh"}, func(t *testing.T, l *lab.Lab) {
		for round := range 5 {
			cluster.On(t, l, lab.Director, "ip neigh flush all")
			for n := range 10 {
				if err := echo(dial(t, l, 1, "udp"), "who has it", time.Second); err != nil {
					t.Errorf("round %d, datagram %d: %v", round, n, err)
				}
			}
		}
	})
}

func TestServersAreReachedByAnotherInterfaceAndBehindAGateway(t *testing.T) {
	byEveryDoor(t, lab.Spec{Name: "ifaces"}, func(t *testing.T, l *lab.Lab) {
		// server1 gets a cable of its own to the director, server2 a network behind it.
		cluster.On(t, l, lab.Director, fmt.Sprintf(`
			ip link add inside2 type veth peer name eth1 netns %s
			ip addr add 203.0.113.193/26 dev inside2
			ip link set inside2 up
			ip route add 203.0.113.129 via 192.0.2.3`, l.Namespace(lab.ServerNode(1))))
		cluster.On(t, l, lab.ServerNode(1), `
			ip addr add 203.0.113.194/26 dev eth1
			ip link set eth1 up
			ip route replace default via 203.0.113.193
			ethtool -K eth1 tx off gro on`)
		cluster.On(t, l, lab.ServerNode(2), "ip addr add 203.0.113.129/32 dev lo")
		cluster.On(t, l, lab.Director, `
			ipvsadm -D -u 203.0.113.10:7
			ipvsadm -A -u 203.0.113.10:7 -s rr
			ipvsadm -a -u 203.0.113.10:7 -r 203.0.113.194 -m
			ipvsadm -a -u 203.0.113.10:7 -r 203.0.113.129 -m`)
		for n := range 20 {
			if err := echo(dial(t, l, 1, "udp"), "hello", time.Second); err != nil {
				t.Errorf("datagram %d: %v", n, err)
			}
		}
		for _, at := range []struct{ node, iface string }{{lab.ServerNode(1), "eth1"}, {lab.ServerNode(2), "eth0"}} {
			if n := received(t, l, at.node, at.iface); n < 10 {
				t.Errorf("%s got %d packets by %s", at.node, n, at.iface)
			}
		}
	})
}

func TestServersAreReachedByABridgeOfTheDirector(t *testing.T) {
	byEveryDoor(t, lab.Spec{Name: "bridge"}, func(t *testing.T, l *lab.Lab) {
		cluster.On(t, l, lab.Director, `
			ip link add br0 type bridge
			ip link set br0 up
			ip addr del 192.0.2.1/24 dev inside
			ip link set inside master br0
			ip addr add 192.0.2.1/24 dev br0
			evs attach`)
		if status := cluster.On(t, l, lab.Director, "evs status"); !strings.Contains(status, "a member of br0, which has the programs") {
			t.Errorf("the member has programs of its own:\n%s", status)
		}
		for n := range 20 {
			if err := echo(dial(t, l, 1, "udp"), "hello", time.Second); err != nil {
				t.Errorf("datagram %d: %v", n, err)
			}
		}
		c := dial(t, l, 1, "tcp")
		for range 20 {
			if err := echo(c, "hello", time.Second); err != nil {
				t.Error(err)
			}
		}
	})
}

// hearErrors has a socket told of every ICMP error.
func hearErrors(c net.Conn) error {
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	})
	return errors.Join(err, refused)
}

func TestATunnelBeginsOnceThereIsARouteToItsServer(t *testing.T) {
	for _, door := range []string{"tc", "xdp"} {
		t.Run(door, func(t *testing.T) {
			l := cluster.Up(t, lab.Spec{Name: "later-" + door, Method: lab.Tunnel, Servers: 1, XDP: door == "xdp"})
			cluster.On(t, l, lab.Director, "evs attach --mode "+door+`
				ip route add unreachable 192.0.2.2/32
				ipvsadm -A -u 203.0.113.10:7 -s rr
				ipvsadm -a -u 203.0.113.10:7 -r 192.0.2.2 -i`)
			c := dial(t, l, 1, "udp")
			// a socket of UDP is not told of ICMP's soft errors unless it asks
			if err := hearErrors(c); err != nil {
				t.Fatal(err)
			}
			if err := echo(c, "anybody there", time.Second); !errors.Is(err, unix.EHOSTUNREACH) {
				t.Errorf("without a route: %v, want that the host is unreachable", err)
			}
			cluster.On(t, l, lab.Director, "ip route del unreachable 192.0.2.2/32")
			if err := echo(c, "and now", time.Second); err != nil {
				t.Errorf("with a route: %v\n%s", err, cluster.On(t, l, lab.Director, "evs status"))
			}
		})
	}
}
