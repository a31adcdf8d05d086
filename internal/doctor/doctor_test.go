package doctor

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

var (
	vip    = netip.MustParseAddr("203.0.113.10")
	vip6   = netip.MustParseAddr("2001:db8:2::10")
	rip    = netip.MustParseAddr("192.0.2.2")
	dip    = netip.MustParseAddr("192.0.2.1")
	router = netip.MustParseAddr("192.0.2.254")
)

func prefixes(words ...string) (all []netip.Prefix) {
	for _, w := range words {
		all = append(all, netip.MustParsePrefix(w))
	}
	return all
}

// goodServer is a real server with eth0 towards the director, eth1 elsewhere, in
// order for direct routing and tunnels.
func goodServer() ServerFacts {
	return ServerFacts{
		Server: Server{RealServerSpec: hostnet.RealServerSpec{VIPs: []netip.Addr{vip, vip6}, Method: "dr", Tunnel: "ipip"}},
		Facts: hostnet.Facts{
			Links: []hostnet.Link{
				{Name: "lo", Up: true, Addresses: prefixes("127.0.0.1/8", "203.0.113.10/32", "2001:db8:2::10/128")},
				{Name: "eth0", Type: "device", Up: true, MTU: 1500, Addresses: prefixes("192.0.2.2/24")},
				{Name: "eth1", Type: "device", Up: true, MTU: 1500, Addresses: prefixes("198.51.100.2/24")},
			},
			Sysctl: hostnet.Values{"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2", "net.ipv6.conf.lo.disable_ipv6": "0"},
		},
		Back: map[netip.Addr]hostnet.Way{vip: {Iface: "eth0", Via: router}, vip6: {Iface: "eth0", Via: netip.MustParseAddr("2001:db8:3::fe")}},
		Own:  map[netip.Addr]bool{vip: true, vip6: true}, Serves: map[netip.Addr]bool{},
		Decap: &datapath.Decap{
			DecapConfig: datapath.DecapConfig{Kinds: []string{"ipip"}, VIPs: []netip.Addr{vip, vip6}, Locals: []netip.Addr{rip}},
			Attachments: []datapath.Attachment{{Interface: "eth0", Doors: []string{"tc"}}, {Interface: "eth1"}},
		},
	}
}

func names(d Diagnosis) string {
	var all []string
	for _, f := range d.Findings {
		all = append(all, f.Check+" "+f.Subject)
	}
	return strings.Join(all, ", ")
}

func socket(text string) hostnet.Listener {
	return hostnet.Listener{Proto: "tcp", Addr: netip.MustParseAddrPort(text)}
}

