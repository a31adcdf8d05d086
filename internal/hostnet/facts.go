package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// watched are the settings Read looks at, for every interface, "all" and
// "default".
var watched = map[string][]string{
	"ipv4": {"forwarding", "rp_filter", "send_redirects", "accept_redirects", "arp_ignore", "arp_announce"},
	"ipv6": {"forwarding", "accept_ra", "accept_dad", "dad_transmits", "disable_ipv6"},
}

// Read takes a picture of the calling thread's network namespace. Interfaces
// that vanish meanwhile are left out.
func Read() (Facts, error) {
	links, err := readLinks()
	if err != nil {
		return Facts{}, err
	}
	routes, err := readRoutes()
	if err != nil {
		return Facts{}, err
	}
	values, err := readSysctls(links)
	if err != nil {
		return Facts{}, err
	}
	return Facts{Links: links, Routes: routes, Sysctl: values}, nil
}

func readLinks() ([]Link, error) {
	found, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	var links []Link
	for _, l := range found {
		link := Link{Name: l.Attrs().Name, Up: l.Attrs().Flags&net.FlagUp != 0, Type: l.Type(), MTU: l.Attrs().MTU}
		for _, a := range addrs {
			p, ok := prefixOf(a.IPNet)
			if !ok || a.LinkIndex != l.Attrs().Index {
				continue
			}
			link.Addresses = append(link.Addresses, p)
			if a.Flags&unix.IFA_F_DADFAILED != 0 {
				link.Faulty = append(link.Faulty, p.Addr())
			}
		}
		links = append(links, link)
	}
	return links, nil
}

func readRoutes() ([]Route, error) {
	found, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list the routes: %w", err)
	}
	var routes []Route
	for _, r := range found {
		to, ok := prefixOf(r.Dst)
		if !ok {
			continue
		}
		via, _ := netip.AddrFromSlice(r.Gw)
		route := Route{To: to, Via: via.Unmap()}
		if !via.IsValid() {
			route.Via = netip.Addr{}
		}
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			route.Iface = l.Attrs().Name
		}
		routes = append(routes, route)
	}
	return routes, nil
}

func readSysctls(links []Link) (Values, error) {
	keys := []string{Forwarding4}
	for family, settings := range watched {
		for _, setting := range settings {
			for _, iface := range []string{"all", "default"} {
				// conf.all.forwarding is ip_forward under another name.
				if key := InterfaceKey(family, iface, setting); key != "net.ipv4.conf.all.forwarding" {
					keys = append(keys, key)
				}
			}
			for _, l := range links {
				keys = append(keys, InterfaceKey(family, l.Name, setting))
			}
		}
	}
	values := Values{}
	for _, key := range keys {
		value, ok, err := readSysctl(key)
		if err != nil {
			return nil, err
		}
		if ok {
			values[key] = value
		}
	}
	return values, nil
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits), ok
}

// Interfaces resolves the names a person gave: those interfaces, or all but
// loopback when there are none.
func (f Facts) Interfaces(names []string) ([]string, error) {
	var all []string
	for _, l := range f.Links {
		if l.Name != "lo" {
			all = append(all, l.Name)
		}
	}
	slices.Sort(all)
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if name == "lo" {
			return nil, errors.New("interface lo: packets are not forwarded through loopback; name the interfaces towards the clients and the real servers")
		}
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("interface %s: there is none here; there are: %s", name, strings.Join(all, ", "))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}
