package realserver

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestTheDoctorFindsWhatIsPlantedOnTheDirectorAndWhatItSeesOfServers(t *testing.T) {
	const service = "service add --tcp 203.0.113.10:80 --scheduler rr"
	const server = "destination add --tcp 203.0.113.10:80 --server "
	for _, c := range []struct {
		name, on     string // which host the planted lines run on
		plant, finds string
		subject      string
		add          string // a destination besides the good one
	}{
		{name: "nothing"},
		{name: "nothing, with a server of each method", add: "2001:db8:3::2 --method tunnel"},
		{name: "the server answers ARP for the VIP", on: "server", plant: "sysctl -w net.ipv4.conf.all.arp_ignore=0", finds: "arp-answer", subject: vip4},
		{name: "the server answers for the IPv6 VIP", on: "server", plant: "ip address add 2001:db8:2::10/128 dev eth0 nodad", finds: "arp-answer", subject: vip6},
		{name: "nothing is forwarded", on: "director", plant: "sysctl -w net.ipv4.ip_forward=0", finds: "settings", subject: "net.ipv4.ip_forward"},
		{name: "redirects are sent", on: "director", plant: "sysctl -w net.ipv4.conf.d1.send_redirects=1", finds: "settings", subject: "net.ipv4.conf.d1.send_redirects"},
		{name: "the reverse path is checked strictly", on: "director", plant: "sysctl -w net.ipv4.conf.d1.rp_filter=1", finds: "settings", subject: "net.ipv4.conf.d1.rp_filter"},
		{name: "the data path is not where packets come in", on: "director", plant: "EVS detach d0", finds: "attached", subject: "d0"},
		{name: "the VIP is missing", on: "director", plant: "ip address del 203.0.113.10/32 dev d0", finds: "vip-missing", subject: vip4},
		{name: "a server is silent", add: "192.0.2.9 --method masq", finds: "server-silent", subject: "192.0.2.9"},
		{name: "a server is nowhere", add: "203.0.113.77 --method masq", finds: "server-no-route", subject: "203.0.113.77"},
		{name: "direct routing goes by a gateway", on: "director", plant: "ip route add 203.0.113.64/26 via 192.0.2.2", add: "203.0.113.77 --method route", finds: "server-beyond", subject: "203.0.113.77"},
		{name: "a tunnel has no room", on: "director", plant: "ip link set d1 mtu 1290", add: "2001:db8:3::2 --method tunnel", finds: "tunnel-mtu", subject: rip6},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.run(s.server, evs+" realserver setup --vip "+vip4)
			s.run(s.director, evs+" "+service)
			s.run(s.director, evs+" service add --tcp [2001:db8:2::10]:80 --scheduler rr")
			s.run(s.director, evs+" destination add --tcp [2001:db8:2::10]:80 --server 2001:db8:3::2")
			s.run(s.director, evs+" "+server+"192.0.2.2 --method route")
			if out, exit := s.exit(s.director, evs+" doctor"); exit != 0 {
				t.Fatalf("found before anything was planted: %s", out)
			}
			if ns := map[string]string{"server": s.server, "director": s.director}[c.on]; ns != "" {
				s.run(ns, strings.ReplaceAll(c.plant, "EVS", evs))
			}
			if c.add != "" {
				s.run(s.director, evs+" "+server+c.add)
			}
			found, exit := s.diagnoses(s.director, evs+" doctor")
			if names(found) != c.finds || exit != min(1, len(found)) {
				t.Fatalf("found %q, want %q; exit %d: %+v", names(found), c.finds, exit, found)
			}
			if len(found) > 0 && found[0].Subject != c.subject {
				t.Errorf("it is about %s, want %s: %+v", found[0].Subject, c.subject, found)
			}
			for _, f := range found {
				if f.Problem == "" || f.Cure == "" || strings.Contains(f.Cure, "\n") {
					t.Errorf("incomplete: %+v", f)
				}
			}
		})
	}
}

func TestTheDoctorSeesAMasqueradedServersClientOnTheServersLink(t *testing.T) {
	s := newSite(t)
	s.run(s.director, evs+" service add --tcp 203.0.113.10:80 --scheduler rr")
	s.run(s.director, evs+" destination add --tcp 203.0.113.10:80 --server 192.0.2.2 --method masq")
	s.run(s.server, "ip route add 203.0.113.10/32 via 192.0.2.1")
	// The connection cannot come about, which is what the doctor is to say.
	inside(t, s.server, func() (bool, error) {
		c, err := net.DialTimeout("tcp", vip4+":80", time.Second)
		if err == nil {
			err = c.Close()
		}
		return err == nil, nil
	})
	found, exit := s.diagnoses(s.director, evs+" doctor")
	if names(found) != "one-lan" || exit != 1 || found[0].Subject != rip4 {
		t.Errorf("found %+v, exit %d", found, exit)
	}
}

func TestTheDoctorOfAHostWithoutATableHasLittleToSay(t *testing.T) {
	s := newSite(t)
	if out, exit := s.exit(s.client, evs+" doctor"); exit != 0 || !strings.Contains(out, "the table has no service") {
		t.Errorf("exit %d: %s", exit, out)
	}
	s.run(s.server, evs+" realserver setup --vip "+vip4)
	s.run(s.server, "ip address del 203.0.113.10/32 dev lo")
	found, exit := s.diagnoses(s.server, evs+" doctor")
	if names(found) != "vip-missing" || exit != 1 {
		t.Errorf("of a real server: %+v, exit %d", found, exit)
	}
}
