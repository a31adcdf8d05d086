package options

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// words makes a map of what Print wrote.
func words(all []string) map[string]string {
	given := map[string]string{}
	for i := 0; i < len(all); i++ {
		name := strings.TrimPrefix(all[i], "--")
		given[name] = "true"
		if i+1 < len(all) && !strings.HasPrefix(all[i+1], "--") {
			given[name] = all[i+1]
			i++
		}
	}
	return given
}

func randomService(r *rand.Rand) ipvs.Service {
	addrs := []string{"203.0.113.10:80", "[2001:db8::10]:80", "203.0.113.10:0"}
	keys := []ipvs.ServiceKey{ipvs.ServiceMark(r.Uint32()|1, ipvs.IPv4), ipvs.ServiceMark(r.Uint32()|1, ipvs.IPv6)}
	for _, p := range []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP} {
		keys = append(keys, ipvs.ServiceAt(p, netip.MustParseAddrPort(addrs[r.IntN(len(addrs))])))
	}
	s := ipvs.Service{ServiceKey: keys[r.IntN(len(keys))], Scheduler: sched.Names()[r.IntN(len(sched.Names()))]}
	s.SchedFlags = ipvs.SchedFlags(r.IntN(8))
	if r.IntN(2) == 0 {
		s.Persistent, s.Timeout = true, 1+r.Uint32N(31*24*3600)
		s.Mask = ipvs.MaskOf(1+r.IntN(32), s.Family)
	}
	if r.IntN(4) == 0 {
		s.Engine = "sip"
	}
	s.OnePacket = s.Protocol == ipvs.UDP && r.IntN(2) == 0
	return s.WithDefaults()
}

func TestAServiceThatIsPrintedIsReadAsItWas(t *testing.T) {
	for seed := range uint64(3000) {
		want := randomService(rand.New(rand.NewPCG(seed, 1)))
		all := append(Print(Keys, want.ServiceKey), Print(Service, want)...)
		given := words(all)
		key, err := Key(given)
		if err != nil {
			t.Fatal(err)
		}
		got := ipvs.Service{ServiceKey: key}.WithDefaults()
		if err := Apply(Service, &got, given); err != nil || got != want {
			t.Fatalf("%v is read as %+v, want %+v; %v", all, got, want, err)
		}
	}
}

func TestADestinationThatIsPrintedIsReadAsItWas(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		key := ipvs.ServiceMark(1, ipvs.IPv4)
		want := ipvs.Destination{
			Addr:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))}), uint16(r.IntN(65536))),
			Method: methods[r.IntN(3)].method, Weight: r.Int32(), Upper: r.Uint32N(1 << 31), Lower: r.Uint32N(1 << 31),
		}
		if want.Method == ipvs.Tunnel {
			want.Tunnel = ipvs.TunnelOptions{Type: ipvs.TunnelType(r.IntN(3)), Flags: checksums[r.IntN(3)].flag}
			if want.Tunnel.Type == ipvs.GUE {
				want.Tunnel.Port = 6080
			}
		}
		all := Print(Destination, want)
		got := NewDestination(key)
		if err := Apply(Destination, &got, words(all)); err != nil || got != want {
			t.Fatalf("%v is read as %+v, want %+v; %v", all, got, want, err)
		}
	}
}

