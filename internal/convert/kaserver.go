package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/sched"
)

// common is what checks have of their real server, and it of its virtual server;
// nil is not said.
type common struct {
	alpha, inhibit                                      *bool
	retry, weight                                       *int
	connectTimeout, delayBeforeRetry, warmup, delayLoop *time.Duration
	host                                                string
}

// or takes from above what is not said here.
func (a common) or(b common) common {
	a.alpha, a.inhibit = first(a.alpha, b.alpha), first(a.inhibit, b.inhibit)
	a.retry, a.weight = first(a.retry, b.retry), first(a.weight, b.weight)
	a.connectTimeout, a.delayBeforeRetry = first(a.connectTimeout, b.connectTimeout), first(a.delayBeforeRetry, b.delayBeforeRetry)
	a.warmup, a.delayLoop = first(a.warmup, b.warmup), first(a.delayLoop, b.delayLoop)
	if a.host == "" {
		a.host = b.host
	}
	return a
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// value is what is said, or the default.
func value[T any](said *T, fallback T) T {
	if said != nil {
		return *said
	}
	return fallback
}

// virtual is a virtual_server while it is read.
type virtual struct {
	c  *keepalived
	of statement
	common
	addr                 netip.AddrPort
	mark                 uint32
	group                *group
	protocol             string
	inet                 config.Family
	sched                string
	flags                []string
	ops                  bool
	method, sorryMethod  *forwarding
	persist              *config.Persistence
	name                 string
	quorum, hysteresis   int
	quorumUp, quorumDown *config.Hook
	sorry                config.Endpoint
	sorryInhibit         bool
	real                 []*real
}

// real is a real_server while it is read.
type real struct {
	c  *keepalived
	of statement
	common
	addr         config.Endpoint
	method       *forwarding
	up, down     *config.Hook
	upper, lower uint32
	checks       []*check
}

// group is a virtual_server_group.
type group struct {
	name  string
	addrs []netip.AddrPort
	marks []groupMark
}

type groupMark struct {
	mark   uint32
	family config.Family // "" where it is the servers'
}

func (c *keepalived) virtualServer(s statement) {
	v := &virtual{c: c, of: s, quorum: 1}
	switch s.arg(0) {
	case "fwmark":
		n, err := strconv.ParseUint(s.arg(1), 10, 32)
		if err != nil || n == 0 {
			c.note(s, fmt.Sprintf("%q is no firewall mark: the service is left out", s.arg(1)))
			return
		}
		v.mark = uint32(n)
	case "group":
		g, ok := c.groups[s.arg(1)]
		if !ok {
			c.note(s, fmt.Sprintf("no virtual_server_group is called %q: the service is left out", s.arg(1)))
			return
		}
		v.group = g
	default:
		addr, err := endpoint(s.arg(0), s.arg(1))
		if err != nil {
			c.note(s, err.Error()+": the service is left out")
			return
		}
		v.addr = addr
	}
	run(c, serverDirectives, v, s.name(), s.block)
	c.servers = append(c.servers, v)
}

// endpoint reads an address and a port, which may be left out.
func endpoint(addr, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", addr)
	}
	n := uint64(0)
	if port != "" {
		if n, err = strconv.ParseUint(port, 10, 16); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q is no port", port)
		}
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

// maxGroup is how many services a group may become.
const maxGroup = 4096

func (c *keepalived) groupNote(s statement, err error) { c.note(s, err.Error()+": left out") }

func (c *keepalived) group(s statement) {
	g := &group{name: s.arg(0)}
	for _, of := range s.block {
		if of.name() == "fwmark" {
			n, err := strconv.ParseUint(of.arg(0), 10, 32)
			if err != nil || n == 0 {
				c.groupNote(of, fmt.Errorf("%q is no firewall mark", of.arg(0)))
				continue
			}
			g.marks = append(g.marks, groupMark{uint32(n), families[of.arg(1)]})
			continue
		}
		addrs, err := addressRange(of.name())
		if err == nil && len(addrs)+len(g.addrs) > maxGroup {
			err = fmt.Errorf("more than %d services would come of the group: use a firewall mark and `marks` instead", maxGroup)
		}
		for _, a := range addrs {
			addr, wrong := endpoint(a.String(), of.arg(0))
			if wrong != nil {
				err = wrong
				break
			}
			g.addrs = append(g.addrs, addr)
		}
		if err != nil {
			c.groupNote(of, err)
		}
	}
	if g.torn() {
		c.note(s, "with addresses of both families its marks need theirs, inet or inet6: keepalived leaves it out, and so it is here")
		return
	}
	c.groups[g.name] = g
}

// torn reports whether the family of a mark cannot be told.
func (g *group) torn() bool {
	return slices.ContainsFunc(g.marks, func(m groupMark) bool { return m.family == "" }) && len(g.addrs) > 0 &&
		slices.ContainsFunc(g.addrs, func(a netip.AddrPort) bool { return familyOf(a.Addr()) != familyOf(g.addrs[0].Addr()) })
}

var families = map[string]config.Family{"inet": config.IPv4, "inet6": config.IPv6}

// addressRange writes out 192.0.2.1-10, 192.0.2.1-192.0.2.10, 192.0.2.8/29, and
// the same of IPv6, where the last group is hexadecimal.
func addressRange(text string) ([]netip.Addr, error) {
	low, high, err := rangeEnds(text)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for a := low; ; a = a.Next() {
		if out = append(out, a); len(out) > maxGroup {
			return nil, fmt.Errorf("%s has more than %d addresses: use a firewall mark and `marks` instead", text, maxGroup)
		}
		if a == high || !a.IsValid() {
			return out, nil
		}
	}
}

func rangeEnds(text string) (low, high netip.Addr, err error) {
	wrong := fmt.Errorf("%q is no address or range", text)
	if p, err := netip.ParsePrefix(text); err == nil {
		if p != p.Masked() {
			return low, high, fmt.Errorf("%s has bits behind its prefix, and keepalived takes none of it", text)
		}
		return p.Addr(), lastOf(p), nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if low, err = netip.ParseAddr(from); err != nil {
		return low, high, wrong
	}
	if !ranged {
		return low, low, nil
	}
	if high, err = netip.ParseAddr(to); err != nil {
		cut := strings.LastIndexAny(from, ".:")
		if high, err = netip.ParseAddr(from[:cut+1] + to); err != nil {
			return low, high, wrong
		}
	}
	if high.Less(low) || high.BitLen() != low.BitLen() {
		return low, high, fmt.Errorf("%q ends before it begins", text)
	}
	return low, high, nil
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for i := p.Bits(); i < len(raw)*8; i++ {
		raw[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

func (v *virtual) scheduler(s statement) {
	if !slices.Contains(sched.Names(), s.arg(0)) {
		v.c.note(s, fmt.Sprintf("there is no scheduler %q: left out", s.arg(0)))
		return
	}
	v.sched = s.arg(0)
}

// flag takes an option of the scheduler that has been named, or one of all.
func (v *virtual) flag(s statement) {
	of, _, _ := strings.Cut(s.name(), "-")
	if of != "flag" && v.sched != of {
		v.c.note(s, fmt.Sprintf("it goes with scheduler %s alone, named before it: keepalived leaves it out, and so it is here", of))
		return
	}
	v.flags = append(v.flags, s.name())
}

func (v *virtual) engine(s statement) {
	if s.arg(0) != "sip" {
		v.c.note(s, fmt.Sprintf("there is no persistence engine %q: left out", s.arg(0)))
		return
	}
	v.persistent().Engine = config.Engine(s.arg(0))
}

// persistent is the persistence of the server, which lasts 6 minutes if nothing
// else is said.
func (v *virtual) persistent() *config.Persistence {
	if v.persist == nil {
		v.persist = &config.Persistence{}
	}
	return v.persist
}

// defaultPersistence is keepalived's.
const defaultPersistence = 6 * time.Minute

// longest is the longest persistence in seconds.
const longest = 31 * 24 * 3600

func (v *virtual) persistence(s statement) {
	if s.arg(0) == "" {
		v.persistent().Timeout = defaultPersistence
		return
	}
	seconds := 0
	v.c.number(s, 1, &seconds)
	if seconds > longest {
		v.c.note(s, fmt.Sprintf("%d is more than %d, 31 days: left out", seconds, longest))
		return
	}
	if seconds > 0 {
		v.persistent().Timeout = time.Duration(seconds) * time.Second
	}
}

func (v *virtual) granularity(s statement) {
	mask, family := s.arg(0), config.IPv4
	if !strings.Contains(mask, ".") {
		mask, family = "/"+mask, config.IPv6
	}
	if v.inet == "" {
		v.inet = family
	}
	v.persistent().Netmask = mask
	if v.group != nil {
		v.c.note(s, "keepalived 2.2.7 forgets it of groups: here it holds")
	}
	if v.persistent().Timeout == 0 {
		v.persistent().Timeout = defaultPersistence
	}
}

func (v *virtual) setProtocol(s statement) {
	name := strings.ToLower(s.arg(0))
	if !slices.Contains([]string{"tcp", "udp", "sctp"}, name) {
		v.c.note(s, fmt.Sprintf("%q is none of TCP, UDP, SCTP: left out", s.arg(0)))
		return
	}
	v.protocol = name
}

func (v *virtual) family(s statement) {
	if families[s.arg(0)] == "" {
		v.c.note(s, fmt.Sprintf("%q is neither inet nor inet6: left out", s.arg(0)))
		return
	}
	if v.inet != "" && v.inet != families[s.arg(0)] {
		v.c.note(s, "persistence_granularity is of the other family: keepalived leaves it out, and so it is here")
		return
	}
	v.inet = families[s.arg(0)]
}

func (v *virtual) sorryServer(s statement) {
	addr, err := endpoint(s.arg(0), s.arg(1))
	if err != nil {
		v.c.note(s, err.Error()+": left out")
		return
	}
	v.sorry.AddrPort = addr
}

func (v *virtual) realServer(s statement) {
	addr, err := endpoint(s.arg(0), s.arg(1))
	if err != nil {
		v.c.note(s, err.Error()+": left out")
		return
	}
	r := &real{c: v.c, of: s, addr: config.Endpoint{AddrPort: addr}}
	run(v.c, realDirectives, r, s.name(), s.block)
	v.real = append(v.real, r)
}
