package matrix

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// A row is a way to the servers: the family of the virtual service, that of the
// servers, and how ipvsadm is told of them.
type row struct {
	name        string
	method      lab.Method
	vip, server ipvs.Family
	flags       string // of ipvsadm -a
	setup       string // flags of evs realserver setup, if servers need it
}

// families are the pairs of VIP and server that every method can do; a tunnel
// can do the mixed ones too.
var (
	families = [][2]ipvs.Family{{ipvs.IPv4, ipvs.IPv4}, {ipvs.IPv6, ipvs.IPv6}}
	mixed    = [][2]ipvs.Family{{ipvs.IPv4, ipvs.IPv6}, {ipvs.IPv6, ipvs.IPv4}}
)

// ways are how to reach a server, by method.
var ways = []struct {
	name   string
	method lab.Method
	flags  string
	setup  string
}{
	{"nat", lab.NAT, "-m", ""},
	{"dr", lab.DR, "-g", ""},
	{"local", lab.Local, "-g", ""},
	{"ipip", lab.Tunnel, "-i", "--tun-type ipip"},
	{"gue", lab.Tunnel, "-i --tun-type gue --tun-port 6080", "--tun-type gue"},
	{"gue with checksum", lab.Tunnel, "-i --tun-type gue --tun-port 6080 --tun-csum", "--tun-type gue"},
	{"gue with remote checksum", lab.Tunnel, "-i --tun-type gue --tun-port 6080 --tun-remcsum", "--tun-type gue"},
	{"gre", lab.Tunnel, "-i --tun-type gre", "--tun-type gre"},
	{"gre with checksum", lab.Tunnel, "-i --tun-type gre --tun-csum", "--tun-type gre --tun-csum"},
}

// rows are the rows of a method.
func rows(method lab.Method) []row {
	var all []row
	for _, w := range ways {
		if w.method != method {
			continue
		}
		pairs := families
		if method == lab.Tunnel {
			pairs = append(pairs[:2:2], mixed...)
		}
		for _, f := range pairs {
			name := fmt.Sprintf("%s, IPv%d", w.name, f[0])
			if f[0] != f[1] {
				name += fmt.Sprintf(" in IPv%d", f[1])
			}
			all = append(all, row{name, method, f[0], f[1], w.flags, w.setup})
		}
	}
	return all
}

// prepare sets the servers and the director up for the row.
func (r row) prepare(t *testing.T, l *lab.Lab) {
	t.Helper()
	if r.setup != "" {
		for _, server := range l.Serving() {
			cluster.On(t, l, server, fmt.Sprintf("evs realserver setup --vip %s,%s --method tunnel --interface eth0 %s",
				lab.VIP(ipvs.IPv4), lab.VIP(ipvs.IPv6), r.setup))
		}
	}
	// What the client has learnt of the path by another way to the servers.
	cluster.On(t, l, lab.ClientNode(1), "ip route flush cache\nip -6 route flush cache")
	cluster.On(t, l, lab.Director, "ipvsadm -C")
	cluster.On(t, l, lab.Director, r.rules(l, "t")+r.rules(l, "u"))
}

// rules are the commands that make a service of protocol "t" or "u" for the row.
func (r row) rules(l *lab.Lab, protocol string) string {
	vip := netip.AddrPortFrom(lab.VIP(r.vip), lab.EchoPort)
	commands := fmt.Sprintf("ipvsadm -A -%s %s -s rr\n", protocol, vip)
	for _, server := range r.servers(l) {
		commands += fmt.Sprintf("ipvsadm -a -%s %s -r %s %s\n", protocol, vip,
			netip.AddrPortFrom(server, lab.EchoPort), r.flags)
	}
	return commands
}

func (r row) servers(l *lab.Lab) []netip.Addr {
	if r.method == lab.Local {
		return []netip.Addr{lab.DirectorInside(r.server)}
	}
	var all []netip.Addr
	for i := range l.Servers {
		all = append(all, lab.ServerAddr(i+1, r.server))
	}
	return all
}

// leaves is how many packets XDP may leave to tc: those it knows no next hop of
// yet, and, where datagrams are too large for a tunnel, their fragments.
func (r row) leaves() int {
	if r.method == lab.Tunnel {
		return 6000
	}
	return 500
}

// answerers are the nodes that are to answer in the row.
func (r row) answerers(l *lab.Lab) []string {
	if r.method == lab.Local {
		return []string{lab.Director}
	}
	var all []string
	for i := range l.Servers {
		all = append(all, lab.ServerNode(i+1))
	}
	return all
}
