package ipvsadm

import (
	"net/netip"
	"strings"

	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// check looks at the command line as a whole, in the order in which the real
// command complains.
func (l *line) check() error {
	if err := l.checkSchedFlags(); err != nil {
		return err
	}
	if err := rules[l.Command].check(l.used, "command"); err != nil {
		return err
	}
	switch l.Command {
	case List:
		return l.checkList()
	case AddService, EditService:
		return l.checkService()
	case AddServer, EditServer:
		return l.checkServer()
	}
	return nil
}

// check complains about the first group, in the order of groups, that the rule
// misses or does not allow.
func (r rule) check(used groupSet, kind string) error {
	chosen := none
	for g := none + 1; g < groups; g++ {
		switch {
		case !used.has(g):
			if r.needs.has(g) {
				return complain("You need to supply the '%s' option for the '%s' %s", groupNames[g], r.name, kind)
			}
		case r.oneOf.has(g):
			if chosen != none {
				return complain("The option '%s' conflicts with the '%s' option in the '%s' %s",
					groupNames[g], groupNames[chosen], r.name, kind)
			}
			chosen = g
		case !r.needs.has(g) && !r.takes.has(g):
			return complain("Illegal '%s' option with the '%s' %s", groupNames[g], r.name, kind)
		}
	}
	return nil
}

// checkList refuses the formats of services for what is no list of services;
// persistent-conn is also a format of connections.
func (l *line) checkList() error {
	formats := of(stats, rate, thresholds)
	if l.used&of(timeout, daemon) != 0 {
		formats |= of(persistentConn)
	}
	if l.used&of(connection, timeout, daemon) != 0 && l.used&formats != 0 {
		return complain("options conflicts in the list command")
	}
	return nil
}

// checkService refuses what makes no virtual service.
func (l *line) checkService() error {
	s := l.Service
	if s.FWMark != 0 {
		return nil
	}
	if s.Addr.Port() == 0 && !s.Persistent {
		return complain("Zero port specified for non-persistent service")
	}
	if s.OnePacket && s.Protocol != ipvs.UDP {
		return complain("One-Packet Scheduling is only for UDP virtual services")
	}
	return nil
}

// tunnelRules is the table of encapsulations and the options they go with.
var tunnelRules = map[ipvs.TunnelType]rule{
	ipvs.IPIP: {name: "ipip"},
	ipvs.GUE:  {name: "gue", needs: of(tunPort), oneOf: of(tunNoCsum, tunCsum, tunRemCsum)},
	ipvs.GRE:  {name: "gre", oneOf: of(tunNoCsum, tunCsum)},
}

// checkServer gives the destination its port and refuses what cannot be
// forwarded to.
func (l *line) checkServer() error {
	d := &l.Destination
	if l.Service.FWMark == 0 && d.Method != ipvs.Masquerade {
		// Packets arrive unchanged, so the port is the service's.
		d.Addr = netip.AddrPortFrom(d.Addr.Addr(), l.Service.Addr.Port())
	}
	if d.Method == ipvs.Tunnel {
		r := tunnelRules[d.Tunnel.Type]
		r.takes |= of(tunType)
		return r.check(l.used&tunnelOptions, "tunnel type")
	}
	if ipvs.FamilyOf(d.Addr.Addr()) != l.Service.Family {
		return complain("Different address family is allowed only for tunneling servers")
	}
	if l.used&tunnelOptions != 0 {
		return complain("Tunnel options conflict with forward method")
	}
	return nil
}

// checkSchedFlags reads the scheduler flags, which cannot be told before the
// scheduler is known.
func (l *line) checkSchedFlags() error {
	own, _ := sched.Find(l.Service.Scheduler)
	for flag := range strings.SplitSeq(l.flags, ",") {
		if flag == "" {
			continue
		}
		bit, owner := findSchedFlag(flag)
		if bit == 0 {
			return complain("invalid scheduler flag `%s'", flag)
		}
		if owner != "" && owner != own.Name {
			return complain("incompatible scheduler flag `%s'", flag)
		}
		l.Service.SchedFlags |= bit
	}
	return nil
}

// findSchedFlag returns the flag of that name and the scheduler it belongs to,
// "" if any may have it.
func findSchedFlag(name string) (flag ipvs.SchedFlags, owner string) {
	for i, generic := range sched.GenericFlags {
		if generic == name {
			return 1 << i, ""
		}
	}
	for _, s := range sched.All {
		for i, own := range s.Flags {
			if own == name {
				return 1 << i, s.Name
			}
		}
	}
	return 0, ""
}
