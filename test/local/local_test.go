package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

var families = []ipvs.Family{ipvs.IPv4, ipvs.IPv6}

// byEveryDoor runs a test in a lab of both families for each door.
func byEveryDoor(t *testing.T, method lab.Method, name string, test func(t *testing.T, l *lab.Lab)) {
	for _, door := range []string{"tc", "xdp"} {
		t.Run(door, func(t *testing.T) {
			l := cluster.Up(t, lab.Spec{Name: name + "-" + door, Method: method, Families: lab.Both, XDP: door == "xdp"})
			cluster.On(t, l, lab.Director, "evs attach --mode "+door)
			test(t, l)
		})
	}
}

// serve makes HTTP and echo services at the VIP, with destinations given as
// ADDRESS:PORT FLAGS of HTTP; echo is at EchoPort always.
func serve(t *testing.T, l *lab.Lab, f ipvs.Family, port uint16, flags string, servers ...netip.AddrPort) {
	t.Helper()
	tcp, udp := netip.AddrPortFrom(lab.VIP(f), port), netip.AddrPortFrom(lab.VIP(f), lab.EchoPort)
	commands := fmt.Sprintf("ipvsadm -A -t %s -s rr\nipvsadm -A -u %s -s rr\n", tcp, udp)
	for _, s := range servers {
		commands += fmt.Sprintf("ipvsadm -a -t %s -r %s %s\n", tcp, s, flags)
		commands += fmt.Sprintf("ipvsadm -a -u %s -r %s %s\n", udp, netip.AddrPortFrom(s.Addr(), lab.EchoPort), flags)
	}
	cluster.On(t, l, lab.Director, commands)
}

// realServers are the HTTP servers of a lab.
func realServers(l *lab.Lab, f ipvs.Family) (all []netip.AddrPort) {
	for i := range l.Servers {
		all = append(all, netip.AddrPortFrom(lab.ServerAddr(i+1, f), lab.HTTPPort))
	}
	return all
}

// answered asks from a node over TCP and UDP, and for a bulk of bytes, and wants
// answers from each of the servers and nobody else. A port that is used again
// belongs to its connection, so the shares need not be even.
func answered(t *testing.T, l *lab.Lab, node string, f ipvs.Family, port uint16, servers ...string) {
	t.Helper()
	vip := netip.AddrPortFrom(lab.VIP(f), port)
	for _, ask := range []struct {
		url      string
		requests int
		bytes    int64
	}{
		{"http://" + vip.String() + "/", 40, 0},
		{"udp://" + netip.AddrPortFrom(lab.VIP(f), lab.EchoPort).String(), 40, 0},
		{"http://" + vip.String() + "/bytes?n=5000000", len(servers), int64(len(servers)) * 5_000_000},
	} {
		r := load(t, l, node, ask.url, ask.requests)
		share, sum := ask.requests/len(servers), 0
		for _, server := range servers {
			if got := r.Answers[server]; ask.bytes == 0 && (got < share*3/4 || got > share*5/4) {
				t.Errorf("%s from %s: %v", ask.url, node, r.Answers)
			}
			sum += r.Answers[server]
		}
		if sum != ask.requests {
			t.Errorf("%s from %s: %v, failed %v", ask.url, node, r.Answers, r.Failures)
		}
		if ask.bytes > 0 && r.Bytes != ask.bytes {
			t.Errorf("%s from %s: %d bytes", ask.url, node, r.Bytes)
		}
	}
}

