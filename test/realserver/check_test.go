package realserver

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/doctor"
)

// diagnoses reads what a doctor said as JSON.
func (s site) diagnoses(ns, line string) (found []doctor.Finding, exit int) {
	s.t.Helper()
	out, exit := s.exit(ns, line+" -o json")
	var all []doctor.Diagnosis
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		s.t.Fatalf("%s: %v: %s", line, err, out)
	}
	for _, d := range all {
		found = append(found, d.Findings...)
	}
	return found, exit
}

func names(found []doctor.Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, f.Check)
	}
	return strings.Join(all, " ")
}

const bothVIPs = " --vip " + vip4 + " --vip " + vip6

// Each server is set up well, found well, then one thing is put wrong, which the
// check names; its cure makes it well again, where the cure is a command that
// knows all.
func TestTheCheckFindsWhatIsPlantedAndItsCureCures(t *testing.T) {
	dr := "realserver setup" + bothVIPs
	tunnel := dr + " --method tunnel --tun-type "
	for _, c := range []struct {
		name, setup, plant, flags, finds string
		listen                           string
		incurable                        bool
	}{
		{name: "nothing, direct routing", setup: dr},
		{name: "nothing, direct routing on a strict host", setup: dr, plant: "sysctl -w net.ipv4.conf.eth1.rp_filter=1"},
		{name: "nothing, ipip", setup: tunnel + "ipip"},
		{name: "nothing, gue", setup: tunnel + "gue --tun-port 5555"},
		{name: "nothing, gre, on one interface", setup: tunnel + "gre --interface eth0"},
		{name: "nothing, with a service at the VIP", setup: dr, listen: vip4 + ":8080", flags: " --port 8080"},
		{name: "nothing, with a service everywhere", setup: dr, listen: ":8080", flags: " --port 8080 --director " + dip4},
		{name: "the VIP is missing", setup: dr, plant: "ip address del 203.0.113.10/32 dev lo", finds: "vip-missing"},
		{name: "the IPv6 VIP is missing", setup: dr, plant: "ip address del 2001:db8:2::10/128 dev lo", finds: "vip-missing"},
		{name: "the VIP has the mask of a network", setup: dr, plant: "ip address del 203.0.113.10/32 dev lo\nip address add 203.0.113.10/24 dev lo", finds: "vip-mask"},
		{name: "the VIP is on the link", setup: dr, plant: "ip address del 203.0.113.10/32 dev lo\nip address add 203.0.113.10/32 dev eth0", finds: "vip-on-link"},
		{name: "the IPv6 VIP is on the link", setup: dr, plant: "ip address del 2001:db8:2::10/128 dev lo\nip address add 2001:db8:2::10/64 dev eth0", finds: "vip-on-link"},
		{name: "the server answers ARP", setup: dr, plant: "sysctl -w net.ipv4.conf.all.arp_ignore=0", finds: "arp-ignore"},
		{name: "an interface answers ARP all the same", setup: dr, plant: "sysctl -w net.ipv4.conf.eth0.arp_ignore=3", finds: "arp-ignore"},
		{name: "the server asks in the name of the VIP", setup: dr, plant: "sysctl -w net.ipv4.conf.all.arp_announce=0", finds: "arp-announce"},
		{name: "the reverse-path check drops", setup: dr + " --interface eth0", plant: "sysctl -w net.ipv4.conf.eth0.rp_filter=1", finds: "rp-filter"},
		{name: "the reverse-path check drops, with the director named", setup: dr, plant: "sysctl -w net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=0", flags: " --director " + dip4, finds: "rp-filter"},
		{name: "the tunnel is not taken off", setup: dr, flags: " --method tunnel --tun-type gre", finds: "tunnel tunnel"},
		{name: "a tunnel of another kind", setup: tunnel + "gre", flags: " --method tunnel --tun-type ipip", finds: "tunnel tunnel"},
		{name: "a tunnel to another port", setup: tunnel + "gue", flags: " --method tunnel --tun-type gue --tun-port 6081", finds: "tunnel tunnel"},
		{name: "a tunnel that comes in elsewhere", setup: tunnel + "ipip --interface eth1", flags: " --interface eth0", finds: "tunnel tunnel"},
		{name: "an interface too small for a tunnel", setup: tunnel + "gue", plant: "ip link set eth0 mtu 1300", finds: "mtu"},
		{name: "no way back", setup: dr, plant: "ip route del default", finds: "way-back", incurable: true},
		{name: "the way back leads by the director", setup: dr, plant: "ip route replace default via 192.0.2.1", flags: " --director " + dip4, finds: "way-back", incurable: true},
		{name: "a NAT server whose way back does not", flags: " --vip " + vip4 + " --method nat --director " + dip4, finds: "way-back"},
		{name: "a NAT server on the link of its client", plant: "ip route replace default via 192.0.2.1", flags: " --vip " + vip4 + " --method nat --director " + dip4 + " --client 198.51.100.130", finds: "way-back"},
		{name: "nothing, NAT", plant: "ip route replace default via 192.0.2.1", flags: " --vip " + vip4 + " --method nat --director " + dip4},
		{name: "the service listens at the server's address", setup: dr, listen: rip4 + ":8080", finds: "listen", incurable: true},
		{name: "the service listens at the server's address, with the port named", setup: dr, listen: rip4 + ":8080", flags: " --port 8080", finds: "listen", incurable: true},
		{name: "the service of NAT listens at loopback", plant: "ip route replace default via 192.0.2.1", listen: "127.0.0.1:8080", flags: " --port 8080 --vip " + vip4 + " --method nat --director " + dip4, finds: "listen", incurable: true},
		{name: "nothing listens", setup: dr, flags: " --port 8080", finds: "listen", incurable: true},
		{name: "the interface is down", setup: dr + " --interface eth0", plant: "ip link set eth0 down", finds: "interface"},
		{name: "IPv6 is off on lo", setup: dr, plant: "sysctl -w net.ipv6.conf.lo.disable_ipv6=1", finds: "vip-missing ipv6", incurable: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			if c.setup != "" {
				s.run(s.server, evs+" "+c.setup)
				if out, exit := s.exit(s.server, evs+" realserver check"); exit != 0 {
					t.Fatalf("found before anything was planted: %s", out)
				}
			}
			if c.plant != "" {
				s.run(s.server, c.plant)
			}
			if c.listen != "" {
				s.listen(c.listen)
			}
			check := evs + " realserver check" + c.flags
			found, exit := s.diagnoses(s.server, check)
			if names(found) != c.finds || exit != min(1, len(found)) {
				t.Fatalf("found %q, want %q; exit %d: %+v", names(found), c.finds, exit, found)
			}
			for _, f := range found {
				if f.Subject == "" || f.Problem == "" || f.Cure == "" || strings.Contains(f.Cure, "\n") {
					t.Errorf("incomplete: %+v", f)
				}
				if !c.incurable {
					s.cure(f.Cure)
				}
			}
			if again, exit := s.diagnoses(s.server, check); !c.incurable && (exit != 0 || len(again) > 0) {
				t.Errorf("after the cure: %+v", again)
			}
		})
	}
}

