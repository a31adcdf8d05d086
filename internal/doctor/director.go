package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// DirectorFacts are what the checks of a director rest on.
type DirectorFacts struct {
	hostnet.Facts
	Services    Services
	Attachments []ipvs.Attachment
	Timer       time.Duration // since it ran
	// Ways are those to VIPs and to destinations.
	Ways map[netip.Addr]hostnet.Way
	// Answers are the machines, but this, that say an address is theirs.
	Answers map[netip.Addr][]hostnet.Answer
	// Asked are the addresses that were asked for.
	Asked map[netip.Addr]bool
	// Names are the addresses of neighbours by their hardware address.
	Names map[string]netip.Addr
	// Conns are connections of masqueraded servers: clients and servers.
	Conns []ipvs.Conn
	// ClientWays are the ways to the clients of Conns.
	ClientWays map[netip.Addr]hostnet.Way
	Tuning     []hostnet.Change // what `evs director setup` would change
}

var directorChecks = []check[DirectorFacts]{
	{"settings", "forwarding is off, the reverse-path check strict, or redirects are sent", settings},
	{"timer", "connections do not expire", timer},
	{"attached", "the data path is not attached to an interface it needs", attached},
	{"vip-missing", "the director does not have a VIP", directorVIP},
	{"server-no-route", "no way to a real server", serverRoute},
	{"server-silent", "a real server does not answer on the link", serverSilent},
	{"server-beyond", "direct routing to a server behind a gateway", serverBeyond},
	{"arp-answer", "another host answers ARP for a VIP", arpAnswer},
	{"one-lan", "masqueraded servers answer clients of their own link directly", oneLAN},
	{"tunnel-mtu", "packets of full size do not fit into a tunnel", wayMTU},
}

// JudgeDirector makes the checks. It is pure.
func JudgeDirector(f DirectorFacts) Diagnosis {
	d := judge("director", directorChecks, f)
	if len(f.Services) == 0 {
		d.Notes = append(d.Notes, "the table has no service: there is little to judge")
	}
	return d
}

// eachServer asks about every destination, once an address and method, with a
// service that has it.
func (f DirectorFacts) eachServer(find func(ipvs.Service, ipvs.Destination) []Finding) (all []Finding) {
	type known struct {
		addr   netip.Addr
		method ipvs.Method
	}
	seen := map[known]bool{}
	for _, s := range f.Services {
		for _, d := range s.Destinations {
			k := known{d.Addr.Addr(), d.Method}
			if seen[k] {
				continue
			}
			seen[k] = true
			all = append(all, find(s.Service, d.Destination)...)
		}
	}
	return all
}

// eachVIP asks about every VIP once.
func (f DirectorFacts) eachVIP(find func(netip.Addr, ipvs.ServiceInfo) []Finding) (all []Finding) {
	seen := map[netip.Addr]bool{}
	for _, s := range f.Services {
		vip := s.Addr.Addr()
		if !vip.IsValid() || seen[vip] { // of a firewall mark
			continue
		}
		seen[vip] = true
		all = append(all, find(vip, s)...)
	}
	return all
}

// forwards tells whether packets of a family go on to other hosts.
func (f DirectorFacts) forwards(family ipvs.Family) bool {
	return slices.ContainsFunc(f.Services, func(s ipvs.ServiceInfo) bool {
		return s.Family == family && len(s.Destinations) > 0
	})
}

// settings are those that setup would change, of families that are forwarded.
func settings(f DirectorFacts) (found []Finding) {
	for _, c := range f.Tuning {
		family := ipvs.IPv4
		if strings.HasPrefix(c.Name, "net.ipv6.") {
			family = ipvs.IPv6
		}
		if f.forwards(family) && c.Note == "" && needed(c) {
			found = append(found, one(c.Name, c.Command()+"  # or all at once: evs director setup", "it is %s, and %s", c.Old, why(c))...)
		}
	}
	return found
}

// reasons for settings, by the end of their names.
var reasons = []struct{ setting, why string }{
	{"ip_forward", "the data path forwards nothing"},
	{".forwarding", "packets that come in there are not forwarded"},
	{".rp_filter", "what the kernel is left to deliver is dropped where the way back is another"},
	{".send_redirects", "clients and servers of one link are told to go past the director"},
}