func load(t *testing.T, l *lab.Lab, node, url string, requests int) lab.LoadResult {
	t.Helper()
	r, err := lab.Load(t.Context(), lab.LoadSpec{
		URL: url, Requests: requests, Dial: l.Dial(node), Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAClientOnTheDirectorIsServedByMasquerading(t *testing.T) {
	byEveryDoor(t, lab.NAT, "loc-nat", func(t *testing.T, l *lab.Lab) {
		for _, f := range families {
			serve(t, l, f, 80, "-m", realServers(l, f)...)
			answered(t, l, lab.Director, f, 80, "server1", "server2")
			answered(t, l, lab.ClientNode(1), f, 80, "server1", "server2")
		}
	})
}

func TestAClientOnTheDirectorIsServedByAServerThere(t *testing.T) {
	byEveryDoor(t, lab.Local, "loc-here", func(t *testing.T, l *lab.Lab) {
		for _, f := range families {
			here := lab.DirectorInside(f)
			serve(t, l, f, 80, "-g", netip.AddrPortFrom(here, 80))
			answered(t, l, lab.Director, f, 80, lab.Director)
			// By masquerading the server may have another port.
			cluster.On(t, l, lab.Director, "ipvsadm -C")
			serve(t, l, f, 8000, "-m", netip.AddrPortFrom(here, lab.AltHTTPPort))
			answered(t, l, lab.Director, f, 8000, lab.Director)
			answered(t, l, lab.ClientNode(1), f, 8000, lab.Director)
			routeVIP(t, l, f)
			answered(t, l, lab.Director, f, 8000, lab.Director)
			cluster.On(t, l, lab.Director, "ipvsadm -C")
		}
	})
}

// routeVIP takes the VIP from the director, so that it is somewhere else to it.
func routeVIP(t *testing.T, l *lab.Lab, f ipvs.Family) {
	t.Helper()
	vip := lab.VIP(f)
	cluster.On(t, l, lab.Director, fmt.Sprintf("ip addr del %s/%d dev outside\nip route add %s via %s",
		vip, vip.BitLen(), vip, lab.RouterAddr(f)))
}

// Where the VIP is not the director's own address but comes to it by a route, its
// own packets for the VIP leave by an interface.
func TestAClientOnADirectorWithoutTheVIPIsServedByEveryMethod(t *testing.T) {
	for method, flag := range map[lab.Method]string{lab.NAT: "-m", lab.DR: "-g", lab.Tunnel: "-i"} {
		t.Run(string(method), func(t *testing.T) {
			byEveryDoor(t, method, "loc-away-"+string(method), func(t *testing.T, l *lab.Lab) {
				for _, f := range families {
					routeVIP(t, l, f)
					serve(t, l, f, 80, flag, realServers(l, f)...)
					answered(t, l, lab.Director, f, 80, "server1", "server2")
				}
			})
		})
	}
}

func TestAClientOnTheDirectorIsToldThatThereIsNoServer(t *testing.T) {
	byEveryDoor(t, lab.NAT, "loc-none", func(t *testing.T, l *lab.Lab) {
		cluster.On(t, l, lab.Director, "ipvsadm -A -t 203.0.113.10:80 -s rr")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		c, err := l.Dial(lab.Director)(ctx, "tcp", "203.0.113.10:80")
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%v, not connection refused", err)
		}
	})
}

func TestTheDirectorsLoopbackHasNoProgramWhenAllIsDetached(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "loc-off"})
	serve(t, l, ipvs.IPv4, 80, "-m", realServers(l, ipvs.IPv4)...)
	answered(t, l, lab.Director, ipvs.IPv4, 80, "server1", "server2")
	cluster.On(t, l, lab.Director, "evs detach")
	if r := load(t, l, lab.Director, "http://203.0.113.10/", 2); r.Answered() > 0 {
		t.Errorf("answered: %v", r.Answers)
	}
	cluster.On(t, l, lab.Director, "evs attach")
	answered(t, l, lab.Director, ipvs.IPv4, 80, "server1", "server2")
}

// A masqueraded server's answer has to come by the director. It does where the
// servers know each other by the director alone; but a server that is given its
// own request has no way to answer itself.
func TestAServerOfAMasqueradedServiceIsServedByTheOthers(t *testing.T) {
	byEveryDoor(t, lab.NAT, "loc-pin", func(t *testing.T, l *lab.Lab) {
		for i := range l.Servers {
			cluster.On(t, l, lab.ServerNode(i+1), `
				ip route del 192.0.2.0/24 dev eth0
				ip route add 192.0.2.1 dev eth0
				ip route replace default via 192.0.2.1`)
		}
		serve(t, l, ipvs.IPv4, 80, "-m", realServers(l, ipvs.IPv4)[1])
		answered(t, l, lab.ServerNode(1), ipvs.IPv4, 80, "server2")
	})
}

func TestAServerThatHasTheVIPAnswersItself(t *testing.T) {
	for method, flag := range map[lab.Method]string{lab.DR: "-g", lab.Tunnel: "-i"} {
		t.Run(string(method), func(t *testing.T) {
			l := cluster.Up(t, lab.Spec{Name: "loc-self-" + string(method), Method: method, Families: lab.Both})
			for _, f := range families {
				serve(t, l, f, 80, flag, realServers(l, f)...)
				answered(t, l, lab.ServerNode(1), f, 80, "server1")
			}
			if stats := cluster.On(t, l, lab.Director, "ipvsadm -Ln --stats"); strings.Contains(stats, " 40 ") {
				t.Errorf("the director saw some of it:\n%s", stats)
			}
		})
	}
}

func TestANeighbourThatIsNotResolvedCostsAClientOnTheDirectorNoPacket(t *testing.T) {
	for method, flag := range map[lab.Method]string{lab.NAT: "-m", lab.Tunnel: "-i"} {
		t.Run(string(method), func(t *testing.T) {
			byEveryDoor(t, method, "loc-neigh-"+string(method), func(t *testing.T, l *lab.Lab) {
				for _, f := range families {
					if method == lab.Tunnel {
						routeVIP(t, l, f)
					}
					serve(t, l, f, 80, flag, realServers(l, f)...)
					for range 5 {
						cluster.On(t, l, lab.Director, "ip neigh flush dev inside")
						r := load(t, l, lab.Director, fmt.Sprintf("udp://%s", netip.AddrPortFrom(lab.VIP(f), lab.EchoPort)), 1)
						if r.Failed() > 0 {
							t.Errorf("%v: %+v", f, r)
						}
					}
				}
			})
		})
	}
}
