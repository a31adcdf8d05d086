package hostnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// RealServer is what a real server needs to answer for the VIPs itself, as the
// route and tunnel methods have it: the VIPs on device (lo for route, the tunnel
// end for tunnel), and silence when the link asks for their owner. It is pure.
//
// ARP: the kernel answers for any address it has, on whatever interface;
// arp_ignore=1 confines it to addresses of the interface asked, arp_announce=2
// keeps VIPs out of the requests it sends. Neighbour discovery for IPv6 is
// confined so by nature. But of IPv6 addresses the kernel may choose one of
// another interface as the source of the host's own packets; as an unpreferred
// one the VIP is passed over.
func RealServer(device string, vips ...netip.Addr) Want {
	want := Want{Up: []string{device}, Sysctl: Values{
		InterfaceKey("ipv4", "all", "arp_ignore"):   "1",
		InterfaceKey("ipv4", "all", "arp_announce"): "2",
	}}
	for _, vip := range vips {
		want.Addresses = append(want.Addresses, InterfaceAddress{
			Iface: device, Prefix: netip.PrefixFrom(vip, vip.BitLen()), Unpreferred: vip.Is6(),
		})
	}
	return want
}

// RealServerSpec is a real server as one asks for it.
type RealServerSpec struct {
	VIPs []netip.Addr `json:"vips"`
	// Method is "dr" or "tunnel".
	Method string `json:"method"`
	// Tunnel is the kind, "ipip", "gue" or "gre"; Port of GUE; Csum says that GRE
	// comes with a checksum, which the kernel's device wants to know beforehand.
	Tunnel string `json:"tunnel,omitempty"`
	Port   uint16 `json:"port,omitempty"`
	Csum   bool   `json:"csum,omitempty"`
	// Locals are the host's addresses that outer packets come for.
	Locals []netip.Addr `json:"locals,omitempty"`
	// Interfaces are those that packets from the director come in by.
	Interfaces []string `json:"interfaces,omitempty"`
	// Kernel says that the kernel's devices take packets out of tunnels.
	Kernel bool `json:"kernel,omitempty"`
}

// Methods and Tunnels are what a RealServerSpec may say.
var (
	Methods = []string{"dr", "tunnel"}
	Tunnels = []string{"ipip", "gue", "gre"}
)

// Check says what in the specification cannot be.
func (s RealServerSpec) Check() error {
	if len(s.VIPs) == 0 {
		return errors.New("no VIP: name the addresses of the virtual services with --vip")
	}
	for _, vip := range s.VIPs {
		if !vip.IsGlobalUnicast() || vip.Zone() != "" || vip.Is4In6() {
			return fmt.Errorf("VIP %s: want an address of one host, like 203.0.113.10 or 2001:db8::10", vip)
		}
	}
	if !slices.Contains(Methods, s.Method) {
		return fmt.Errorf("method %q: want dr or tunnel (a NAT server needs no setup, only its way back through the director: see `evs realserver check --method nat`)", s.Method)
	}
	if s.Method == "tunnel" && !slices.Contains(Tunnels, s.Tunnel) {
		return fmt.Errorf("tunnel type %q: want ipip, gue or gre", s.Tunnel)
	}
	if s.Tunnel == "gue" && s.Port == 0 {
		return errors.New("tunnel port 0: want the UDP port that the director sends GUE to, as 6080")
	}
	return nil
}

// Locals are the addresses of the host that an outer packet may be for: those
// of its links, but loopback's and the VIPs.
func (f Facts) Locals(vips []netip.Addr) (locals []netip.Addr) {
	for _, l := range f.Links {
		if l.Name == "lo" {
			continue
		}
		for _, p := range l.Addresses {
			if a := p.Addr(); a.IsGlobalUnicast() && !slices.Contains(vips, a) && !slices.Contains(locals, a) {
				locals = append(locals, a)
			}
		}
	}
	slices.SortFunc(locals, netip.Addr.Compare)
	return locals
}

// Misplaced says where a VIP is though it should not be, with the remedy; "" if
// nowhere. It is pure.
func (f Facts) Misplaced(vip netip.Addr) (problem, remedy string) {
	for _, l := range f.Links {
		for _, p := range l.Addresses {
			remedy := fmt.Sprintf("ip address del %s dev %s", p, shellQuote(l.Name))
			switch {
			case l.Name == "lo" && p.Addr() == vip && p.Bits() != vip.BitLen():
				return fmt.Sprintf("%s is on lo: with that mask every address of %s is the host's own", p, p.Masked()),
					fmt.Sprintf("%s && ip address add %s dev lo", remedy, netip.PrefixFrom(vip, vip.BitLen()))
			case l.Name != "lo" && p.Addr() == vip && !silent[l.Type]:
				return fmt.Sprintf("%s is on %s: the server answers for it when the link asks who has it", p, l.Name),
					fmt.Sprintf("%s && ip address add %s dev lo", remedy, netip.PrefixFrom(vip, vip.BitLen()))
			}
		}
	}
	return "", ""
}