func TestAServerIsJudgedByItsFacts(t *testing.T) {
	set := func(key, value string) func(*ServerFacts) { return func(f *ServerFacts) { f.Sysctl[key] = value } }
	for _, c := range []struct {
		name  string
		wrong func(*ServerFacts)
		finds string
	}{
		{"a good server", func(*ServerFacts) {}, ""},
		{"a good server of tunnels", func(f *ServerFacts) { f.Method = "tunnel" }, ""},
		{"a VIP that a route makes local", func(f *ServerFacts) { f.Links[0].Addresses = prefixes("2001:db8:2::10/128") }, ""},
		{"a VIP on a link, on a director", func(f *ServerFacts) {
			f.Links[0].Addresses, f.Links[1].Addresses = prefixes("2001:db8:2::10/128"), prefixes("192.0.2.2/24", "203.0.113.10/32")
			f.Serves[vip] = true
		}, ""},
		{"a VIP on a dummy", func(f *ServerFacts) {
			f.Links[0].Addresses = nil
			f.Links[2].Type, f.Links[2].Addresses = "dummy", prefixes("203.0.113.10/32", "2001:db8:2::10/128")
		}, ""},
		{"a VIP on a dummy that is down", func(f *ServerFacts) {
			f.Links[0].Addresses = prefixes("2001:db8:2::10/128")
			f.Links[2].Type, f.Links[2].Addresses, f.Links[2].Up = "dummy", prefixes("203.0.113.10/32"), false
		}, "vip-missing 203.0.113.10"},
		{"ARP silenced on the interfaces alone", func(f *ServerFacts) {
			f.Sysctl = hostnet.Values{"net.ipv4.conf.all.arp_ignore": "0", "net.ipv4.conf.eth0.arp_ignore": "1", "net.ipv4.conf.eth1.arp_ignore": "8", "net.ipv4.conf.all.arp_announce": "2"}
		}, ""},
		{"ARP silenced on one interface alone", func(f *ServerFacts) {
			f.Sysctl = hostnet.Values{"net.ipv4.conf.all.arp_ignore": "0", "net.ipv4.conf.eth0.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
		}, "arp-ignore eth1"},
		{"ARP does not matter to IPv6", func(f *ServerFacts) { f.VIPs = f.VIPs[1:]; f.Sysctl["net.ipv4.conf.all.arp_ignore"] = "0" }, ""},
		{"ARP does not matter to NAT", func(f *ServerFacts) {
			f.Method, f.Sysctl["net.ipv4.conf.all.arp_ignore"], f.Links[0].Addresses = "nat", "0", nil
		}, ""},
		{"half an announcement", set("net.ipv4.conf.all.arp_announce", "1"), "arp-announce eth0, eth1"},
		{"an IPv6 VIP that was found twice", func(f *ServerFacts) {
			f.Links[0].Addresses = prefixes("203.0.113.10/32")
			f.Links[1].Type, f.Links[1].Addresses, f.Links[1].Faulty = "dummy", prefixes("192.0.2.2/24", "2001:db8:2::10/128"), []netip.Addr{vip6}
		}, "ipv6 2001:db8:2::10"},
		{"a strict check, not known where packets come in", func(f *ServerFacts) { f.Sysctl["net.ipv4.conf.all.rp_filter"] = "1" }, ""},
		{"a strict check that has dropped", func(f *ServerFacts) { f.Sysctl["net.ipv4.conf.all.rp_filter"], f.Dropped = "1", 3 }, "rp-filter eth1"},
		{"a strict check where packets come in and go out", func(f *ServerFacts) {
			f.Sysctl["net.ipv4.conf.all.rp_filter"], f.Director, f.ToDirector = "1", dip, hostnet.Way{Iface: "eth0"}
		}, ""},
		{"a strict check where packets come in alone", func(f *ServerFacts) {
			f.Sysctl["net.ipv4.conf.eth1.rp_filter"], f.Director, f.ToDirector = "1", dip, hostnet.Way{Iface: "eth1"}
		}, "rp-filter eth1"},
		{"a loose interface under a strict whole", func(f *ServerFacts) {
			f.Sysctl["net.ipv4.conf.all.rp_filter"], f.Sysctl["net.ipv4.conf.eth1.rp_filter"], f.Server.Interfaces = "1", "2", []string{"eth1"}
		}, ""},
		{"a strict tunnel device", func(f *ServerFacts) {
			f.Method, f.Decap = "tunnel", nil
			f.Links = append(f.Links, hostnet.Link{Name: "tunl1", Type: "ipip", Up: true}, hostnet.Link{Name: "sit1", Type: "sit", Up: true})
			f.Sysctl["net.ipv4.conf.tunl1.rp_filter"] = "1"
		}, "rp-filter tunl1"},
		{"a loose tunnel device without an address", func(f *ServerFacts) {
			f.Method, f.Decap, f.VIPs = "tunnel", nil, f.VIPs[:1]
			f.Links = append(f.Links, hostnet.Link{Name: "tunl1", Type: "ipip", Up: true})
			f.Sysctl["net.ipv4.conf.all.rp_filter"] = "2"
		}, "rp-filter tunl1"},
		{"a loose tunnel device with an address", func(f *ServerFacts) {
			f.Method, f.Decap, f.VIPs = "tunnel", nil, f.VIPs[:1]
			f.Links = append(f.Links, hostnet.Link{Name: "tunl1", Type: "ipip", Up: true, Addresses: prefixes("203.0.113.10/32")})
			f.Sysctl["net.ipv4.conf.all.rp_filter"] = "2"
		}, ""},
		{"a loose interface of IPv6 alone, for IPv4 in tunnels", func(f *ServerFacts) {
			f.Method, f.Server.Interfaces, f.Decap.Attachments[1].Doors = "tunnel", []string{"eth1"}, []string{"tc"}
			f.Links[2].Addresses, f.Sysctl["net.ipv4.conf.eth1.rp_filter"] = prefixes("2001:db8:3::2/64"), "2"
		}, "rp-filter eth1"},
		{"a tunnel device that is down", func(f *ServerFacts) {
			f.Method, f.Decap, f.VIPs = "tunnel", nil, f.VIPs[:1]
			f.Links = append(f.Links, hostnet.Link{Name: "tunl1", Type: "ipip"})
		}, "tunnel 203.0.113.10"},
		{"a tunnel device for one family", func(f *ServerFacts) {
			f.Method, f.Decap = "tunnel", nil
			f.Links = append(f.Links, hostnet.Link{Name: "tunl1", Type: "ipip", Up: true})
		}, "tunnel 2001:db8:2::10"},
		{"the kernel's port for GUE", func(f *ServerFacts) {
			f.Method, f.Tunnel, f.Port, f.Decap, f.VIPs = "tunnel", "gue", 6080, nil, f.VIPs[:1]
			f.Links, f.Fou = append(f.Links, hostnet.Link{Name: "tunl1", Type: "ipip", Up: true}), []hostnet.Change{{Name: "6080"}}
		}, ""},
		{"another port of the kernel's for GUE", func(f *ServerFacts) {
			f.Method, f.Tunnel, f.Port, f.Decap, f.VIPs = "tunnel", "gue", 6080, nil, f.VIPs[:1]
			f.Links, f.Fou = append(f.Links, hostnet.Link{Name: "tunl1", Type: "ipip", Up: true}), []hostnet.Change{{Name: "6081"}}
		}, "tunnel 203.0.113.10"},
		{"a decapsulator without the VIP", func(f *ServerFacts) { f.Method, f.Decap.VIPs = "tunnel", f.Decap.VIPs[:1] }, "tunnel 2001:db8:2::10"},
		{"a decapsulator for addresses that went", func(f *ServerFacts) {
			f.Method, f.VIPs, f.Decap.Locals = "tunnel", f.VIPs[:1], []netip.Addr{netip.MustParseAddr("192.0.2.77")}
		}, "tunnel 203.0.113.10"},
		{"no way back, and the VIP elsewhere", func(f *ServerFacts) { f.Back[vip] = hostnet.Way{Unreachable: "network is unreachable"} }, "way-back 203.0.113.10"},
		{"no way back, and clients on the link", func(f *ServerFacts) {
			f.Back[vip] = hostnet.Way{Unreachable: "network is unreachable"}
			f.Links[1].Addresses = prefixes("203.0.113.2/24")
		}, ""},
		{"no way back to a client that is named", func(f *ServerFacts) {
			f.Client, f.Back = netip.MustParseAddr("198.51.100.7"), map[netip.Addr]hostnet.Way{vip: {Unreachable: "network is unreachable"}}
			f.Links[1].Addresses = prefixes("203.0.113.2/24")
		}, "way-back 203.0.113.10"},
		{"a way back by the director", func(f *ServerFacts) { f.Director, f.ToDirector = router, hostnet.Way{Iface: "eth0"} }, "way-back 203.0.113.10"},
		{"a NAT server's way back by the director", func(f *ServerFacts) { f.Method, f.Director = "nat", router }, ""},
		{"a NAT server's way back by another", func(f *ServerFacts) { f.Method, f.Director = "nat", dip }, "way-back 203.0.113.10"},
		{"sockets at the VIP, and at the server's address for ssh", func(f *ServerFacts) {
			f.Listeners = []hostnet.Listener{socket("192.0.2.2:22"), socket("203.0.113.10:80")}
		}, ""},
		{"sockets at the server's address alone", func(f *ServerFacts) { f.Listeners = []hostnet.Listener{socket("192.0.2.2:80"), socket("127.0.0.1:25")} }, "listen tcp port 80"},
		{"a port that is named, at the server's address", func(f *ServerFacts) {
			f.Ports = []hostnet.Listener{{Proto: "tcp", Addr: netip.AddrPortFrom(netip.Addr{}, 80)}}
			f.Listeners = []hostnet.Listener{socket("[::]:22"), socket("192.0.2.2:80")}
		}, "listen tcp port 80"},
		{"a port of NAT, at the server's address", func(f *ServerFacts) {
			f.Method, f.Ports = "nat", []hostnet.Listener{{Proto: "tcp", Addr: netip.AddrPortFrom(netip.Addr{}, 80)}}
			f.Listeners = []hostnet.Listener{socket("192.0.2.2:80")}
		}, ""},
		{"a port of NAT, at the VIP", func(f *ServerFacts) {
			f.Method, f.Ports = "nat", []hostnet.Listener{{Proto: "tcp", Addr: netip.AddrPortFrom(netip.Addr{}, 80)}}
			f.Listeners = []hostnet.Listener{socket("203.0.113.10:80")}
		}, "listen tcp port 80"},
		{"an MTU below what IPv6 needs", func(f *ServerFacts) { f.Method, f.Links[1].MTU = "tunnel", 1290 }, "mtu eth0"},
		{"the same MTU for IPv4", func(f *ServerFacts) { f.Method, f.Links[1].MTU, f.VIPs = "tunnel", 1290, f.VIPs[:1] }, ""},
		{"an interface that is named and gone", func(f *ServerFacts) { f.Server.Interfaces = []string{"eth7"} }, "interface eth7"},
	} {
		f := goodServer()
		c.wrong(&f)
		d := JudgeServer(f)
		if got := names(d); got != c.finds {
			t.Errorf("%s: found %q, want %q: %+v", c.name, got, c.finds, d.Findings)
		}
		for _, finding := range d.Findings {
			if finding.Problem == "" || finding.Cure == "" || strings.Contains(finding.Cure, "%!") || strings.Contains(finding.Problem, "%!") {
				t.Errorf("%s: incomplete: %+v", c.name, finding)
			}
		}
	}
}

// goodDirector has the VIP on eth0, and a server of each method behind eth1.
func goodDirector() DirectorFacts {
	server := func(a string, m ipvs.Method) ipvs.DestinationInfo {
		return ipvs.DestinationInfo{Destination: ipvs.Destination{Addr: netip.MustParseAddrPort(a + ":80"), Method: m, Weight: 1}}
	}
	f := DirectorFacts{
		Facts: hostnet.Facts{Links: []hostnet.Link{
			{Name: "eth0", Up: true, MTU: 1500, Addresses: prefixes("198.51.100.1/24", "203.0.113.10/32")},
			{Name: "eth1", Up: true, MTU: 1500, Addresses: prefixes("192.0.2.1/24")},
		}},
		Services: Services{{
			Service:      ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))},
			Destinations: []ipvs.DestinationInfo{server("192.0.2.2", ipvs.Route), server("192.0.2.3", ipvs.Tunnel), server("192.0.2.4", ipvs.Masquerade)},
		}},
		Attachments: []ipvs.Attachment{{Interface: "eth0", Doors: []string{"tc"}}, {Interface: "eth1", Doors: []string{"tc"}}},
		Ways:        map[netip.Addr]hostnet.Way{vip: {Local: true, Iface: "lo"}},
		Answers:     map[netip.Addr][]hostnet.Answer{}, Asked: map[netip.Addr]bool{}, Names: map[string]netip.Addr{},
		ClientWays: map[netip.Addr]hostnet.Way{},
	}
	for _, d := range f.Services[0].Destinations {
		a := d.Addr.Addr()
		f.Ways[a] = hostnet.Way{Iface: "eth1", Source: dip}
		f.Asked[a], f.Answers[a] = true, []hostnet.Answer{{Iface: "eth1", MAC: "02:00:00:00:00:02"}}
	}
	return f
}

