package lab

import (
	"net/netip"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

func TestASpecThatMakesNoSenseIsExplained(t *testing.T) {
	for _, tt := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, ""},
		{Spec{Servers: 16, Clients: 64, Method: DR, Families: Both, Name: "my-lab2"}, ""},
		{Spec{Name: "My Lab"}, `lab name "My Lab": want up to 30 small letters, digits and dashes, a letter first`},
		{Spec{Servers: 17}, "17 servers: want 1 to 16"},
		{Spec{Clients: -1}, "-1 clients: want 1 to 64"},
		{Spec{Method: "masq"}, `forwarding method "masq": want nat, dr, tunnel or local`},
		{Spec{Method: Tunnel, Tunnel: "vxlan"}, `tunnel "vxlan": want ipip, gue or gre`},
		{Spec{Tunnel: "gre"}, "tunnel gre with method nat: a tunnel is for method tunnel"},
		{Spec{Arms: 3}, "3 arms: want 1 or 2 interfaces of the director"},
		{Spec{Gateways: 3}, "3 gateways: want 1 or 2"},
		{Spec{Arms: 1, Gateways: 2}, "2 gateways and 1 arm: the second gateway is on the director's outer link, which takes 2 arms"},
		{Spec{Loss: 101}, "loss of 101 %: want 0 to 100"},
		{Spec{MTU: 1000}, "MTU 1000: want 1280 to 9000"},
		{Spec{InsideMTU: 9001}, "MTU of the servers' link 9001: want 1280 to 9000"},
		{Spec{Families: "5"}, `family "5": want 4, 6 or both`},
	} {
		got := ""
		if err := tt.spec.WithDefaults().Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.spec, got, tt.want)
		}
	}
}

// everyLayout is one lab of each layout there is.
func everyLayout() []Spec {
	var all []Spec
	for _, method := range Methods {
		for _, s := range []Spec{{}, {Arms: 1}, {Gateways: 2}} {
			s.Clients, s.Servers, s.Method, s.Families = MaxClients, MaxServers, method, Both
			all = append(all, s.WithDefaults())
		}
	}
	return all
}

func TestALabUsesDocumentationAddressesOnlyAndNoneTwiceOnALink(t *testing.T) {
	var documentation []netip.Prefix
	for _, p := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		documentation = append(documentation, netip.MustParsePrefix(p))
	}
	for _, spec := range everyLayout() {
		l := spec.layout()
		owner := map[netip.Addr]string{}
		for node, want := range l.config {
			for _, a := range want.Addresses {
				inside := false
				for _, p := range documentation {
					inside = inside || p.Contains(a.Prefix.Addr())
				}
				if !inside {
					t.Errorf("%s: %s is not set aside for documentation", node, a.Prefix)
				}
				if a.Prefix.Addr() == VIP(ipvs.IPv4) || a.Prefix.Addr() == VIP(ipvs.IPv6) {
					continue // with dr and tunnel the real servers have it too
				}
				if other := owner[a.Prefix.Addr()]; other != "" {
					t.Errorf("%s belongs to %s and %s", a.Prefix, other, node)
				}
				owner[a.Prefix.Addr()] = node
			}
		}
	}
}

func TestEveryInterfaceOfALabIsPluggedInOnceAndHasAnAcceptableName(t *testing.T) {
	for _, spec := range everyLayout() {
		l := spec.layout()
		seen := map[end]bool{}
		for _, c := range l.cables {
			for _, e := range []end{c.a, c.b} {
				if seen[e] || len(e.iface) > 15 {
					t.Errorf("%s %s: plugged in twice, or a name longer than 15", e.node, e.iface)
				}
				seen[e] = true
			}
		}
		for node, want := range l.config {
			for _, iface := range want.Up {
				if iface != "lo" && !seen[end{node, iface}] {
					t.Errorf("%s: %s is wanted up and does not exist", node, iface)
				}
			}
		}
	}
}
