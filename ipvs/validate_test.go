package ipvs

import (
	"errors"
	"net/netip"
	"testing"
)

func service(addr string, change func(*Service)) Service {
	s := Service{ServiceKey: ServiceAt(TCP, netip.MustParseAddrPort(addr)), Scheduler: "wlc"}
	if change != nil {
		change(&s)
	}
	return s
}

func TestAServiceIsJudgedAsTheKernelDoes(t *testing.T) {
	const v4, v6 = "198.51.100.129:80", "[2001:db8:2::81]:80"
	mask := func(m netip.Addr) func(*Service) { return func(s *Service) { s.Mask = m } }
	for _, c := range []struct {
		name    string
		service Service
		want    error
	}{
		{"a plain service is good", service(v4, nil), nil},
		{"a service may have no scheduler", service(v4, func(s *Service) { s.Scheduler = "none" }), nil},
		{"a scheduler must exist", service(v4, func(s *Service) { s.Scheduler = "RR" }), ErrNoScheduler},
		{"an engine must exist", service(v4, func(s *Service) { s.Engine = "ftp" }), ErrNoScheduler},
		{"a missing scheduler comes before a bad mask", service(v6, func(s *Service) {
			s.Scheduler, s.Mask = "no", netip.IPv6Unspecified()
		}), ErrNoScheduler},
		{"an IPv4 mask may have holes", service(v4, mask(netip.MustParseAddr("255.0.255.0"))), nil},
		{"an IPv4 mask may be empty", service(v4, mask(netip.IPv4Unspecified())), nil},
		{"an IPv6 mask must not be empty", service(v6, mask(netip.IPv6Unspecified())), ErrInvalid},
		{"an IPv6 mask must be a prefix", service(v6, mask(netip.MustParseAddr("ff00:ff00::"))), ErrInvalid},
		{"a mask is of the family of the service", service(v6, mask(MaskOf(24, IPv4))), ErrInvalid},
		{"port 0 is for persistent services", service("198.51.100.129:0", nil), ErrInvalid},
		{"which may have it", service("198.51.100.129:0", func(s *Service) { s.Persistent = true }), nil},
		{"a mark needs no address", Service{ServiceKey: ServiceMark(1, IPv6), Scheduler: "rr"}, nil},
		{"nothing is no service", Service{Scheduler: "rr"}, ErrInvalid},
		{"icmp is no transport", service(v4, func(s *Service) { s.Protocol = 1 }), ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.service.Validate(); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestADestinationIsJudgedAsTheKernelDoes(t *testing.T) {
	v4, v6 := service("198.51.100.129:80", nil), service("[2001:db8:2::81]:80", nil)
	server := netip.MustParseAddrPort("203.0.113.1:80")
	for _, c := range []struct {
		name        string
		service     Service
		destination Destination
		want        error
	}{
		{"a plain server is good", v4, Destination{Addr: server}, nil},
		{"another family needs a tunnel", v6, Destination{Addr: server, Method: Route}, ErrInvalid},
		{"which carries it", v6, Destination{Addr: server, Method: Tunnel}, nil},
		{"a weight is not negative", v4, Destination{Addr: server, Weight: -1}, ErrRange},
		{"the lower threshold is not above the upper", v4, Destination{Addr: server, Lower: 5}, ErrRange},
		{"thresholds may be equal", v4, Destination{Addr: server, Lower: 5, Upper: 5}, nil},
		{"gue needs a port", v4, Destination{Addr: server, Method: Tunnel, Tunnel: TunnelOptions{Type: GUE}}, ErrInvalid},
		{"a server has an address", v4, Destination{}, ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.destination.Validate(c.service); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestAServerHasTheAddressOfOneHost(t *testing.T) {
	for addr, good := range map[string]bool{
		"203.0.113.1": true, "127.0.0.1": true, "0.0.0.1": true, "240.0.0.1": true, "169.254.1.1": true,
		"0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false,
		"2001:db8::1": true, "::1": true, "::198.51.100.1": true, "fc00::1": true, "fec0::1": true,
		"::": false, "fe80::1": false, "ff02::1": false, "::ffff:198.51.100.1": false,
	} {
		d := Destination{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 80)}
		if err := d.CheckAddr(); good != (err == nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestAMaskHasAsManyBitsAsItWasMadeOf(t *testing.T) {
	for n := 0; n <= 128; n++ {
		if mask := MaskOf(n, IPv6); MaskLen(mask) != n {
			t.Errorf("%d bits make %s", n, mask)
		}
	}
	if mask := MaskOf(20, IPv4); mask != netip.MustParseAddr("255.255.240.0") {
		t.Errorf("20 bits make %s", mask)
	}
	if mask := MaskOf(33, IPv4); mask.IsValid() {
		t.Errorf("33 bits make %s", mask)
	}
}

func TestADaemonHasTheDefaultsOfTheKernel(t *testing.T) {
	group := netip.MustParseAddr("224.0.0.81")
	for _, c := range []struct {
		name   string
		daemon Daemon
		mtu    int
		want   Daemon
	}{
		{"a master keeps to Ethernet", Daemon{Role: Master}, 65536,
			Daemon{Role: Master, MaxLen: 1472, Group: group, Port: 8848, TTL: 1}},
		{"a backup takes what its interface takes", Daemon{Role: Backup}, 65536,
			Daemon{Role: Backup, MaxLen: 65507, Group: group, Port: 8848, TTL: 1}},
		{"a backup takes a kilobyte at the least", Daemon{Role: Backup, MaxLen: 10}, 1500,
			Daemon{Role: Backup, MaxLen: 1024, Group: group, Port: 8848, TTL: 1}},
		{"an IPv6 header is longer", Daemon{Role: Master, Group: netip.MustParseAddr("ff02::5"), TTL: 9, Port: 77}, 1500,
			Daemon{Role: Master, MaxLen: 1452, Group: netip.MustParseAddr("ff02::5"), Port: 77, TTL: 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.daemon.Validate(); err != nil {
				t.Error(err)
			}
			if got := c.daemon.WithDefaults(c.mtu); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	for _, d := range []Daemon{{Role: "boss"}, {Role: Master, Group: netip.MustParseAddr("192.0.2.1")}} {
		if err := d.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", d, err)
		}
	}
}
