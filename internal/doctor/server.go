package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/hostnet"
)

// Methods are the forwarding methods a real server may be checked for.
var Methods = []string{"dr", "tunnel", "nat"}

// Server is what one knows of a real server before looking.
type Server struct {
	hostnet.RealServerSpec
	// Director is the director's address towards the servers, if known.
	Director netip.Addr
	// Client is a client's address, if known.
	Client netip.Addr
	// Ports are those of the virtual services, if known.
	Ports []hostnet.Listener
}

// ServerFacts are what the checks of a real server rest on.
type ServerFacts struct {
	Server
	hostnet.Facts
	// Back are the ways to a client from each VIP; ToDirector that to the
	// director, if that is known.
	Back       map[netip.Addr]hostnet.Way
	ToDirector hostnet.Way
	// Own are the VIPs that the host takes for itself.
	Own       map[netip.Addr]bool
	Listeners []hostnet.Listener
	// Decap is EVS's decapsulator, nil if there is none.
	Decap *datapath.Decap
	// Fou are the UDP ports at which the kernel takes packets out of GUE.
	Fou []hostnet.Change
	// Dropped is how many packets the reverse-path check has dropped.
	Dropped uint64
	// Serves are VIPs of a table of the host's own: as a director it has them.
	Serves map[netip.Addr]bool
}

// serverChecks are the checks of a real server.
var serverChecks = []check[ServerFacts]{
	{"vip-missing", "the host does not have a VIP", vipMissing},
	{"vip-mask", "a VIP on lo with the mask of a network", vipMask},
	{"vip-on-link", "a VIP on an interface of the link, for which the host answers ARP", vipOnLink},
	{"arp-ignore", "the host answers ARP for a VIP on lo", arpIgnore},
	{"arp-announce", "the host names a VIP in ARP requests of its own", arpAnnounce},
	{"ipv6", "an IPv6 VIP that cannot be used", ipv6Usable},
	{"rp-filter", "packets from clients are dropped by the reverse-path check", reversePath},
	{"tunnel", "nothing takes packets out of tunnels", tunnelEnds},
	{"way-back", "replies do not reach clients, or not by the way they have to take", wayBack},
	{"listen", "a port is served at the wrong address", listens},
	{"mtu", "an interface too small for what comes in a tunnel", tunnelMTU},
	{"interface", "an interface that is down", interfaceDown},
}

// JudgeServer makes the checks. It is pure.
func JudgeServer(f ServerFacts) Diagnosis {
	d := judge("real server", serverChecks, f)
	if f.Decap != nil {
		for _, c := range f.Decap.Counters {
			d.Notes = append(d.Notes, fmt.Sprintf("decapsulator: %s: %d %s", c.Name, c.Count, c.About))
		}
	}
	if f.Method == "nat" && !f.Director.IsValid() {
		d.Notes = append(d.Notes, "the way back was not judged: name the director's address with --director")
	}
	return d
}

// answersItself tells whether the host has to have the VIPs.
func (f ServerFacts) answersItself() bool { return f.Method != "nat" }

// each asks about every VIP that the host has to have.
func (f ServerFacts) each(find func(vip netip.Addr) []Finding) (all []Finding) {
	if !f.answersItself() {
		return nil
	}
	for _, vip := range f.VIPs {
		all = append(all, find(vip)...)
	}
	return all
}

// holder is the interface that has a VIP, with its prefix.
func (f ServerFacts) holder(vip netip.Addr) (hostnet.Link, netip.Prefix, bool) {
	for _, l := range f.Links {
		for _, p := range l.Addresses {
			if p.Addr() == vip {
				return l, p, true
			}
		}
	}
	return hostnet.Link{}, netip.Prefix{}, false
}

func vipMissing(f ServerFacts) []Finding {
	return f.each(func(vip netip.Addr) []Finding {
		holder, _, there := f.holder(vip)
		switch {
		case !there && !f.Own[vip]:
			return one(vip, fmt.Sprintf("ip address add %s dev lo", hostPrefix(vip)), "the host does not have it, and drops packets for it")
		case there && !holder.Up:
			return one(vip, "ip link set "+holder.Name+" up", "it is on %s, which is down", holder.Name)
		}
		return nil
	})
}

