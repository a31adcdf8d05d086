package options

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// Keys are the options that name a service. Exactly one is given, but -6 goes
// with --fwmark.
var Keys = []Option[ipvs.ServiceKey]{
	at("tcp", "t", ipvs.TCP),
	at("udp", "u", ipvs.UDP),
	at("sctp", "", ipvs.SCTP),
	{Name: "fwmark", Short: "f", Value: "MARK", About: "the service of packets with this firewall mark", Set: setMark,
		Show: func(k ipvs.ServiceKey) (string, bool) { return strconv.FormatUint(uint64(k.FWMark), 10), k.FWMark != 0 }},
	{Name: "ipv6", Short: "6", About: "with --fwmark: of IPv6 packets", Set: setIPv6,
		Show: func(k ipvs.ServiceKey) (string, bool) { return "true", k.FWMark != 0 && k.Family == ipvs.IPv6 }},
}

func at(name, short string, p ipvs.Protocol) Option[ipvs.ServiceKey] {
	return Option[ipvs.ServiceKey]{
		Name: name, Short: short, Value: "ADDRESS:PORT",
		About: fmt.Sprintf("the %s service at this address", p),
		Set: func(k *ipvs.ServiceKey, arg string) error {
			addr, err := netip.ParseAddrPort(arg)
			if err != nil || addr.Addr().Zone() != "" {
				return errors.New("write it as 203.0.113.10:80 or [2001:db8::10]:80")
			}
			*k = ipvs.ServiceAt(p, addr)
			return nil
		},
		Show: func(k ipvs.ServiceKey) (string, bool) { return k.Addr.String(), k.FWMark == 0 && k.Protocol == p },
	}
}

func setMark(k *ipvs.ServiceKey, arg string) error {
	m, err := mark(arg)
	if err == nil {
		*k = ipvs.ServiceMark(m, ipvs.IPv4)
	}
	return err
}

// mark reads a firewall mark.
func mark(arg string) (uint32, error) {
	m, err := strconv.ParseUint(arg, 0, 32)
	if err != nil || m == 0 {
		return 0, errors.New("choose a number from 1 to 4294967295")
	}
	return uint32(m), nil
}

func setIPv6(k *ipvs.ServiceKey, arg string) error {
	if arg != "true" {
		return nil
	}
	if k.FWMark == 0 {
		return errors.New("it goes with --fwmark alone: other services have the family of their address")
	}
	k.Family = ipvs.IPv6
	return nil
}

// Key reads which service is meant.
func Key(given map[string]string) (ipvs.ServiceKey, error) {
	var named []string
	for _, o := range Keys[:4] {
		if _, ok := given[o.Name]; ok {
			named = append(named, "--"+o.Name)
		}
	}
	switch len(named) {
	case 0:
		return ipvs.ServiceKey{}, errors.New("which service? name it by --tcp, --udp, --sctp ADDRESS:PORT or --fwmark MARK")
	case 1:
		var k ipvs.ServiceKey
		err := Apply(Keys, &k, given)
		return k, err
	}
	return ipvs.ServiceKey{}, fmt.Errorf("%s name different services: give one of them", strings.Join(named, " and "))
}

// off ends what an option began.
const off = "none"

// Service are the options of a service beside its key, which has to be set.
var Service = []Option[ipvs.Service]{
	{Name: "scheduler", Short: "s", Value: "NAME", About: "how servers are chosen: " + strings.Join(sched.Names(), ", ") + " (default " + sched.Default + ")",
		Set: setScheduler, Show: func(s ipvs.Service) (string, bool) { return s.Scheduler, true }},
	{Name: "sched-flags", Short: "b", Value: "FLAGS", About: "options of the scheduler with commas between, or none: sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3",
		Set: setSchedFlags, Show: func(s ipvs.Service) (string, bool) {
			return strings.Join(SchedFlags(s), ","), s.SchedFlags != 0
		}},
	{Name: "persistent", Short: "p", Value: "TIME", About: "a client keeps its server for this time (300s, 5m), or none",
		Set: setPersistent, Show: func(s ipvs.Service) (string, bool) { return fmt.Sprintf("%ds", s.Timeout), s.Persistent }},
	{Name: "netmask", Short: "M", Value: "MASK", About: "clients that agree in these bits are one to persistence: 255.255.255.0, /24, or /64 for IPv6",
		Set: setNetmask, Show: func(s ipvs.Service) (string, bool) { return Netmask(s), s.Mask.IsValid() && !wholeMask(s.Mask) }},
	{Name: "pe", Value: "NAME", About: "persistence engine: " + strings.Join(ipvs.Engines, ", ") + ", or none",
		Set: setEngine, Show: func(s ipvs.Service) (string, bool) { return s.Engine, s.Engine != "" }},
	{Name: "ops", Short: "o", About: "schedule each UDP packet on its own",
		Set: setOnePacket, Show: func(s ipvs.Service) (string, bool) { return "true", s.OnePacket }},
}

