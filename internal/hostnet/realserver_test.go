package hostnet

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

var (
	testVIP4, testVIP6     = netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8:2::10")
	testLocal4, testLocal6 = netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8:3::2")
)

// server is a box with addresses, and the settings a real server looks at.
func server(words ...string) Facts {
	f := box(append([]string{
		"net.ipv4.conf.all.arp_ignore=0", "net.ipv4.conf.all.arp_announce=0",
	}, words...)...)
	f.Links[0].Up = true
	f.Links[1].Addresses = []netip.Prefix{netip.PrefixFrom(testLocal4, 24), netip.MustParsePrefix("fe80::1/64"), netip.PrefixFrom(testLocal6, 64)}
	return f
}

func TestARealServerIsPlanned(t *testing.T) {
	both := []netip.Addr{testVIP4, testVIP6}
	locals := []netip.Addr{testLocal4, testLocal6}
	for _, tt := range []struct {
		name string
		spec RealServerSpec
		have Facts
		want []string
	}{
		{"for direct routing", RealServerSpec{VIPs: both, Method: "dr"}, server(), []string{
			"net.ipv4.conf.all.arp_announce=2", "net.ipv4.conf.all.arp_ignore=1",
			"ip address add 203.0.113.10/32 dev lo", "ip address add 2001:db8:2::10/128 dev lo preferred_lft 0",
		}},
		{"what silences more is left", RealServerSpec{VIPs: both[:1], Method: "dr"},
			server("net.ipv4.conf.all.arp_ignore=8", "net.ipv4.conf.all.arp_announce=2"),
			[]string{"ip address add 203.0.113.10/32 dev lo"}},
		{"a strict check is loosened where packets come in", RealServerSpec{VIPs: both[:1], Method: "dr", Interfaces: []string{"eth1"}},
			server("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2", "net.ipv4.conf.all.rp_filter=1"),
			[]string{"net.ipv4.conf.eth1.rp_filter=2", "ip address add 203.0.113.10/32 dev lo"}},
		{"IPv6 is switched on on lo", RealServerSpec{VIPs: both[1:], Method: "dr"},
			server("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2", "net.ipv6.conf.lo.disable_ipv6=1"),
			[]string{"net.ipv6.conf.lo.disable_ipv6=0", "ip address add 2001:db8:2::10/128 dev lo preferred_lft 0"}},
		{"the kernel's devices for ipip, loose though new ones would be strict", RealServerSpec{VIPs: both, Method: "tunnel", Tunnel: "ipip", Locals: locals, Kernel: true},
			server("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2", "net.ipv4.conf.default.rp_filter=1"), []string{
				"ip link add evs0 type ipip local 192.0.2.2", "ip link add evs1 type sit local 192.0.2.2", "ip link add evs2 type ip6tnl local 2001:db8:3::2 mode any",
				"net.ipv4.conf.evs0.rp_filter=2", "net.ipv4.conf.evs1.rp_filter=2", "net.ipv4.conf.evs2.rp_filter=2",
				"ip link set evs0 up", "ip link set evs1 up", "ip link set evs2 up",
				"ip address add 203.0.113.10/32 dev lo", "ip address add 2001:db8:2::10/128 dev lo preferred_lft 0",
				"ip address add 203.0.113.10/32 dev evs0", "ip address add 203.0.113.10/32 dev evs1", "ip address add 203.0.113.10/32 dev evs2",
			}},
		{"the kernel's devices for GRE with checksums", RealServerSpec{VIPs: both[:1], Method: "tunnel", Tunnel: "gre", Csum: true, Locals: locals, Kernel: true},
			server("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"), []string{
				"ip link add evs0 type gre local 192.0.2.2 icsum", "ip link add evs1 type ip6gre local 2001:db8:3::2 icsum",
				"ip link set evs0 up", "ip link set evs1 up", "ip address add 203.0.113.10/32 dev lo",
				"ip address add 203.0.113.10/32 dev evs0", "ip address add 203.0.113.10/32 dev evs1",
			}},
		{"the kernel's ports for GUE", RealServerSpec{VIPs: both[:1], Method: "tunnel", Tunnel: "gue", Port: 6080, Locals: locals, Kernel: true},
			server("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"), []string{
				"ip link add evs0 type ipip local 192.0.2.2", "ip link add evs1 type ip6tnl local 2001:db8:3::2 mode any",
				"ip fou add port 6080 gue", "ip -6 fou add port 6080 gue",
				"ip link set evs0 up", "ip link set evs1 up", "ip address add 203.0.113.10/32 dev lo",
				"ip address add 203.0.113.10/32 dev evs0", "ip address add 203.0.113.10/32 dev evs1",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ifaces := tt.spec.Interfaces
			if ifaces == nil {
				ifaces = []string{"eth0", "eth1"}
			}
			want, err := tt.spec.want(tt.have, ifaces)
			if err != nil {
				t.Fatal(err)
			}
			if got := commands(Plan(tt.have, want)); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

func TestWhatARealServerMakesIsUnmadeInReverse(t *testing.T) {
	spec := RealServerSpec{VIPs: []netip.Addr{testVIP4}, Method: "tunnel", Tunnel: "gue", Port: 6080, Locals: []netip.Addr{testLocal4}, Kernel: true}
	have := server("net.ipv4.conf.default.rp_filter=1")
	want, err := spec.want(have, []string{"eth0"})
	if err != nil {
		t.Fatal(err)
	}
	rec := &record{Settings: map[string]memory{}}
	changes := Plan(have, want)
	rec.note(have, changes)
	rec.note(have, changes) // again adds nothing
	now := server("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
	now.Links[0].Addresses = []netip.Prefix{netip.PrefixFrom(testVIP4, 32)}
	now.Links = append(now.Links, Link{Name: "evs0", Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(testVIP4, 32)}})
	now.FouPorts = []Change{{Kind: FouPort, Name: "6080", New: "gue"}}
	back, notes := rec.wayBack(now)
	got := commands(back)
	if wanted := []string{
		"ip address del 203.0.113.10/32 dev evs0", "ip address del 203.0.113.10/32 dev lo", "ip link set evs0 down", "ip fou del port 6080", "ip link del evs0",
		"net.ipv4.conf.all.arp_announce=0", "net.ipv4.conf.all.arp_ignore=0",
	}; !slices.Equal(got, wanted) || len(notes) > 0 {
		t.Errorf("got\n\t%s\nwant\n\t%s\nnotes %v", strings.Join(got, "\n\t"), strings.Join(wanted, "\n\t"), notes)
	}
	now.Links[0].Addresses = nil
	if _, notes := rec.wayBack(now); len(notes) != 1 || !strings.Contains(notes[0], "`ip address add 203.0.113.10/32 dev lo` was undone by someone else") {
		t.Errorf("somebody took the VIP away: %v", notes)
	}
}

func TestAVIPInAWrongPlaceIsNamedWithTheRemedy(t *testing.T) {
	for _, tt := range []struct {
		link   int
		kind   string
		prefix string
		remedy string
	}{
		{0, "", "203.0.113.10/32", ""},
		{0, "", "203.0.113.10/24", "ip address del 203.0.113.10/24 dev lo && ip address add 203.0.113.10/32 dev lo"},
		{1, "veth", "203.0.113.10/32", "ip address del 203.0.113.10/32 dev eth0 && ip address add 203.0.113.10/32 dev lo"},
		{1, "dummy", "203.0.113.10/32", ""},
		{1, "ipip", "203.0.113.10/32", ""},
		{1, "veth", "203.0.113.11/24", ""},
	} {
		f := server()
		f.Links[tt.link].Type = tt.kind
		f.Links[tt.link].Addresses = append(f.Links[tt.link].Addresses, netip.MustParsePrefix(tt.prefix))
		problem, remedy := f.Misplaced(testVIP4)
		if remedy != tt.remedy || (problem == "") != (remedy == "") {
			t.Errorf("%s on %s: %q, %q", tt.prefix, f.Links[tt.link].Name, problem, remedy)
		}
		if _, err := (RealServerSpec{VIPs: []netip.Addr{testVIP4}, Method: "dr"}).want(f, nil); (err != nil) != (tt.remedy != "") {
			t.Errorf("%s on %s: setup says %v", tt.prefix, f.Links[tt.link].Name, err)
		}
	}
}

func TestTheHostsOwnAddressesAreThoseOfItsLinks(t *testing.T) {
	f := server()
	f.Links[1].Addresses = append(f.Links[1].Addresses, netip.PrefixFrom(testVIP4, 32))
	if got := f.Locals([]netip.Addr{testVIP4}); !slices.Equal(got, []netip.Addr{testLocal4, testLocal6}) {
		t.Errorf("got %v", got)
	}
}

func TestModulesFollowFromFamiliesAndKind(t *testing.T) {
	for _, tt := range []struct {
		kind         string
		vips, locals []netip.Addr
		want         string
	}{
		{"ipip", []netip.Addr{testVIP4}, []netip.Addr{testLocal4}, "ipip"},
		{"ipip", []netip.Addr{testVIP4, testVIP6}, []netip.Addr{testLocal4, testLocal6}, "ipip sit ip6_tunnel"},
		{"gre", []netip.Addr{testVIP6}, []netip.Addr{testLocal4, testLocal6}, "ip_gre ip6_gre"},
		{"gue", []netip.Addr{testVIP4}, []netip.Addr{testLocal4}, "ipip fou"},
		{"gue", []netip.Addr{testVIP6}, []netip.Addr{testLocal6}, "ip6_tunnel fou fou6"},
	} {
		s := RealServerSpec{VIPs: tt.vips, Locals: tt.locals, Tunnel: tt.kind}
		if got := strings.Join(s.Modules(), " "); got != tt.want {
			t.Errorf("%s for %v at %v: %s, want %s", tt.kind, tt.vips, tt.locals, got, tt.want)
		}
	}
	if KernelHas("no_such_module_at_all") {
		t.Error("the kernel has a module that nobody wrote")
	}
}

func TestSocketsThatWaitAreReadFromTheKernelsTables(t *testing.T) {
	const tcp = `  sl  local_address rem_address   st tx_queue
   0: 0A0200C0:0050 00000000:0000 0A 00000000:00000000
   1: 00000000:0016 00000000:0000 0A 00000000:00000000
   2: 0A0200C0:0050 070064C6:9C40 01 00000000:00000000
   3: B80D0120000000000000000010000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000
   4: nonsense:0050 00000000:0000 0A 00000000:00000000
`
	got := parseListeners("tcp", tcp)
	want := []Listener{
		{"tcp", netip.MustParseAddrPort("192.0.2.10:80")}, {"tcp", netip.MustParseAddrPort("0.0.0.0:22")}, {"tcp", netip.MustParseAddrPort("[2001:db8::10]:443")},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := parseListeners("udp", "1: 00000000:0035 00000000:0000 07 0\n"); len(got) != 1 || got[0].Addr.Port() != 53 {
		t.Errorf("of UDP: %v", got)
	}
}

func TestACounterIsFoundByTheNameAboveIt(t *testing.T) {
	const table = "TcpExt: A IPReversePathFilter B\nTcpExt: 1 23 4\nIpExt: IPReversePathFilter\nIpExt: 9\n"
	if got := parseNetstat(table, "TcpExt:", "IPReversePathFilter"); got != 23 {
		t.Errorf("got %d", got)
	}
	if got := parseNetstat(table, "TcpExt:", "C"); got != 0 {
		t.Errorf("of none: %d", got)
	}
}

func TestAQuestionIsReadAsNoAnswerAndAnAnswerIs(t *testing.T) {
	mac, other := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	for _, a := range []struct{ source, target netip.Addr }{{testLocal4, testVIP4}, {testLocal6, testVIP6}} {
		q := question(mac, a.source, a.target)
		if got, _, ok := readAnswer(q); ok {
			t.Errorf("the question for %s was read as an answer by %s", a.target, got)
		}
		// An answer is a question turned round.
		answer := bytes.Clone(q)
		copy(answer[6:12], other)
		if a.target.Is4() {
			answer[21] = 2
			copy(answer[22:28], other)
			copy(answer[28:32], a.target.AsSlice())
		} else {
			answer[14+40] = 136
		}
		got, by, ok := readAnswer(answer)
		if !ok || got != a.target || by.String() != other.String() {
			t.Errorf("answer for %s: %s by %s, %v", a.target, got, by, ok)
		}
		for n := range answer {
			readAnswer(answer[:n]) // half a frame must do no harm
		}
	}
	// ICMPv6 with its checksum sums up to nothing.
	q := question(mac, testLocal6, testVIP6)
	group, _ := netip.AddrFromSlice(q[38:54])
	if sum := checksum6(testLocal6, group, q[54:]); sum != 0 {
		t.Errorf("the checksum of a solicitation is off by %#x: %s", sum, fmt.Sprintf("%x", q))
	}
}
