package matrix

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
)

// A row is a way to the servers: the family of the virtual service, that of the
// servers, and how ipvsadm is told of them.
type row struct {
	name        string
	method      lab.Method
	vip, server ipvs.Family
	flags       string // of ipvsadm -a
}

// families are the pairs of VIP and server that every method can do.
var families = [][2]ipvs.Family{{ipvs.IPv4, ipvs.IPv4}}

// ways are how to reach a server, by method.
var ways = []struct {
	name   string
	method lab.Method
	flags  string
}{
	{"nat", lab.NAT, "-m"},
	{"dr", lab.DR, "-g"},
	{"local", lab.Local, "-g"},
}

// methods are those that have ways.
func methods() []lab.Method {
	var all []lab.Method
	for _, w := range ways {
		if !slices.Contains(all, w.method) {
			all = append(all, w.method)
		}
	}
	return all
}

// rows are the rows of a method.
func rows(method lab.Method) []row {
	var all []row
	for _, w := range ways {
		if w.method != method {
			continue
		}
		for _, f := range families {
			name := fmt.Sprintf("%s, IPv%d", w.name, f[0])
			if f[0] != f[1] {
				name += fmt.Sprintf(" in IPv%d", f[1])
			}
			all = append(all, row{name, method, f[0], f[1], w.flags})
		}
	}
	return all
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