func setScheduler(s *ipvs.Service, arg string) error {
	if _, ok := sched.Find(arg); !ok && arg != sched.None {
		return oneOf(sched.Names())
	}
	s.Scheduler = arg
	return nil
}

// flagNames are what a scheduler calls its flags, the generic names where it
// has none of its own for one.
func flagNames(scheduler string) []string {
	names := slices.Clone(sched.GenericFlags)
	if s, ok := sched.Find(scheduler); ok {
		copy(names, s.Flags)
	}
	return names
}

// SchedFlags are the names of the scheduler flags that are set.
func SchedFlags(s ipvs.Service) []string {
	var set []string
	for i, name := range flagNames(s.Scheduler) {
		if s.SchedFlags&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return set
}

func setSchedFlags(s *ipvs.Service, arg string) error {
	s.SchedFlags = 0
	if arg == off {
		return nil
	}
	own := flagNames(s.Scheduler)
	for name := range strings.SplitSeq(arg, ",") {
		i := max(slices.Index(own, name), slices.Index(sched.GenericFlags, name))
		if i < 0 {
			return fmt.Errorf("scheduler %s has %s", s.Scheduler, strings.Join(own, ", "))
		}
		s.SchedFlags |= 1 << i
	}
	return nil
}

// longest is what ipvsadm accepts as the time of persistence.
const longest = 31 * 24 * time.Hour

func setPersistent(s *ipvs.Service, arg string) error {
	if arg == off {
		s.Persistent, s.Timeout = false, 0
		return nil
	}
	d, err := time.ParseDuration(arg)
	if n, plain := strconv.ParseUint(arg, 10, 32); plain == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < time.Second || d > longest || d%time.Second != 0 {
		return errors.New("choose whole seconds, up to 31 days: 300s, 5m, 12h")
	}
	s.Persistent, s.Timeout = true, uint32(d/time.Second)
	return nil
}

func wholeMask(mask netip.Addr) bool { return ipvs.MaskLen(mask) == mask.BitLen() }

// Netmask writes the granularity of persistence.
func Netmask(s ipvs.Service) string {
	if s.Family == ipvs.IPv6 {
		return "/" + strconv.Itoa(ipvs.MaskLen(s.Mask))
	}
	return s.Mask.String()
}

func setNetmask(s *ipvs.Service, arg string) error {
	bits, err := strconv.Atoi(strings.TrimPrefix(arg, "/"))
	if err == nil {
		if mask := ipvs.MaskOf(bits, s.Family); mask.IsValid() {
			s.Mask = mask
			return nil
		}
	}
	if mask, err := netip.ParseAddr(arg); err == nil && ipvs.FamilyOf(mask) == s.Family {
		s.Mask = mask
		return nil
	}
	if s.Family == ipvs.IPv6 {
		return errors.New("write a prefix length from /1 to /128")
	}
	return errors.New("write 255.255.255.0 or /24")
}

func setEngine(s *ipvs.Service, arg string) error {
	switch {
	case arg == off:
		s.Engine = ""
	case slices.Contains(ipvs.Engines, arg):
		s.Engine = arg
	default:
		return oneOf(append(slices.Clone(ipvs.Engines), off))
	}
	return nil
}

func setOnePacket(s *ipvs.Service, arg string) error {
	s.OnePacket = arg == "true"
	if s.OnePacket && s.Protocol != ipvs.UDP && s.FWMark == 0 {
		return errors.New("only UDP services and firewall marks can have it")
	}
	return nil
}