// Silent tells whether a link cannot ask for addresses through an interface of
// that type.
func Silent(linkType string) bool { return silent[linkType] }

// silent are the types of interface that a link cannot ask through.
var silent = map[string]bool{"dummy": true, "ipip": true, "sit": true, "ip6tnl": true, "gre": true, "ip6gre": true}

// want decides what a real server needs. It is pure.
func (s RealServerSpec) want(have Facts, ifaces []string) (Want, error) {
	for _, vip := range s.VIPs {
		if problem, remedy := have.Misplaced(vip); problem != "" {
			return Want{}, fmt.Errorf("%s: run `%s`, then setup again", problem, remedy)
		}
	}
	want := RealServer("lo", s.VIPs...)
	if s.Method == "tunnel" && len(s.Locals) == 0 {
		return want, errors.New("no address for the director to send tunnels to: give an interface one, or name it with --local")
	}
	if slices.ContainsFunc(s.VIPs, netip.Addr.Is6) {
		off := InterfaceKey("ipv6", "lo", "disable_ipv6")
		if _, ok := have.Sysctl[off]; !ok {
			return want, errors.New("an IPv6 VIP, and this kernel has no IPv6: leave it out, or boot without ipv6.disable=1")
		}
		want.Sysctl[off] = "0"
	}
	s.keepStricter(want.Sysctl, have.Sysctl)
	relaxReversePath(want.Sysctl, have.Sysctl, slices.DeleteFunc(slices.Clone(ifaces), func(name string) bool {
		link, _ := have.Link(name)
		return Silent(link.Type) // tunnel ends of others
	}))
	if s.Method == "tunnel" && s.Kernel {
		s.devices(&want, have)
	}
	return want, nil
}

// keepStricter leaves arp_ignore where it already silences more.
func (s RealServerSpec) keepStricter(want, have Values) {
	key := InterfaceKey("ipv4", "all", "arp_ignore")
	if SilentARP(have[key]) {
		want[key] = have[key]
	}
}

// SilentARP tells whether a value of arp_ignore keeps a host from answering for
// addresses of lo.
func SilentARP(value string) bool { return value == "1" || value == "2" || value == "8" }

// SetupRealServer puts the calling thread's network namespace in order for a
// real server, as Setup does for a director. Run again it adds: what an earlier
// call made stays until TeardownRealServer. The specification is remembered;
// last is called when all is done, and if it fails everything is taken back.
func SetupRealServer(ctx context.Context, o Options, s RealServerSpec, last func() error) (Report, error) {
	o.role, o.Interfaces = RealServerRole, s.Interfaces
	if err := s.Check(); err != nil {
		return Report{}, err
	}
	wanted, err := json.Marshal(s)
	if err != nil {
		return Report{}, err
	}
	return prepare(ctx, o, intent{want: s.want, wanted: wanted, last: last})
}

// TeardownRealServer restores what SetupRealServer changed, as Teardown does.
func TeardownRealServer(ctx context.Context, o Options) (Report, error) {
	o.role = RealServerRole
	return Teardown(ctx, o)
}

// Remembered returns what this namespace was set up as, false if it was not.
func Remembered(o Options) (s RealServerSpec, ok bool, err error) {
	o.role = RealServerRole
	path, err := recordPath(o.recordDir())
	if err != nil {
		return s, false, err
	}
	rec, err := loadRecord(path)
	if err != nil || rec.Wanted == nil {
		return s, false, err
	}
	return s, true, json.Unmarshal(rec.Wanted, &s)
}

// relaxDevices loosens the strict reverse-path check on devices to be made,
// which the settings of "default" would carry over to: what comes out of a
// tunnel never has its way back into it.
func relaxDevices(want *Want, have Values, names []string) {
	inherited := Values{}
	maps.Copy(inherited, have)
	for _, name := range names {
		key := InterfaceKey("ipv4", name, "rp_filter")
		if _, there := inherited[key]; !there {
			inherited[key] = have[InterfaceKey("ipv4", "default", "rp_filter")]
		}
	}
	relaxReversePath(want.Sysctl, inherited, names)
}
