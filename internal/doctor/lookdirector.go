package doctor

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// connsLooked is how many connections are looked at for clients on a server's
// link: enough to see what is the rule.
const connsLooked = 10_000

// LookAtDirector collects the facts of the calling thread's network namespace.
// It asks the links who has the VIPs and the servers' addresses.
func LookAtDirector(ctx context.Context, t *ipvs.Table) (f DirectorFacts, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f.Ways, f.ClientWays = map[netip.Addr]hostnet.Way{}, map[netip.Addr]hostnet.Way{}
	if f.Facts, err = hostnet.Read(); err != nil {
		return f, err
	}
	if err := f.lookAtTable(t); err != nil {
		return f, err
	}
	if err := f.findWays(); err != nil {
		return f, err
	}
	f.Tuning = hostnet.Plan(f.Facts, hostnet.Director(f.Facts, f.involved(), false))
	return f, f.ask(ctx)
}

func (f *DirectorFacts) lookAtTable(t *ipvs.Table) (err error) {
	if f.Services, err = t.Services(); err != nil {
		return err
	}
	status, err := t.Status()
	if errors.Is(err, ipvs.ErrNoTable) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Attachments, f.Timer = status.Attachments, status.Timer
	for c, err := range t.Conns() {
		if err != nil {
			return err
		}
		if c.Method == ipvs.Masquerade && !c.Template && c.Client.Addr().IsValid() {
			f.Conns = append(f.Conns, c)
		}
		if len(f.Conns) == connsLooked {
			break
		}
	}
	return nil
}

func (f *DirectorFacts) findWays() (err error) {
	for _, s := range f.Services {
		addrs := []netip.Addr{s.Addr.Addr()}
		for _, d := range s.Destinations {
			addrs = append(addrs, d.Addr.Addr())
		}
		for _, a := range addrs {
			if _, known := f.Ways[a]; known || !a.IsValid() {
				continue
			}
			if f.Ways[a], err = hostnet.WayTo(a, netip.Addr{}); err != nil {
				return err
			}
		}
	}
	for _, c := range f.Conns {
		a := c.Client.Addr()
		if _, known := f.ClientWays[a]; known {
			continue
		}
		if f.ClientWays[a], err = hostnet.WayTo(a, netip.Addr{}); err != nil {
			return err
		}
	}
	return nil
}

// questions are the addresses to ask for, by interface: VIPs on every link where
// servers are, and the next hops to the servers.
func (f *DirectorFacts) questions() map[string][]netip.Addr {
	all := map[string][]netip.Addr{}
	add := func(iface string, a netip.Addr) {
		if iface != "" && a.IsValid() && !slices.Contains(all[iface], a) {
			all[iface] = append(all[iface], a)
		}
	}
	f.eachServer(func(_ ipvs.Service, d ipvs.Destination) []Finding {
		a := d.Addr.Addr()
		w := f.Ways[a]
		if w.Local || w.Unreachable != "" {
			return nil
		}
		if w.Via.IsValid() {
			a = w.Via
		}
		add(w.Iface, a)
		return nil
	})
	f.eachVIP(func(vip netip.Addr, _ ipvs.ServiceInfo) []Finding {
		for iface := range all {
			add(iface, vip)
		}
		return nil
	})
	return all
}

func (f *DirectorFacts) ask(ctx context.Context) error {
	f.Answers, f.Asked, f.Names = map[netip.Addr][]hostnet.Answer{}, map[netip.Addr]bool{}, map[string]netip.Addr{}
	for iface, addrs := range f.questions() {
		answers, err := hostnet.AskOwners(ctx, iface, addrs)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			f.Asked[a] = f.Asked[a] || answers != nil
			f.Answers[a] = append(f.Answers[a], answers[a]...)
		}
	}
	own, neighbours, err := hostnet.MACs()
	if err != nil {
		return err
	}
	for a, mac := range neighbours {
		f.Names[mac] = a
	}
	for a, answers := range f.Answers {
		f.Answers[a] = slices.DeleteFunc(answers, func(x hostnet.Answer) bool { return slices.Contains(own, x.MAC) })
		// who answers for an address of a server has it
		for _, x := range f.Answers[a] {
			if f.isServer(a) {
				f.Names[x.MAC] = a
			}
		}
	}
	return nil
}
