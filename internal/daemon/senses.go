package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/director"
	"github.com/evs-project/evs/internal/discovery"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/source"
	"github.com/evs-project/evs/internal/weight"
)

// theFound is the fault that stands for servers that were found and cannot be served.
const theFound = "servers that were found"

// An owner is what a task is about: a pool, and a server of it.
type owner struct {
	pool   *pool
	server string
}

// owned says whose tasks are whose.
func (d *Daemon) owned() {
	d.owners = map[string]owner{}
	for _, p := range d.pools {
		for _, m := range p.members {
			d.owners[p.sourceKey(m)] = owner{p, m.name}
			for _, t := range m.checks {
				d.owners[t.key] = owner{p, m.name}
			}
		}
	}
	maps.DeleteFunc(d.states, func(key string, _ health.State) bool { return d.owners[key].pool == nil })
}

// questions are what sources of weights are asked, and where servers are looked for.
type questions struct {
	sources  []source.Task
	searches []discovery.Task
}

func questionsOf(pools []*pool) (q questions) {
	for _, p := range pools {
		q.searches = append(q.searches, searches(p.file)...)
		for _, m := range p.members {
			if m.WeightSource != nil {
				q.sources = append(q.sources, source.Task{
					Key: p.sourceKey(m), Server: m.Destination.Destination(p.keys[0]).Addr, Source: *m.WeightSource,
				})
			}
		}
	}
	return q
}

func (p *pool) sourceKey(m *member) string { return p.Name + " " + m.name }

// searches are where the servers of a service are looked for.
func searches(s config.Service) (all []discovery.Task) {
	for i, where := range s.Discovery {
		all = append(all, discovery.Task{Key: fmt.Sprintf("%s %s/%d", s.Name, where.Kind, i), Service: s, Discovery: where})
	}
	return all
}

// pose has the questions asked, or none of them.
func (d *Daemon) pose(q questions) error {
	if err := d.sources.Set(q.sources); err != nil {
		return err
	}
	return d.searches.Set(q.searches)
}

// found are the servers that were found for a service last, but for those that its file
// names.
func (d *Daemon) found(s config.Service) (all []config.Destination) {
	known := map[netip.AddrPort]bool{}
	for _, is := range s.Destinations {
		known[is.Destination(s.Keys()[0]).Addr] = true
	}
	for _, where := range searches(s) {
		last, _ := d.searches.Last(where) // nothing, as long as nothing was found
		for _, is := range last {
			if at := is.Destination(s.Keys()[0]).Addr; !known[at] {
				known[at] = true
				all = append(all, is)
			}
		}
	}
	return all
}

// searched takes down that servers were looked for.
func (d *Daemon) searched(r discovery.Report) {
	d.inbox.put(func() {
		d.inbox.newFound = d.inbox.newFound || r.Err == nil && r.Value
		if r.Err != nil || r.Before > 0 {
			d.inbox.failures["discovery "+r.Key] = r.Err
		}
	})
}

// heard takes down what a source said.
func (d *Daemon) heard(r source.Report) {
	d.inbox.put(func() {
		if r.Err == nil {
			d.inbox.readings[r.Key] = r.Value
		}
		if r.Err != nil || r.Before > 0 {
			d.inbox.failures["weight source of "+r.Key] = r.Err
		}
	})
}

// hear takes what the source of a server says, and says whether that cannot wait for the
// next beat: whether it is to have new connections at all.
func (p *pool) hear(server string, r weight.Reading) bool {
	p.weights.Hear(server, r)
	for i, m := range p.members {
		if m.name == server {
			was := p.now.servers[i].weight.Reading
			p.dirty = p.dirty || was.Drain != r.Drain || was.Down != r.Down
		}
	}
	return p.dirty
}

// takeOver serves the servers that were found.
func (d *Daemon) takeOver(now time.Time) {
	if d.desired == nil || d.trial.aside() || d.retry != nil {
		return // it is done with what is waited for
	}
	done, err := d.adopt(d.desired, now)
	if errors.Is(err, director.ErrPending) {
		return
	}
	d.faults.note(theFound, err, now)
	if err == nil {
		d.log.Info("other servers were found", "changes", len(done))
		d.logChanges(slog.LevelInfo, done)
	}
}
