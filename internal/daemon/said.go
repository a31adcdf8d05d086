package daemon

import (
	"context"
	"net/netip"
	"time"

	"github.com/evs-project/evs/internal/drain"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/ipvs"
)

// words is what operators say of a server.
func (d *Daemon) words(k ipvs.ServiceKey, server netip.AddrPort) (w word) {
	said := d.keep.Said(k, server, time.Now())
	if said.Drain != nil && said.Drain.Origin == keep.ByOperator {
		w.Drained = "it is drained since " + said.Drain.Since.Format(time.DateTime)
	}
	if o := said.Override; o != nil {
		w.Weight = o.Weight
		if o.State != "" {
			up := o.State == keep.Up
			w.Up = &up
		}
	}
	return w
}

// declare has the servers drained to which the file gives weight 0.
func (d *Daemon) declare(now time.Time) error {
	var drains []keep.Drain
	for _, p := range d.pools {
		for _, m := range p.members {
			if m.Weight != 0 {
				continue
			}
			for _, k := range p.keys {
				at := keep.Scope{Service: keep.Service{ServiceKey: k}, Server: keep.Server{AddrPort: m.Destination.Destination(k).Addr}}
				drains = append(drains, drain.New(at, m.Drain, now))
			}
		}
	}
	return d.keep.Declare(drains)
}

// drain carries out drains until ctx is over.
func (d *Daemon) drain(ctx context.Context) {
	table, err := ipvs.Open(ctx)
	if err != nil {
		d.inbox.put(func() { d.inbox.failures[theDrains] = err })
		return
	}
	defer table.Close()
	drain.Watch(ctx, d.keep, table, func(err error) {
		d.inbox.put(func() { d.inbox.failures[theDrains] = err })
	})
}
