package local

import (
	"context"
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
		s.Via, s.Timeout = health.ViaVIP, health.Duration(time.Second)
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

// saysItIs is a check that the server of that name answers, and nobody else.
func saysItIs(name string) health.Spec {
	return health.Spec{Kind: "http", HTTP: health.HTTP{Request: health.Request{Body: name}}}
}

// reached wants each server to answer probes of it, by TCP and UDP, three times.
func reached(t *testing.T, l *lab.Lab, f ipvs.Family) {
	t.Helper()
	for i, server := range realServers(l, f) {
		name := lab.ServerNode(i + 1)
		for range 3 {
			if r := probe(t, l, ipvs.TCP, netip.AddrPortFrom(lab.VIP(f), 80), server, saysItIs(name)); !r.Up {
				t.Errorf("%s by TCP over %v: %+v", name, f, r)
			}
			echo := netip.AddrPortFrom(lab.VIP(f), lab.EchoPort)
			s := health.Spec{Kind: "udp", Talk: health.Talk{Send: "hello", Expect: name}}
			if r := probe(t, l, ipvs.UDP, echo, netip.AddrPortFrom(server.Addr(), lab.EchoPort), s); !r.Up {
				t.Errorf("%s by UDP over %v: %+v", name, f, r)
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
					reached(t, l, f)
					cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -E -t %s -s rr -p 60\nipvsadm -e -t %s -r %s %s -w 0",
						vip, vip, realServers(l, f)[1], flag))
					reached(t, l, f)
					if list := cluster.On(t, l, lab.Director, "ipvsadm -Ln --persistent-conn"); !strings.Contains(list, " 0 ") {
						t.Errorf("probes made templates:\n%s", list)
					}
					answered(t, l, lab.ClientNode(1), f, 80, "server1")
					routeVIP(t, l, f)
					reached(t, l, f)
				}
			})
		})
	}
}
