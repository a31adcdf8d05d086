package hostnet

import (
	"slices"
)

// Director is what a director needs of the interfaces it is to forward between.
// With every set, it also covers interfaces yet to come (the "default"
// settings); without, every interface not named keeps its settings. It is pure.
//
// Only what have knows is asked for: a kernel without IPv6 gets no IPv6
// settings.
func Director(have Facts, ifaces []string, every bool) Want {
	if every {
		ifaces = append(slices.Clone(ifaces), "default")
	}
	want := Values{}
	forward(want, have.Sysctl, ifaces)
	relaxReversePath(want, have.Sysctl, ifaces)
	silenceRedirects(want, have.Sysctl, ifaces)
	if enabled6(have.Sysctl) {
		forward6(want, have, ifaces, every)
	}
	return Want{Sysctl: want}
}

// forward lets packets through. The kernel refuses redirects on its own when
// the switch is turned, as befits a router; loopback follows the switch, since
// nobody could gain from holding it back.
func forward(want, have Values, ifaces []string) {
	want[Forwarding4] = "1"
	if _, ok := have[AcceptRedirects4]; ok && have[Forwarding4] == "0" {
		want[AcceptRedirects4] = "0"
	}
	for _, iface := range append([]string{"lo"}, ifaces...) {
		ask(want, have, InterfaceKey("ipv4", iface, "forwarding"), "1")
	}
}

// relaxReversePath turns the strict reverse-path check into the loose one. With
// NAT and with redirected packets, a reply may come in elsewhere than its route
// points, and strict drops it. The stricter of "all" and the interface does not
// win but the greater number: max(all, iface), where 1 is strict and 2 loose.
// So 2 on the interface settles it, and "all" can stay.
func relaxReversePath(want, have Values, ifaces []string) {
	all := have[InterfaceKey("ipv4", "all", "rp_filter")]
	for _, iface := range ifaces {
		key := InterfaceKey("ipv4", iface, "rp_filter")
		if own, ok := have[key]; ok && max(all, own) == "1" {
			want[key] = "2"
		}
	}
}

// silenceRedirects keeps the director from telling clients on the servers' own
// link to bypass it. The kernel sends redirects if either "all" or the
// interface says so, so both must be off.
func silenceRedirects(want, have Values, ifaces []string) {
	for _, iface := range append([]string{"all"}, ifaces...) {
		ask(want, have, InterfaceKey("ipv4", iface, "send_redirects"), "0")
	}
}

// forward6 does for IPv6 what forward does. There the switch alone decides, and
// the setting of an interface says whether it behaves as a router's; a router
// ignores router advertisements unless accept_ra is 2. Turning forwarding on
// anywhere also drops the default routes learnt on every interface where
// accept_ra is 1, so it is raised on all of them.
func forward6(want Values, have Facts, ifaces []string, every bool) {
	for key, value := range have.Sysctl {
		family, iface, setting, ok := splitKey(key)
		if !ok || family != "ipv6" || setting != "accept_ra" || value != "1" {
			continue
		}
		if _, exists := have.Link(iface); exists && iface != "lo" || iface == "default" && every {
			want[key] = "2"
		}
	}
	ask(want, have.Sysctl, Forwarding6, "1")
	for _, iface := range append([]string{"lo"}, ifaces...) {
		if have.Sysctl[InterfaceKey("ipv6", iface, "disable_ipv6")] == "0" {
			ask(want, have.Sysctl, InterfaceKey("ipv6", iface, "forwarding"), "1")
		}
	}
}

func enabled6(have Values) bool {
	return have[InterfaceKey("ipv6", "all", "disable_ipv6")] == "0"
}

func ask(want, have Values, key, value string) {
	if _, ok := have[key]; ok {
		want[key] = value
	}
}

// forwardingOf returns the interface a forwarding setting belongs to.
func forwardingOf(key string) (iface string, ok bool) {
	_, iface, setting, ok := splitKey(key)
	return iface, ok && setting == "forwarding" && iface != "all" && iface != "default"
}