func TestWhatIsWrongIsSaidWithARemedy(t *testing.T) {
	tcp := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))
	service := func(line string) error {
		given := words(strings.Fields(line))
		key, err := Key(given)
		if err != nil {
			return err
		}
		s := ipvs.Service{ServiceKey: key, Scheduler: "wlc"}.WithDefaults()
		return Apply(Service, &s, given)
	}
	destination := func(line string) error {
		d := NewDestination(tcp)
		if err := Apply(Destination, &d, words(strings.Fields(line))); err != nil {
			return err
		}
		return CheckDestination(tcp, d)
	}
	for _, test := range []struct {
		read func(string) error
		line string
		says string
	}{
		{service, "", "--tcp, --udp, --sctp"},
		{service, "--tcp 203.0.113.10:80 --udp 203.0.113.10:80", "give one of them"},
		{service, "--tcp 203.0.113.10", "203.0.113.10:80"},
		{service, "--fwmark 0", "from 1 to"},
		{service, "--tcp 203.0.113.10:80 --ipv6", "--fwmark"},
		{service, "--tcp 203.0.113.10:80 --scheduler best", "--scheduler best: choose one of rr, wrr"},
		{service, "--tcp 203.0.113.10:80 --sched-flags sh-port", "scheduler wlc has flag-1"},
		{service, "--tcp 203.0.113.10:80 --persistent soon", "whole seconds"},
		{service, "--tcp 203.0.113.10:80 --persistent 0", "whole seconds"},
		{service, "--tcp 203.0.113.10:80 --netmask /33", "255.255.255.0"},
		{service, "--tcp [2001:db8::1]:80 --netmask 255.0.0.0", "prefix length"},
		{service, "--tcp 203.0.113.10:80 --pe radius", "sip, none"},
		{service, "--tcp 203.0.113.10:80 --ops", "only UDP"},
		{destination, "", "--server"},
		{destination, "--server here", "192.0.2.2:8080"},
		{destination, "--server fe80::1%eth0 --method tunnel", "no zone"},
		{destination, "--server 192.0.2.2:8080", "--method masq"},
		{destination, "--server 192.0.2.2 --method nat", "masq, route, tunnel"},
		{destination, "--server 192.0.2.2 --weight many", "from 0 to 2147483647"},
		{destination, "--server 192.0.2.2 --tunnel-type gre", "--method tunnel"},
		{destination, "--server 192.0.2.2 --method tunnel --tunnel-type gue", "--tunnel-port"},
		{destination, "--server 192.0.2.2 --method tunnel --tunnel-port 6080", "has no port"},
		{destination, "--server 192.0.2.2 --method tunnel --tunnel-type gre --tunnel-checksum remcsum", "cannot have"},
	} {
		t.Run(test.line, func(t *testing.T) {
			if err := test.read(test.line); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want it to say %q", err, test.says)
			}
		})
	}
}

func TestOneFlagChangesOnlyWhatItNames(t *testing.T) {
	s := ipvs.Service{ServiceKey: ipvs.ServiceMark(1, ipvs.IPv4), Scheduler: "sh", SchedFlags: ipvs.SHPort, Persistent: true, Timeout: 60}.WithDefaults()
	want := s
	want.Persistent, want.Timeout = false, 0
	if err := Apply(Service, &s, map[string]string{"persistent": "none"}); err != nil || s != want {
		t.Errorf("%+v, %v, want %+v", s, err, want)
	}
}

func TestARuleOfMarksThatIsPrintedIsReadAsItWas(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		prefixes := []string{"203.0.113.0/24", "203.0.113.10/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::10/128"}
		want := ipvs.MarkRule{
			Destination: netip.MustParsePrefix(prefixes[r.IntN(5)]), Protocol: ipvs.Protocol(r.IntN(256)), Mark: r.Uint32() | 1,
		}
		if r.IntN(2) == 0 {
			want.Source = netip.MustParsePrefix(prefixes[r.IntN(5)])
		}
		for range r.IntN(4) {
			low := uint16(r.IntN(65536))
			want.Ports = append(want.Ports, ipvs.PortRange{Low: low, High: max(low, uint16(r.IntN(65536)))})
		}
		all := Print(Mark, want)
		given, err := Read(Mark, all)
		var got ipvs.MarkRule
		if err == nil {
			err = Apply(Mark, &got, given)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v is read as %+v, want %+v; %v", all, got, want, err)
		}
	}
}

func TestRulesOfMarksAreReadAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct{ line, says string }{ // "": it is right
		{"-d 203.0.113.0/24 -p tcp --dport 80,443,8000:8080 --set-mark 0x7", ""},
		{"--destination=203.0.113.10 --protocol=all --set-mark=7", ""},
		{"-d 203.0.113.1/24 --set-mark 7", "write 203.0.113.0/24"},
		{"-d vip.example --set-mark 7", "203.0.113.0/24 or 2001:db8::/64"},
		{"-d 203.0.113.10 --set-mark 0", "1 to 4294967295"},
		{"-d 203.0.113.10 -p tcp --dport 80,,81", "80,443,8000-8080"},
		{"-d 203.0.113.10 -p tcp --dport 81-80", "80,443,8000-8080"},
		{"-d 203.0.113.10 -p tcp --dport 65536", "80,443,8000-8080"},
		{"-d 203.0.113.10 -p icmpp", "tcp, udp, sctp"},
		{"-d 203.0.113.10 -d 203.0.113.11", "twice"},
		{"-d", "missing"},
		{"-A -d 203.0.113.10", "no such option"},
	} {
		given, err := Read(Mark, strings.Fields(c.line))
		if err == nil {
			err = Apply(Mark, &ipvs.MarkRule{}, given)
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", c.line, err, c.says)
		}
	}
}
