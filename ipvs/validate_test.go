package ipvs

import (
	"errors"
	"net/netip"
	"testing"
)

func TestServicesAreValidatedAsTheKernelDoes(t *testing.T) {
	web := Service{ServiceKey: ServiceAt(TCP, netip.MustParseAddrPort("198.51.100.1:80")), Scheduler: "rr"}
	six := Service{ServiceKey: ServiceAt(TCP, netip.MustParseAddrPort("[2001:db8::1]:80")), Scheduler: "rr"}
	mark := Service{ServiceKey: ServiceMark(7, IPv4), Scheduler: "rr"}
	with := func(s Service, change func(*Service)) Service { change(&s); return s }
	for _, c := range []struct {
		name string
		s    Service
		want error
	}{
		{"an IPv4 service", web, nil},
		{"an IPv6 service", six, nil},
		{"a firewall-mark service", mark, nil},
		{"no scheduler at all", with(web, func(s *Service) { s.Scheduler = "none" }), nil},
		{"an unknown scheduler", with(web, func(s *Service) { s.Scheduler = "best" }), ErrNoScheduler},
		{"a scheduler left out", with(web, func(s *Service) { s.Scheduler = "" }), ErrNoScheduler},
		{"an unknown persistence engine", with(web, func(s *Service) { s.Engine = "h323" }), ErrNoScheduler},
		{"the scheduler is looked at before the mask", with(web, func(s *Service) { s.Scheduler, s.Mask = "best", MaskOf(24, IPv6) }), ErrNoScheduler},
		{"an IPv4 mask with holes", with(web, func(s *Service) { s.Mask = netip.MustParseAddr("255.0.255.0") }), nil},
		{"an IPv4 mask of nothing", with(web, func(s *Service) { s.Mask = netip.MustParseAddr("0.0.0.0") }), nil},
		{"an IPv6 mask for an IPv4 service", with(web, func(s *Service) { s.Mask = MaskOf(64, IPv6) }), ErrInvalid},
		{"an IPv4 mask for an IPv6 service", with(six, func(s *Service) { s.Mask = MaskOf(24, IPv4) }), ErrInvalid},
		{"an IPv6 mask with holes", with(six, func(s *Service) { s.Mask = netip.MustParseAddr("ffff:0:ffff::") }), ErrInvalid},
		{"an IPv6 mask of nothing", with(six, func(s *Service) { s.Mask = netip.MustParseAddr("::") }), ErrInvalid},
		{"an IPv6 mask of one bit", with(six, func(s *Service) { s.Mask = MaskOf(1, IPv6) }), nil},
		{"neither address nor mark", Service{Scheduler: "rr"}, ErrInvalid},
		{"another protocol", with(web, func(s *Service) { s.Protocol = 47 }), ErrInvalid},
		{"every port without persistence", Service{ServiceKey: ServiceAt(TCP, netip.MustParseAddrPort("198.51.100.1:0")), Scheduler: "rr"}, ErrInvalid},
		{"every port with persistence", Service{ServiceKey: ServiceAt(TCP, netip.MustParseAddrPort("198.51.100.1:0")), Scheduler: "rr", Persistent: true}, nil},
	} {
		if got := c.s.Validate(); !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDestinationsAreValidatedAsTheKernelDoes(t *testing.T) {
	four := Service{ServiceKey: ServiceAt(TCP, netip.MustParseAddrPort("198.51.100.1:80")), Scheduler: "rr"}
	real4, real6 := netip.MustParseAddrPort("203.0.113.1:80"), netip.MustParseAddrPort("[2001:db8::1]:80")
	for _, c := range []struct {
		name string
		d    Destination
		want error
	}{
		{"a real server", Destination{Addr: real4, Weight: 1}, nil},
		{"the greatest weight", Destination{Addr: real4, Weight: 1<<31 - 1}, nil},
		{"no address", Destination{Weight: 1}, ErrInvalid},
		{"another family masqueraded", Destination{Addr: real6}, ErrInvalid},
		{"another family through a tunnel", Destination{Addr: real6, Method: Tunnel}, nil},
		{"a negative weight", Destination{Addr: real4, Weight: -1}, ErrRange},
		{"thresholds in order", Destination{Addr: real4, Upper: 5, Lower: 5}, nil},
		{"thresholds out of order", Destination{Addr: real4, Upper: 5, Lower: 6}, ErrRange},
		{"a lower threshold alone", Destination{Addr: real4, Lower: 1}, ErrRange},
		{"gue without a port", Destination{Addr: real4, Method: Tunnel, Tunnel: TunnelOptions{Type: GUE}}, ErrInvalid},
		{"gue with a port", Destination{Addr: real4, Method: Tunnel, Tunnel: TunnelOptions{Type: GUE, Port: 6080}}, nil},
		{"the weight is looked at before the thresholds", Destination{Addr: real4, Weight: -1, Lower: 6}, ErrRange},
	} {
		if got := c.d.Validate(four); !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnAddressThatNoServerCanHaveIsRefused(t *testing.T) {
	for addr, ok := range map[string]bool{
		"203.0.113.1": true, "127.0.0.1": true, "169.254.1.1": true, "2001:db8::1": true, "::1": true, "fd00::1": true,
		"0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false, "224.0.0.1": false,
		"::": false, "ff02::1": false, "fe80::1": false, "::ffff:203.0.113.1": false,
	} {
		err := Destination{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 80)}.CheckAddr()
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestDefaultsFillInFamilyAndMask(t *testing.T) {
	for _, c := range []struct {
		key    ServiceKey
		family Family
		mask   string
	}{
		{ServiceAt(TCP, netip.MustParseAddrPort("198.51.100.1:80")), IPv4, "255.255.255.255"},
		{ServiceAt(TCP, netip.MustParseAddrPort("[2001:db8::1]:80")), IPv6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{ServiceKey{FWMark: 3}, IPv4, "255.255.255.255"},
		{ServiceMark(3, IPv6), IPv6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		s := Service{ServiceKey: c.key}.WithDefaults()
		if s.Family != c.family || s.Mask.String() != c.mask {
			t.Errorf("%s: family %d, mask %s", c.key, s.Family, s.Mask)
		}
	}
}

func TestDaemonsKeepToWhatTheirInterfaceCarries(t *testing.T) {
	six := netip.MustParseAddr("ff05::81")
	for _, c := range []struct {
		name string
		d    Daemon
		mtu  int
		want uint16
	}{
		{"a master keeps to Ethernet", Daemon{Role: Master}, 9000, 1472},
		{"a master over IPv6 keeps to Ethernet", Daemon{Role: Master, Group: six}, 9000, 1452},
		{"a backup receives what its interface does", Daemon{Role: Backup}, 9000, 8972},
		{"a backup of a small interface is ready for Ethernet", Daemon{Role: Backup}, 1280, 1472},
		{"a backup takes no less than 1024", Daemon{Role: Backup, MaxLen: 10}, 1500, 1024},
		{"a master may be held to less", Daemon{Role: Master, MaxLen: 10}, 1500, 10},
		{"nobody gets more than a datagram", Daemon{Role: Master, MaxLen: 65535}, 1500, 65507},
	} {
		got := c.d.WithDefaults(c.mtu)
		if got.MaxLen != c.want || got.Port != 8848 || got.TTL != 1 || !got.Group.IsMulticast() {
			t.Errorf("%s: %+v, want %d bytes", c.name, got, c.want)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, wrong := range []Daemon{{Role: "standby"}, {Role: Master, Group: netip.MustParseAddr("192.0.2.1")}} {
		if err := wrong.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}
