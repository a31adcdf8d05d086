package hostnet

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// box is a machine with eth0 and eth1 as a fresh kernel has them, changed by
// "key=value" words; "-prefix" takes away every setting that starts so.
func box(words ...string) Facts {
	f := Facts{Links: []Link{{Name: "lo"}, {Name: "eth0"}, {Name: "eth1"}}, Sysctl: Values{Forwarding4: "0"}}
	for _, iface := range []string{"all", "default", "lo", "eth0", "eth1"} {
		if iface != "all" {
			f.Sysctl[InterfaceKey("ipv4", iface, "forwarding")] = "0"
		}
		f.Sysctl[InterfaceKey("ipv4", iface, "rp_filter")] = "0"
		f.Sysctl[InterfaceKey("ipv4", iface, "send_redirects")] = "1"
		f.Sysctl[InterfaceKey("ipv4", iface, "accept_redirects")] = "1"
		f.Sysctl[InterfaceKey("ipv6", iface, "forwarding")] = "0"
		f.Sysctl[InterfaceKey("ipv6", iface, "accept_ra")] = "0"
		f.Sysctl[InterfaceKey("ipv6", iface, "disable_ipv6")] = "0"
	}
	for _, w := range words {
		if prefix, ok := strings.CutPrefix(w, "-"); ok {
			maps.DeleteFunc(f.Sysctl, func(key, _ string) bool { return strings.HasPrefix(key, prefix) })
			continue
		}
		key, value, _ := strings.Cut(w, "=")
		f.Sysctl[key] = value
	}
	return f
}

func commands(changes []Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, strings.TrimPrefix(c.Command(), "sysctl -w "))
	}
	return out
}