// cure runs a cure as a person would paste it.
func (s site) cure(line string) {
	s.t.Helper()
	line, _, _ = strings.Cut(line, "  #")
	for part := range strings.SplitSeq(line, "&&") {
		part = strings.TrimSpace(part)
		if rest, ours := strings.CutPrefix(part, "evs "); ours {
			part = evs + " " + rest
		}
		s.run(s.server, part)
	}
}

func TestWhatCannotBeIsRefusedWithTheRemedy(t *testing.T) {
	s := newSite(t)
	for line, says := range map[string]string{
		"setup":                                 "no VIP: name the addresses",
		"setup --vip nonsense":                  `VIP "nonsense": want an IPv4 or IPv6 address`,
		"setup --vip 127.0.0.1":                 "VIP 127.0.0.1: want an address of one host",
		"setup --vip 203.0.113.10 --method nat": "see `evs realserver check --method nat`",
		"setup --vip 203.0.113.10 --method tunnel --tun-type vxlan":            "want ipip, gue or gre",
		"setup --vip 203.0.113.10 --method tunnel --tun-type gue --tun-port 0": "want the UDP port",
		"setup --vip 203.0.113.10 --method tunnel --local 192.0.2.9":           "this host does not have it",
		"setup --vip 203.0.113.10 --method tunnel --interface eth7":            "interface eth7: there is none here",
		"setup --vip 203.0.113.10 --method tunnel --decap magic":               "want auto, kernel or evs",
		"setup --vip 203.0.113.10 --method tunnel --mode fast":                 "want auto, xdp or tc",
		"check":                                    "no VIP: name the addresses",
		"check --vip 203.0.113.10 --port http":     `port "http": want a number`,
		"check --vip 203.0.113.10 -o yaml":         "choose one of text, json",
		"check --vip 203.0.113.10 --director here": "want an IPv4 or IPv6 address",
	} {
		before := s.state()
		out, exit := s.exit(s.server, evs+" realserver "+line)
		if exit != 1 || !strings.Contains(out, says) {
			t.Errorf("%s: exit %d, %s; want %q", line, exit, out, says)
		}
		s.same(before, line)
	}
	s.run(s.server, "ip address add 203.0.113.10/24 dev lo")
	if out, exit := s.exit(s.server, evs+" realserver setup --vip 203.0.113.10"); exit != 1 || !strings.Contains(out, "run `ip address del 203.0.113.10/24 dev lo && ip address add 203.0.113.10/32 dev lo`") {
		t.Errorf("a VIP with a wrong mask: exit %d, %s", exit, out)
	}
	s.run(s.server, "ip address del 203.0.113.10/24 dev lo")
}

