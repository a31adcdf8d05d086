package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// probe asks a destination of a service, on the director, by the VIP.
func probe(t *testing.T, l *lab.Lab, proto ipvs.Protocol, at, server netip.AddrPort, s health.Spec) (r health.Result) {
	t.Helper()
	err := l.Do(lab.Director, func() error {
		table, err := ipvs.Open(t.Context())
		if err != nil {
			return err
		}
		defer table.Close()
		marks, err := table.ProbeMarks(ipvs.ServiceAt(proto, at))
		if err != nil {
			return err
		}
		// A first packet that waits for its neighbour is lost, and TCP sends it again
		// after a second.
		s.Via, s.Timeout = health.ViaVIP, health.Duration(3*time.Second)
		c, err := s.New(health.Target{Addr: server, VIP: at, Path: health.Path{Mark: marks[server]}})
		if err != nil {
			return err
		}
		r = c.Check(context.Background())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// asked asks an address on the director, as it is.
func asked(t *testing.T, l *lab.Lab, at netip.AddrPort, s health.Spec) (r health.Result) {
	t.Helper()
	err := l.Do(lab.Director, func() error {
		s.Timeout = health.Duration(3 * time.Second)
		c, err := s.New(health.Target{Addr: at})
		if err == nil {
			r = c.Check(t.Context())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// saysItIs is a check that the server of that name answers, and nobody else.
func saysItIs(name string) health.Spec {
	return health.Spec{Kind: "http", HTTP: health.HTTP{Request: health.Request{Body: name}}}
}

// reached wants each server to answer probes of it, by TCP and UDP, three times.
func reached(t *testing.T, l *lab.Lab, f ipvs.Family, when string) {
	t.Helper()
	for i, server := range realServers(l, f) {
		name := lab.ServerNode(i + 1)
		for range 3 {
			if r := probe(t, l, ipvs.TCP, netip.AddrPortFrom(lab.VIP(f), 80), server, saysItIs(name)); !r.Up {
				t.Errorf("%s, %s by TCP over %v: %+v", when, name, f, r)
			}
			echo := netip.AddrPortFrom(lab.VIP(f), lab.EchoPort)
			s := health.Spec{Kind: "udp", Talk: health.Talk{Send: "hello", Expect: name}}
			if r := probe(t, l, ipvs.UDP, echo, netip.AddrPortFrom(server.Addr(), lab.EchoPort), s); !r.Up {
				t.Errorf("%s, %s by UDP over %v: %+v", when, name, f, r)
			}
		}
	}
}

// Whatever else may be: of weight 0, beside a persistence template that leads
// elsewhere, with the VIP an address of the director or not.
func TestAProbeReachesItsServerByEveryMethod(t *testing.T) {
	for method, flag := range map[lab.Method]string{lab.NAT: "-m", lab.DR: "-g", lab.Tunnel: "-i"} {
		t.Run(string(method), func(t *testing.T) {
			byEveryDoor(t, method, "probe-"+string(method), func(t *testing.T, l *lab.Lab) {
				for _, f := range families {
					vip := netip.AddrPortFrom(lab.VIP(f), 80)
					serve(t, l, f, 80, flag, realServers(l, f)...)
					reached(t, l, f, "fresh")
					cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -E -t %s -s rr -p 60\nipvsadm -e -t %s -r %s %s -w 0",
						vip, vip, realServers(l, f)[1], flag))
					reached(t, l, f, "with weight 0 and persistence")
					if list := cluster.On(t, l, lab.Director, "ipvsadm -Ln --persistent-conn"); !strings.Contains(list, " 0 ") {
						t.Errorf("probes made templates:\n%s", list)
					}
					if r := load(t, l, lab.ClientNode(1), "http://"+vip.String()+"/", 8); r.Answers["server1"] != 8 {
						t.Errorf("clients are answered by %v", r.Answers)
					}
					routeVIP(t, l, f)
					reached(t, l, f, "with the VIP elsewhere")
				}
			})
		})
	}
}

// What a check of the server's own address does not see.
func TestAProbeFailsWhereTheWayOfTheClientsIsBroken(t *testing.T) {
	for _, c := range []struct {
		method       lab.Method
		flag, breaks string
	}{
		{lab.DR, "-g", "ip addr del 203.0.113.10/32 dev lo"},
		{lab.Tunnel, "-i", "evs realserver teardown"},
	} {
		t.Run(string(c.method), func(t *testing.T) {
			byEveryDoor(t, c.method, "probe-broken-"+string(c.method), func(t *testing.T, l *lab.Lab) {
				f, at := ipvs.IPv4, netip.MustParseAddrPort("203.0.113.10:80")
				servers := realServers(l, f)
				serve(t, l, f, 80, c.flag, servers...)
				reached(t, l, f, "whole")
				cluster.On(t, l, lab.ServerNode(2), c.breaks)
				if r := probe(t, l, ipvs.TCP, at, servers[1], saysItIs("server2")); r.Up || r.Void {
					t.Errorf("by the VIP: %+v", r)
				}
				if r := asked(t, l, servers[1], health.Spec{Kind: "http"}); !r.Up {
					t.Errorf("by its own address: %+v", r)
				}
				if r := probe(t, l, ipvs.TCP, at, servers[0], saysItIs("server1")); !r.Up {
					t.Errorf("the other: %+v", r)
				}
			})
		})
	}
}

func TestAProbeIsForgottenTenSecondsAfterItsLastPacket(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "probe-forgotten", Method: lab.DR})
	f := ipvs.IPv4
	serve(t, l, f, 80, "-g", realServers(l, f)...)
	reached(t, l, f, "whole")
	if list := cluster.On(t, l, lab.Director, "ipvsadm -Lnc"); strings.Count(list, "192.0.2.1:") != 12 {
		t.Errorf("of 12 probes:\n%s", list)
	}
	time.Sleep(12 * time.Second)
	if list := cluster.On(t, l, lab.Director, "ipvsadm -Lnc"); strings.Count(list, "\n") > 2 {
		t.Errorf("remembered:\n%s", list)
	}
}

func TestAProbeOfAnotherServicesDestinationIsDropped(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "probe-foreign", Method: lab.NAT})
	serve(t, l, ipvs.IPv4, 80, "-m", realServers(l, ipvs.IPv4)...)
	cluster.On(t, l, lab.Director, "ipvsadm -A -t 203.0.113.10:81 -s rr\nipvsadm -a -t 203.0.113.10:81 -r 192.0.2.2:80 -m")
	var own, foreign map[netip.AddrPort]uint32
	at := netip.MustParseAddrPort("203.0.113.10:80")
	if err := l.Do(lab.Director, func() error {
		table, err := ipvs.Open(t.Context())
		if err != nil {
			return err
		}
		defer table.Close()
		own, err = table.ProbeMarks(ipvs.ServiceAt(ipvs.TCP, at))
		if err != nil {
			return err
		}
		foreign, err = table.ProbeMarks(ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:81")))
		if _, none := table.ProbeMarks(ipvs.ServiceAt(ipvs.UDP, at)); !errors.Is(none, ipvs.ErrNoService) {
			t.Error(none)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	server := realServers(l, ipvs.IPv4)[0]
	if len(own) != 2 || len(foreign) != 1 || own[server] == foreign[server] {
		t.Fatalf("%x and %x", own, foreign)
	}
	for mark, up := range map[uint32]bool{own[server]: true, foreign[server]: false, 0x45ffffff: false} {
		if err := l.Do(lab.Director, func() error {
			s := health.Spec{Kind: "tcp", Via: health.ViaVIP, Timeout: health.Duration(3 * time.Second)}
			c, err := s.New(health.Target{Addr: server, VIP: at, Path: health.Path{Mark: mark}})
			if err == nil {
				if r := c.Check(t.Context()); r.Up != up {
					t.Errorf("mark %x: %+v", mark, r)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACheckByFullPacketsFindsALinkThatIsTooSmall(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "probe-mtu"})
	servers := realServers(l, ipvs.IPv4)
	cluster.On(t, l, lab.ServerNode(2), "ip link set dev eth0 mtu 1400")
	for i, up := range []bool{true, false} {
		plain, full := health.Spec{Kind: "icmp"}, health.Spec{Kind: "icmp", FullMTU: true}
		if r := asked(t, l, servers[i], plain); !r.Up {
			t.Errorf("server %d: %+v", i+1, r)
		}
		if r := asked(t, l, servers[i], full); r.Up != up {
			t.Errorf("server %d by full packets: %+v", i+1, r)
		}
		if r := asked(t, l, netip.AddrPortFrom(servers[i].Addr(), 9), health.Spec{Kind: "udp", FullMTU: true}); r.Up == up {
			t.Errorf("server %d, whose port is closed, by full datagrams: %+v", i+1, r)
		}
	}
}

// By these methods the VIP answers. To the director that is itself, and the kernel
// would drop it.
func TestAClientThatBindsToAnotherAddressIsAnsweredByTheVIP(t *testing.T) {
	for method, flag := range map[lab.Method]string{lab.DR: "-g", lab.Tunnel: "-i"} {
		t.Run(string(method), func(t *testing.T) {
			byEveryDoor(t, method, "loc-bound-"+string(method), func(t *testing.T, l *lab.Lab) {
				for _, f := range families {
					serve(t, l, f, 80, flag, realServers(l, f)...)
					source := health.Address{Addr: lab.DirectorInside(f)}
					for range 4 {
						s := saysItIs("server")
						s.Source = source
						if r := asked(t, l, netip.AddrPortFrom(lab.VIP(f), 80), s); !r.Up {
							t.Errorf("over %v: %+v", f, r)
						}
					}
				}
			})
		})
	}
}
