package daemon

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/ipvs"
)

// glance is how often the daemon looks at what the data path sees of servers, where
// somebody wants to know.
const glance = 100 * time.Millisecond

// sights are what the data path has counted of servers whose weight follows it, by the
// keys of their sources: the loop looks, and sources ask.
type sights struct {
	mu  sync.Mutex
	all map[string]health.Counts
}

// counts are what the data path has counted of a server.
func (d *Daemon) counts(key string) (health.Counts, bool) {
	d.sights.mu.Lock()
	defer d.sights.mu.Unlock()
	c, ok := d.sights.all[key]
	return c, ok
}

// watched says that somebody wants to know what the data path sees of the pool.
func (p *pool) watched() bool {
	return p.Outlier != nil || slices.ContainsFunc(p.members, (*member).passive)
}

func (m *member) passive() bool { return m.WeightSource != nil && m.WeightSource.Kind == "passive" }

// glance looks at what the data path sees, and has those left out who fail.
func (d *Daemon) glance(now time.Time) {
	seen := map[string]health.Counts{}
	for _, p := range d.pools {
		if !p.watched() {
			continue
		}
		all := p.counted(d.table)
		for _, m := range p.members {
			if c, ok := all[m.name]; ok && m.passive() {
				seen[p.sourceKey(m)] = c
			}
		}
		if p.Outlier != nil && p.judge(all, now) {
			p.dirty = true
			d.soon(now)
		}
	}
	d.sights.mu.Lock()
	d.sights.all = seen
	d.sights.mu.Unlock()
}

// counted is what was counted of each server that is in the table, at all addresses of
// the pool.
func (p *pool) counted(table *ipvs.Table) map[string]health.Counts {
	out := map[string]health.Counts{}
	for _, k := range p.keys {
		info, err := table.Service(k)
		if err != nil {
			continue // it comes back when the table is looked at
		}
		for _, m := range p.members {
			at := m.Destination.Destination(k).Addr
			if i := slices.IndexFunc(info.Destinations, func(d ipvs.DestinationInfo) bool { return d.Addr == at }); i >= 0 {
				s := info.Destinations[i].Signals
				out[m.name] = out[m.name].Plus(health.Counts{Conns: s.Conns, Answered: s.Answered, Retried: s.Retried, Refused: s.Refused, Packets: s.InPackets})
			}
		}
	}
	return out
}

// judge says whether other servers are left out than before.
func (p *pool) judge(all map[string]health.Counts, now time.Time) bool {
	seen := make([]health.Seen, len(p.members))
	for i, m := range p.members {
		is := p.now.servers[i]
		seen[i] = health.Seen{Name: m.name, Counts: all[m.name], In: is.up && is.Listed && is.Weight > 0}
	}
	out := map[string]health.Ejection{}
	for _, e := range p.outliers.Look(now, seen) {
		out[e.Name] = e
	}
	same := maps.Equal(out, p.ejected)
	p.ejected = out
	return !same
}

// watch has the pool judged by the rules of its file, and goes on where the pool stood
// as it was before.
func (p *pool) watch(was *pool) {
	if p.Outlier == nil {
		return
	}
	if was == nil || was.outliers == nil {
		p.outliers = health.NewOutliers(p.Outlier.Rules())
		return
	}
	p.outliers, p.ejected = was.outliers.With(p.Outlier.Rules()), was.ejected
}

// eject takes a server for down that is left out, unless an operator says what it is. It
// stays in the table, as its connections may be well.
func (p *pool) eject(m *member, c *condition) {
	e, out := p.ejected[m.name]
	if !out || c.word.Up != nil || !c.Member.Up {
		return
	}
	stays := true
	c.Member.Up, c.Why, c.Inhibit = false, fmt.Sprintf("left out for %v: %s", e.Until.Sub(e.Since), e.Why), &stays
}