// state is what of the server setup may change. Link-local addresses and routes
// of multicast come by themselves some time after a link.
func (s site) state() string {
	s.t.Helper()
	all := s.run(s.server, "sysctl -a --pattern ^net\\.ipv[46]\\.conf") + s.run(s.server, "ip -o address") +
		s.run(s.server, "ip route show table all") + s.run(s.server, "ip -6 route show table all")
	lines := slices.DeleteFunc(strings.Split(all, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "multicast") || strings.Contains(line, "fe80:")
	})
	return strings.Join(lines, "\n")
}

// same compares the state with one before.
func (s site) same(before, what string) {
	s.t.Helper()
	was, is := strings.Split(before, "\n"), strings.Split(s.state(), "\n")
	for _, line := range was {
		if !slices.Contains(is, line) {
			s.t.Errorf("%s: gone: %s", what, line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			s.t.Errorf("%s: new: %s", what, line)
		}
	}
}

func TestTeardownGivesTheServerBackAsItWas(t *testing.T) {
	for name, c := range map[string]struct{ before, setup string }{
		"direct routing":             {"", bothVIPs},
		"on a strict host":           {"sysctl -w net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.arp_ignore=2", bothVIPs},
		"where a VIP was there":      {"ip address add 203.0.113.10/32 dev lo", bothVIPs},
		"where lo has no IPv6":       {"sysctl -w net.ipv6.conf.lo.disable_ipv6=1", bothVIPs},
		"a tunnel":                   {"", bothVIPs + " --method tunnel --tun-type gue"},
		"a tunnel, twice, by XDP":    {"", bothVIPs + " --method tunnel --tun-type gre --mode xdp"},
		"only one interface, tunnel": {"", bothVIPs + " --method tunnel --interface eth0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if c.before != "" {
				s.run(s.server, c.before)
			}
			before := s.state()
			dry := s.run(s.server, evs+" realserver setup --dry-run"+c.setup)
			s.same(before, "the dry run")
			wet := s.run(s.server, evs+" realserver setup"+c.setup)
			for line := range strings.Lines(dry) {
				if !strings.Contains(wet, line) {
					t.Errorf("the dry run said %q, and then happened\n%s", line, wet)
				}
			}
			s.run(s.server, evs+" realserver setup"+c.setup)
			if out, exit := s.exit(s.server, evs+" realserver check"); exit != 0 {
				t.Errorf("set up, and yet: %s", out)
			}
			s.run(s.server, evs+" realserver teardown")
			s.same(before, "setup and teardown")
			if out := s.run(s.server, evs+" realserver status"); !strings.Contains(out, "not set up") {
				t.Errorf("status says %s", out)
			}
		})
	}
}
