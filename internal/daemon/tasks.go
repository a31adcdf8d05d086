package daemon

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/ipvs"
)

// A mark leads a check via the VIP to one destination of a service.
type marks map[ipvs.ServiceKey]map[netip.AddrPort]uint32

// tasks are the checks of a pool's servers. Those via the VIP are left out as long as
// there is no way to their server.
func (p *pool) tasks(marks marks) (all []health.Task) {
	for _, m := range p.members {
		for _, t := range m.checks {
			k := p.asked(t.spec)
			target := health.Target{Addr: m.Destination.Destination(k).Addr, VIP: k.Addr, Weight: int(m.Weight)}
			if t.spec.Via == health.ViaVIP {
				target.Path.Mark = marks[k][target.Addr]
				if target.Path.Mark == 0 {
					continue
				}
			}
			all = append(all, health.Task{Key: t.key, Spec: t.spec, Target: target})
		}
	}
	return all
}

// asked is the address of the service that a check is about: the first of a protocol
// that it speaks.
func (p *pool) asked(s health.Spec) ipvs.ServiceKey {
	protocol := ipvs.TCP
	if s.Kind == "udp" || s.Kind == "dns" && s.Transport != "tcp" {
		protocol = ipvs.UDP
	}
	for _, k := range p.keys {
		if k.FWMark == 0 && k.Protocol == protocol {
			return k
		}
	}
	return p.keys[0]
}

// viaVIP says that checks of a pool need marks.
func (p *pool) viaVIP() bool {
	for _, m := range p.members {
		if viaVIP(m.Destination) {
			return true
		}
	}
	return false
}

// buildable says which checks cannot be made, with their places: a program's user, a
// certificate's file may be missing.
func (p *pool) buildable() error {
	var wrong []error
	said := map[string]bool{}
	for _, m := range p.members {
		for _, t := range m.checks {
			k := p.asked(t.spec)
			target := health.Target{Addr: m.Destination.Destination(k).Addr, VIP: k.Addr, Weight: int(m.Weight)}
			target.Path.Mark = 1 // the data path tells it later
			_, err := t.spec.New(target)
			if err == nil {
				continue
			}
			if why := errors.Unwrap(err); why != nil {
				err = why // without the server: it is the same for all
			}
			err = fmt.Errorf("%s: the check of kind %s cannot be made: %w", t.place, t.spec.Kind, err)
			if !said[err.Error()] {
				said[err.Error()] = true
				wrong = append(wrong, err)
			}
		}
	}
	return errors.Join(wrong...)
}