func TestADirectorIsJudgedByItsFacts(t *testing.T) {
	tunnel, masq := netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.2.4")
	client := netip.MustParseAddrPort("192.0.2.77:40000")
	for _, c := range []struct {
		name  string
		wrong func(*DirectorFacts)
		finds string
	}{
		{"a good director", func(*DirectorFacts) {}, ""},
		{"no service", func(f *DirectorFacts) { f.Services = nil }, ""},
		{"a timer that stopped", func(f *DirectorFacts) { f.Timer = time.Minute }, "timer timer"},
		{"forwarding off", func(f *DirectorFacts) {
			f.Tuning = []hostnet.Change{{Kind: hostnet.Sysctl, Name: "net.ipv4.ip_forward", Old: "0", New: "1"},
				{Kind: hostnet.Sysctl, Name: "net.ipv4.conf.all.accept_redirects", Old: "1", New: "0"},
				{Kind: hostnet.Sysctl, Name: "net.ipv4.conf.eth2.forwarding", Old: "1", New: "0", Note: "keeps its value"},
				{Kind: hostnet.Sysctl, Name: "net.ipv6.conf.all.forwarding", Old: "0", New: "1"}}
		}, "settings net.ipv4.ip_forward"},
		{"the data path off where masqueraded servers answer", func(f *DirectorFacts) { f.Attachments[1].Doors = nil }, "attached eth1"},
		{"the data path off elsewhere", func(f *DirectorFacts) {
			f.Attachments = append(f.Attachments, ipvs.Attachment{Interface: "eth2"})
		}, ""},
		{"the VIP is another director's", func(f *DirectorFacts) {
			f.Ways[vip], f.Answers[vip] = hostnet.Way{Iface: "eth0"}, []hostnet.Answer{{Iface: "eth1", MAC: "02:00:00:00:00:09"}}
		}, ""},
		{"the VIP is nobody's", func(f *DirectorFacts) { f.Ways[vip] = hostnet.Way{Iface: "eth0"} }, "vip-missing 203.0.113.10"},
		{"the VIP is another's too", func(f *DirectorFacts) { f.Answers[vip] = []hostnet.Answer{{Iface: "eth1", MAC: "02:00:00:00:00:09"}} }, "arp-answer 203.0.113.10"},
		{"no route to a server", func(f *DirectorFacts) {
			f.Ways[tunnel], f.Asked[tunnel] = hostnet.Way{Unreachable: "network is unreachable"}, false
		}, "server-no-route 192.0.2.3"},
		{"a server that does not answer", func(f *DirectorFacts) { f.Answers[rip] = nil }, "server-silent 192.0.2.2"},
		{"a gateway that does not answer", func(f *DirectorFacts) {
			f.Ways[tunnel] = hostnet.Way{Iface: "eth1", Via: router}
			f.Asked[router] = true
		}, "server-silent 192.0.2.3"},
		{"a server that could not be asked for", func(f *DirectorFacts) { f.Answers[rip], f.Asked[rip] = nil, false }, ""},
		{"direct routing by a gateway", func(f *DirectorFacts) { f.Ways[rip] = hostnet.Way{Iface: "eth1", Via: router} }, "server-beyond 192.0.2.2"},
		{"a client on the masqueraded server's link", func(f *DirectorFacts) {
			f.Conns = []ipvs.Conn{{Client: client, Destination: netip.AddrPortFrom(masq, 80)}, {Client: client, Destination: netip.AddrPortFrom(masq, 80)}}
			f.ClientWays[client.Addr()] = hostnet.Way{Iface: "eth1"}
		}, "one-lan 192.0.2.4"},
		{"a client behind a gateway on that link", func(f *DirectorFacts) {
			f.Conns = []ipvs.Conn{{Client: client, Destination: netip.AddrPortFrom(masq, 80)}}
			f.ClientWays[client.Addr()] = hostnet.Way{Iface: "eth1", Via: router}
		}, ""},
		{"an MTU too small for a tunnel", func(f *DirectorFacts) { f.Links[1].MTU = 1290 }, "tunnel-mtu 192.0.2.3"},
	} {
		f := goodDirector()
		c.wrong(&f)
		d := JudgeDirector(f)
		if got := names(d); got != c.finds {
			t.Errorf("%s: found %q, want %q: %+v", c.name, got, c.finds, d.Findings)
		}
	}
}

func TestAServerThatAnswersIsCalledByItsAddress(t *testing.T) {
	f := goodDirector()
	f.Answers[vip], f.Names["02:00:00:00:00:02"] = []hostnet.Answer{{Iface: "eth1", MAC: "02:00:00:00:00:02"}}, rip
	d := JudgeDirector(f)
	if len(d.Findings) != 1 || !strings.Contains(d.Findings[0].Problem, "real server 192.0.2.2") || !strings.HasPrefix(d.Findings[0].Cure, "on 192.0.2.2: evs realserver setup --vip 203.0.113.10") {
		t.Errorf("found %+v", d.Findings)
	}
}

func TestEveryCheckOfAServerIsInItsDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/realserver.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range serverChecks {
		if !strings.Contains(string(text), "`"+c.name+"`") {
			t.Errorf("docs/realserver.md does not tell of %s", c.name)
		}
	}
}

func TestEveryCheckIsExplained(t *testing.T) {
	for name, text := range map[string]string{"server": ServerChecks(), "director": DirectorChecks()} {
		for line := range strings.Lines(text) {
			if len(strings.Fields(line)) < 4 {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}