func needed(c hostnet.Change) bool { return why(c) != "" }

func why(c hostnet.Change) string {
	for _, r := range reasons {
		if strings.HasSuffix(c.Name, r.setting) && !strings.Contains(c.Name, ".default.") && !strings.Contains(c.Name, ".lo.") {
			return r.why
		}
	}
	return ""
}

// The timer runs many times a second.
const timerPatience = 5 * time.Second

func timer(f DirectorFacts) []Finding {
	if f.Timer <= timerPatience {
		return nil
	}
	return one("timer", "evs save > rules && evs unload && evs restore < rules", "it ran %v ago: connections do not expire", f.Timer.Round(time.Second))
}

// attached finds interfaces by which a VIP or a server is reached, and that
// have no program.
func attached(f DirectorFacts) (found []Finding) {
	need := map[string]string{}
	f.eachServer(func(_ ipvs.Service, d ipvs.Destination) []Finding {
		if d.Method == ipvs.Masquerade { // its replies come in there
			need[f.Ways[d.Addr.Addr()].Iface] = "replies of " + d.Addr.Addr().String() + " come in by it"
		}
		return nil
	})
	f.eachVIP(func(vip netip.Addr, _ ipvs.ServiceInfo) []Finding {
		for _, name := range f.holders(vip) {
			need[name] = "packets for " + vip.String() + " come in by it"
		}
		return nil
	})
	for _, a := range f.Attachments {
		if what, needed := need[a.Interface]; needed && len(a.Doors) == 0 {
			found = append(found, one(a.Interface, "evs attach "+a.Interface, "the data path is not attached there (%s), and %s", a.Reason, what)...)
		}
	}
	return found
}

// holders are the interfaces that have an address or a network with it.
func (f DirectorFacts) holders(a netip.Addr) (names []string) {
	for _, l := range f.Links {
		if slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Contains(a) }) {
			names = append(names, l.Name)
		}
	}
	return names
}