func TestADirectorIsPlanned(t *testing.T) {
	const noIPv6 = "-net.ipv6"
	for _, tt := range []struct {
		name   string
		have   Facts
		ifaces []string
		every  bool
		want   []string
	}{
		{"an interface not named keeps the forwarding that the switch would change", box(noIPv6), []string{"eth0"}, false, []string{
			"net.ipv4.ip_forward=1",
			"net.ipv4.conf.all.send_redirects=0",
			"net.ipv4.conf.default.forwarding=0",
			"net.ipv4.conf.eth0.send_redirects=0",
			"net.ipv4.conf.eth1.forwarding=0",
		}},
		{"without names the settings of interfaces to come change too", box(noIPv6), []string{"eth0", "eth1"}, true, []string{
			"net.ipv4.ip_forward=1",
			"net.ipv4.conf.all.send_redirects=0",
			"net.ipv4.conf.default.send_redirects=0",
			"net.ipv4.conf.eth0.send_redirects=0",
			"net.ipv4.conf.eth1.send_redirects=0",
		}},
		{"strict reverse-path filtering of all is loosened on the interface", box(noIPv6, "net.ipv4.conf.all.rp_filter=1",
			"net.ipv4.ip_forward=1", "net.ipv4.conf.lo.forwarding=1", "net.ipv4.conf.eth0.forwarding=1", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0"),
			[]string{"eth0"}, false, []string{"net.ipv4.conf.eth0.rp_filter=2"}},
		{"loose reverse-path filtering stays", box(noIPv6, "net.ipv4.conf.all.rp_filter=2", "net.ipv4.conf.eth0.rp_filter=1",
			"net.ipv4.ip_forward=1", "net.ipv4.conf.lo.forwarding=1", "net.ipv4.conf.eth0.forwarding=1", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0"),
			[]string{"eth0"}, false, nil},
		{"the interface's switch alone is turned where the main one is on", box(noIPv6, "net.ipv4.ip_forward=1", "net.ipv4.conf.lo.forwarding=1",
			"net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0"),
			[]string{"eth0"}, false, []string{"net.ipv4.conf.eth0.forwarding=1"}},
		{"router advertisements are kept before IPv6 forwarding is turned on, on every interface",
			box("-net.ipv4", "net.ipv4.ip_forward=1", "net.ipv6.conf.eth0.accept_ra=1", "net.ipv6.conf.eth1.accept_ra=1"),
			[]string{"eth0"}, false, []string{
				"net.ipv6.conf.eth0.accept_ra=2",
				"net.ipv6.conf.eth1.accept_ra=2",
				"net.ipv6.conf.all.forwarding=1",
				"net.ipv6.conf.default.forwarding=0",
				"net.ipv6.conf.eth1.forwarding=0",
			}},
		{"IPv6 that is switched off is left alone", box("-net.ipv4", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.disable_ipv6=1"),
			[]string{"eth0"}, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := commands(Plan(tt.have, Director(tt.have, tt.ifaces, tt.every)))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

func TestAnyBoxIsGivenBackAsItWasWhereverSetupStopped(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		have := box()
		for _, key := range slices.Sorted(maps.Keys(have.Sysctl)) {
			if have.Sysctl[key] = string('0' + rune(random.IntN(2))); strings.HasSuffix(key, "disable_ipv6") {
				have.Sysctl[key] = "0"
			}
		}
		ifaces := []string{"eth0", "eth1"}[:1+random.IntN(2)]
		changes := Plan(have, Director(have, ifaces, random.IntN(2) == 0))
		rec := &record{Settings: map[string]memory{}}
		rec.note(have, changes)
		for stop := range len(changes) + 1 {
			now := have.Sysctl.clone()
			for _, c := range changes[:stop] {
				now.set(c.Name, c.New)
			}
			want, notes := rec.restore(now)
			for _, c := range planSysctls(rec.known(now), want) {
				now.set(c.Name, c.New)
			}
			if len(notes) > 0 || !maps.Equal(now, have.Sysctl) {
				t.Fatalf("after %d changes of %v\nbefore %v\nafter  %v\n%v", stop, changes, have.Sysctl, now, notes)
			}
		}
	}
}

func TestAPlanIsDoneOnce(t *testing.T) {
	have := box("net.ipv6.conf.eth1.accept_ra=1", "net.ipv4.conf.all.rp_filter=1")
	want := Director(have, []string{"eth0"}, false)
	for _, c := range Plan(have, want) {
		have.Sysctl.set(c.Name, c.New)
	}
	if again := Plan(have, Director(have, []string{"eth0"}, false)); len(again) > 0 {
		t.Errorf("planned again: %v", again)
	}
}

func TestRestoringLeavesAloneWhatIsNotOurs(t *testing.T) {
	have := box("-net.ipv6")
	rec := &record{Settings: map[string]memory{}}
	rec.note(have, Plan(have, Director(have, []string{"eth0", "eth1"}, true)))
	now := box("-net.ipv6", "net.ipv4.ip_forward=1", "net.ipv4.conf.default.forwarding=1", "net.ipv4.conf.all.send_redirects=0",
		"net.ipv4.conf.eth0.forwarding=1", "net.ipv4.conf.eth0.send_redirects=7", "-net.ipv4.conf.eth1").Sysctl
	now[InterfaceKey("ipv4", "late.7", "forwarding")] = "1"
	want, notes := rec.restore(now)
	got := commands(planSysctls(rec.known(now), want))
	if expected := []string{"net.ipv4.ip_forward=0", "net.ipv4.conf.all.send_redirects=1"}; !slices.Equal(got, expected) {
		t.Errorf("got %v, want %v", got, expected)
	}
	said := strings.Join(notes, "\n")
	for _, sentence := range []string{
		"net.ipv4.conf.eth0.send_redirects was set to 0 by setup and is 7 now: someone else changed it, so it is left alone (it was 1 before setup)",
		"net.ipv4.conf.eth1.send_redirects is gone with its interface: nothing to restore",
	} {
		if !strings.Contains(said, sentence) {
			t.Errorf("not said: %s\nsaid: %s", sentence, said)
		}
	}
}

func TestAChangeIsACommandAPersonWouldType(t *testing.T) {
	for _, tt := range []struct {
		change Change
		want   string
	}{
		{Change{Kind: Sysctl, Name: Forwarding4, Old: "0", New: "1"}, "sysctl -w net.ipv4.ip_forward=1  # was 0"},
		{Change{Kind: Sysctl, Name: InterfaceKey("ipv4", "eth0.100", "rp_filter"), New: "2"}, "sysctl -w net.ipv4.conf.eth0/100.rp_filter=2"},
		{Change{Kind: Sysctl, Name: InterfaceKey("ipv4", "a;b", "rp_filter"), New: "2"}, "sysctl -w 'net.ipv4.conf.a;b.rp_filter=2'"},
		{Change{Kind: LinkState, Name: "eth0", Old: "down", New: "up"}, "ip link set eth0 up"},
		{Change{Kind: Address, Name: "lo", New: "203.0.113.10/32"}, "ip address add 203.0.113.10/32 dev lo"},
		{Change{Kind: Address, Name: "lo", Old: "203.0.113.10/32"}, "ip address del 203.0.113.10/32 dev lo"},
		{Change{Kind: RouteTo, Name: "0.0.0.0/0", New: "via 192.0.2.1"}, "ip route replace 0.0.0.0/0 via 192.0.2.1"},
		{Change{Kind: RouteTo, Name: "0.0.0.0/0", Old: "via 192.0.2.1 dev eth0"}, "ip route del 0.0.0.0/0 via 192.0.2.1 dev eth0"},
	} {
		if got := tt.change.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestLinksAddressesAndRoutesThatAreThereAreNotPlanned(t *testing.T) {
	address, network, gateway := netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("192.0.2.1")
	want := Want{Up: []string{"eth0"}, Addresses: []InterfaceAddress{{Iface: "eth0", Prefix: address}}, Routes: []Route{{To: network, Via: gateway}}}
	empty := Facts{Links: []Link{{Name: "eth0"}}}
	if got := Plan(empty, want); len(got) != 3 {
		t.Errorf("planned %v, want three changes", got)
	}
	done := Facts{Links: []Link{{Name: "eth0", Up: true, Addresses: []netip.Prefix{address}}}, Routes: []Route{{To: network, Via: gateway, Iface: "eth0"}}}
	if got := Plan(done, want); len(got) != 0 {
		t.Errorf("planned %v, want nothing", got)
	}
}
