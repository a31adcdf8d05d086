package hostnet

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Link is an interface as Read found it.
type Link struct {
	Name      string
	Up        bool
	Addresses []netip.Prefix
	Type      string // veth, bridge, ipip, …; device for hardware
	MTU       int
	// Faulty are the addresses that are not usable: found twice on the link.
	Faulty []netip.Addr
}

// Route sends packets for To by way of Via, or, if Via is invalid, straight out
// of Iface. Iface may be left out of a wanted route that has a Via.
type Route struct {
	To    netip.Prefix
	Via   netip.Addr
	Iface string
}

func (r Route) hop() string {
	var words []string
	if r.Via.IsValid() {
		words = append(words, "via "+r.Via.String())
	}
	if r.Iface != "" {
		words = append(words, "dev "+r.Iface)
	}
	return strings.Join(words, " ")
}

// Facts are the network configuration of a namespace at one moment.
type Facts struct {
	Links  []Link
	Routes []Route
	// Sysctl has every setting the package looks at that the kernel has.
	Sysctl Values
	// FouPorts are the UDP ports that the kernel takes packets out of, by
	// port, as a Change says it. Not every picture has them.
	FouPorts []Change
}

// Link returns the interface called name.
func (f Facts) Link(name string) (Link, bool) {
	i := slices.IndexFunc(f.Links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}, false
	}
	return f.Links[i], true
}

// InterfaceAddress is an address with its prefix length on an interface.
type InterfaceAddress struct {
	Iface  string
	Prefix netip.Prefix
	// Unpreferred is never chosen as the source of the host's own packets.
	Unpreferred bool
}

func (a InterfaceAddress) value() string {
	if a.Unpreferred {
		return a.Prefix.String() + " preferred_lft 0"
	}
	return a.Prefix.String()
}

// Want is the part of the configuration that is to be so. What it does not
// mention stays as it is.
type Want struct {
	// Made are the devices and FOU ports to make, as changes.
	Made      []Change
	Sysctl    Values
	Up        []string
	Addresses []InterfaceAddress
	Routes    []Route
}

// Plan decides what to change so that have becomes what is wanted: devices,
// settings, then links, addresses, routes. It is pure, and empty when all is well.
func Plan(have Facts, want Want) []Change {
	var changes []Change
	for _, c := range want.Made {
		if !have.made(c) {
			changes = append(changes, c)
		}
	}
	changes = append(changes, planSysctls(have.Sysctl, want.Sysctl)...)
	for _, name := range want.Up {
		if link, _ := have.Link(name); !link.Up {
			changes = append(changes, Change{Kind: LinkState, Name: name, Old: "down", New: "up"})
		}
	}
	for _, a := range want.Addresses {
		if link, _ := have.Link(a.Iface); !slices.Contains(link.Addresses, a.Prefix) {
			changes = append(changes, Change{Kind: Address, Name: a.Iface, New: a.value()})
		}
	}
	for _, r := range want.Routes {
		old, found := "", false
		for _, h := range have.Routes {
			if h.To != r.To {
				continue
			}
			old = h.hop()
			found = h.Via == r.Via && (r.Iface == "" || h.Iface == r.Iface)
			break
		}
		if !found {
			changes = append(changes, Change{Kind: RouteTo, Name: r.To.String(), Old: old, New: r.hop()})
		}
	}
	return changes
}

// made tells whether what a change makes is there.
func (f Facts) made(c Change) bool {
	switch c.Kind {
	case Device:
		_, there := f.Link(c.Name)
		return there
	case FouPort:
		return slices.ContainsFunc(f.FouPorts, func(p Change) bool { return p.Name == c.Name && p.New == c.New })
	case LinkState:
		link, _ := f.Link(c.Name)
		return link.Up == (c.New == "up")
	case Address:
		link, _ := f.Link(c.Name)
		prefix, _, _ := strings.Cut(c.New, " ")
		return slices.ContainsFunc(link.Addresses, func(p netip.Prefix) bool { return p.String() == prefix })
	}
	return false
}

// planSysctls orders the writes so that nothing is lost on the way. accept_ra
// goes to 2 before anything else, because turning forwarding on drops the
// default routes learnt on interfaces where it is 1; then the switches, which
// overwrite the settings of the interfaces; then "default", which carries over
// to some; then the interfaces, among them those whose value the switch changed
// though nobody asked for it.
func planSysctls(have, want Values) []Change {
	target := have.clone()
	if target == nil {
		target = Values{}
	}
	maps.Copy(target, want)
	now := have.clone()
	if now == nil {
		now = Values{}
	}
	keys := slices.SortedFunc(maps.Keys(target), func(a, b string) int {
		if d := rank(a, target[a]) - rank(b, target[b]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var changes []Change
	for _, key := range keys {
		value := target[key]
		if now[key] == value {
			continue
		}
		c := Change{Kind: Sysctl, Name: key, Old: now[key], New: value}
		if have[key] == value {
			c.Note = "keeps its value, which a switch above changes"
		}
		changes = append(changes, c)
		now.set(key, value)
	}
	return changes
}

func rank(key, value string) int {
	_, iface, setting, _ := splitKey(key)
	switch {
	case setting == "accept_ra" && value == "2":
		return 0
	case key == Forwarding4 || key == Forwarding6:
		return 1
	case setting == "accept_ra":
		return 4
	case iface == "all" || iface == "default":
		return 2
	}
	return 3
}