// misplaced finds a VIP on lo, or not on lo, with a wrong mask or in a wrong
// place.
func (f ServerFacts) misplaced(onLo bool) []Finding {
	return f.each(func(vip netip.Addr) []Finding {
		holder, _, _ := f.holder(vip)
		problem, cure := f.Misplaced(vip)
		if problem == "" || (holder.Name == "lo") != onLo || f.Serves[vip] {
			return nil
		}
		return one(vip, cure, "%s", problem)
	})
}

func vipMask(f ServerFacts) []Finding   { return f.misplaced(true) }
func vipOnLink(f ServerFacts) []Finding { return f.misplaced(false) }

// effective is an ARP setting of an interface: the greater of "all" and its own.
func (f ServerFacts) effective(iface, setting string) string {
	return max(f.Sysctl[hostnet.InterfaceKey("ipv4", "all", setting)], f.Sysctl[hostnet.InterfaceKey("ipv4", iface, setting)])
}

// links are the interfaces by which the host is on a link.
func (f ServerFacts) links() (all []hostnet.Link) {
	for _, l := range f.Links {
		if l.Name != "lo" && l.Up && !hostnet.Silent(l.Type) {
			all = append(all, l)
		}
	}
	return all
}

// arp finds interfaces whose setting is not one of the good values, for the sake
// of an IPv4 VIP. What is wrong is "all", unless the interface has worse.
func (f ServerFacts) arp(setting string, good func(string) bool, value, problem string) []Finding {
	vip4 := slices.IndexFunc(f.VIPs, netip.Addr.Is4)
	if !f.answersItself() || vip4 < 0 || f.Serves[f.VIPs[vip4]] {
		return nil
	}
	cures := map[string][]string{}
	for _, l := range f.links() {
		if good(f.effective(l.Name, setting)) {
			continue
		}
		where := "all"
		if own := f.Sysctl[hostnet.InterfaceKey("ipv4", l.Name, setting)]; own > value {
			where = l.Name
		}
		cure := fmt.Sprintf("sysctl -w %s=%s", hostnet.InterfaceKey("ipv4", where, setting), value)
		cures[cure] = append(cures[cure], l.Name)
	}
	var found []Finding
	for cure, names := range cures {
		found = append(found, one(strings.Join(names, ", "), cure, problem, f.VIPs[vip4])...)
	}
	slices.SortFunc(found, func(a, b Finding) int { return cmp.Compare(a.Subject, b.Subject) })
	return found
}

func arpIgnore(f ServerFacts) []Finding {
	return f.arp("arp_ignore", hostnet.SilentARP, "1", "the host answers ARP requests for %s there, and takes clients from the director")
}

func arpAnnounce(f ServerFacts) []Finding {
	return f.arp("arp_announce", func(v string) bool { return v == "2" }, "2",
		"the host may ask for neighbours in the name of %s there, and they then take it for the owner")
}

func ipv6Usable(f ServerFacts) []Finding {
	return f.each(func(vip netip.Addr) []Finding {
		off := hostnet.InterfaceKey("ipv6", "lo", "disable_ipv6")
		holder, prefix, there := f.holder(vip)
		switch {
		case vip.Is4():
			return nil
		case f.Sysctl[off] == "1":
			return one(vip, "sysctl -w "+off+"=0", "IPv6 is switched off on lo")
		case there && slices.Contains(holder.Faulty, vip):
			return one(vip, fmt.Sprintf("ip address del %s dev %s && ip address add %s dev lo", prefix, holder.Name, hostPrefix(vip)),
				"another host on the link had it when %s got it, so it is not used: on lo nobody is asked", holder.Name)
		}
		return nil
	})
}

func interfaceDown(f ServerFacts) (found []Finding) {
	for _, name := range f.Server.Interfaces {
		if l, ok := f.Link(name); !ok || !l.Up {
			found = append(found, one(name, "ip link set "+name+" up", "packets from the director come in by it, and it is not up")...)
		}
	}
	return found
}