// involved are the interfaces that packets of services come in or go out by:
// towards servers, VIPs and everybody else.
func (f DirectorFacts) involved() (names []string) {
	f.eachServer(func(_ ipvs.Service, d ipvs.Destination) []Finding {
		names = append(names, f.Ways[d.Addr.Addr()].Iface)
		return nil
	})
	f.eachVIP(func(vip netip.Addr, _ ipvs.ServiceInfo) []Finding {
		names = append(names, f.holders(vip)...)
		return nil
	})
	for _, r := range f.Routes {
		if r.To.Bits() == 0 {
			names = append(names, r.Iface)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" || name == "lo" })
}

func directorVIP(f DirectorFacts) []Finding {
	return f.eachVIP(func(vip netip.Addr, _ ipvs.ServiceInfo) []Finding {
		if f.Ways[vip].Local || len(f.Answers[vip]) > 0 {
			return nil // a backup leaves the VIP to the other
		}
		return one(vip, fmt.Sprintf("ip address add %s dev INTERFACE", hostPrefix(vip)),
			"no interface has it: nobody answers when a link asks for it, and pings of it are not answered")
	})
}

func serverRoute(f DirectorFacts) []Finding {
	return f.eachServer(func(_ ipvs.Service, d ipvs.Destination) []Finding {
		a := d.Addr.Addr()
		if w := f.Ways[a]; w.Unreachable != "" {
			return one(a, fmt.Sprintf("%s route add %s via GATEWAY", ip(a), hostPrefix(a)), "there is no way to it: %s", w.Unreachable)
		}
		return nil
	})
}

func serverSilent(f DirectorFacts) []Finding {
	return f.eachServer(func(_ ipvs.Service, d ipvs.Destination) []Finding {
		a := d.Addr.Addr()
		hop := a
		if via := f.Ways[a].Via; via.IsValid() {
			hop = via
		}
		if !f.Asked[hop] || len(f.Answers[hop]) > 0 {
			return nil
		}
		who := "it"
		if hop != a {
			who = "the gateway " + hop.String()
		}
		return one(a, fmt.Sprintf("start it, or take it out with weight 0; look at its cable and address: ip neigh show %s", hop),
			"%s does not answer on %s when asked for its hardware address", who, f.Ways[a].Iface)
	})
}

func serverBeyond(f DirectorFacts) []Finding {
	return f.eachServer(func(s ipvs.Service, d ipvs.Destination) []Finding {
		a := d.Addr.Addr()
		if w := f.Ways[a]; d.Method == ipvs.Route && w.Via.IsValid() {
			return one(a, fmt.Sprintf("evs destination edit %s --server %s --method tunnel  # and on it: evs realserver setup --method tunnel", serviceWords(s), d.Addr),
				"it is behind the gateway %s, which gets packets for the VIP and sends them back: direct routing reaches the director's own links", w.Via)
		}
		return nil
	})
}

func serviceWords(s ipvs.Service) string {
	if s.FWMark != 0 {
		return fmt.Sprintf("--fwmark %d", s.FWMark)
	}
	return fmt.Sprintf("--%s %s", strings.ToLower(s.Protocol.String()), s.Addr)
}

func arpAnswer(f DirectorFacts) []Finding {
	return f.eachVIP(func(vip netip.Addr, s ipvs.ServiceInfo) (found []Finding) {
		if !f.Ways[vip].Local {
			return nil // another director has it
		}
		for _, answer := range f.Answers[vip] {
			who, name := answer.MAC, f.Names[answer.MAC]
			cure := "find the host with that hardware address, and take the VIP off it"
			if name.IsValid() {
				who = fmt.Sprintf("%s (%s)", name, answer.MAC)
			}
			if f.isServer(name) {
				who = "real server " + who
				cure = fmt.Sprintf("on %s: evs realserver setup --vip %s  # or: sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2", name, vip)
			}
			found = append(found, one(vip, cure, "%s answers for it on %s, and takes clients from the director", who, answer.Iface)...)
		}
		return found
	})
}

func (f DirectorFacts) isServer(a netip.Addr) bool {
	return slices.ContainsFunc(f.Services, func(s ipvs.ServiceInfo) bool {
		return slices.ContainsFunc(s.Destinations, func(d ipvs.DestinationInfo) bool { return d.Addr.Addr() == a })
	})
}

// oneLAN finds clients on the link of their masqueraded server: what it answers
// goes straight to the client, which knows no such server.
func oneLAN(f DirectorFacts) (found []Finding) {
	seen := map[netip.Addr]bool{}
	for _, c := range f.Conns {
		client, server := f.ClientWays[c.Client.Addr()], f.Ways[c.Destination.Addr()]
		a := c.Destination.Addr()
		if seen[a] || client.Via.IsValid() || server.Via.IsValid() || client.Iface == "" || client.Iface != server.Iface || client.Local || server.Local {
			continue
		}
		seen[a] = true
		found = append(found, one(a, fmt.Sprintf("on %s: %s route replace %s via %s, or use direct routing", a, ip(a), hostPrefix(c.Client.Addr()), server.Source),
			"its client %s is on the same link (%s), so it answers past the director", c.Client.Addr(), client.Iface)...)
	}
	return found
}

// fullSize is what clients on Ethernet send.
const fullSize = 1500

func wayMTU(f DirectorFacts) []Finding {
	return f.eachServer(func(_ ipvs.Service, d ipvs.Destination) []Finding {
		a := d.Addr.Addr()
		link, ok := f.Link(f.Ways[a].Iface)
		if d.Method != ipvs.Tunnel || !ok || link.MTU == 0 {
			return nil
		}
		room := link.MTU - outerBytes[d.Tunnel.Type.String()]
		if a.Is6() {
			room -= 20
		}
		if room >= least6 {
			return nil // the client is told, and sends less
		}
		return one(a, fmt.Sprintf("ip link set %s mtu %d", link.Name, fullSize),
			"the MTU of %s leaves %d bytes for a packet in its tunnel, less than every link of IPv6 carries", link.Name, room)
	})
}
