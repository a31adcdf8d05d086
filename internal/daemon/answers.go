package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/evs-project/evs/internal/api"
	"github.com/evs-project/evs/internal/director"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/internal/weight"
	"github.com/evs-project/evs/ipvs"
)

var _ api.Director = (*Daemon)(nil)

// Status is how the daemon does.
func (d *Daemon) Status() (s api.Status) {
	_ = d.call(context.Background(), func() {
		h, load := d.history, d.runner.Load()
		s = api.Status{
			Version: d.Version, PID: os.Getpid(), Started: h.Started, Uptime: time.Since(h.Started).Seconds(),
			File: d.File, Reload: api.Reload{Good: h.Good, Count: h.Count, Tried: h.Tried},
			Checks: api.Checks{Tasks: load.Tasks, Active: load.Active, Started: load.Started, Late: load.Late, Worst: load.Worst.Seconds()},
		}
		if cookie, err := hostnet.Cookie(); err == nil {
			s.Namespace = fmt.Sprintf("%x", cookie)
		}
		if d.desired != nil {
			s.Files = append(s.Files, d.desired.Files...)
		}
		if h.Err != nil {
			s.Reload.Error = h.Err.Error()
		}
		for _, f := range d.faults.list() {
			s.Faults = append(s.Faults, api.Fault{What: f.What, Error: f.Err.Error(), Since: f.Since, Count: f.Count, Next: f.Next})
		}
	})
	return s
}

// Services are the services of the file and their servers.
func (d *Daemon) Services() (all []api.Service) {
	_ = d.call(context.Background(), func() {
		states := d.runner.States()
		services, _ := d.table.Services() // without them there are no connections
		have := tableOf(services)
		for _, p := range d.pools {
			all = append(all, p.answer(states, have))
		}
	})
	return all
}

// Reload reads the file anew and acts on it.
func (d *Daemon) Reload(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case d.loader.ask <- request{file: d.File, why: "asked to", done: done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-d.alive.Done():
		return errStopping
	}
}

var errStopping = errors.New("the director is stopping")

// Plan is what a reload would change.
func (d *Daemon) Plan(ctx context.Context) (plan listing.Plan, err error) {
	got, _ := read(request{file: d.File})
	if got.err != nil {
		return plan, got.err
	}
	failed := d.call(ctx, func() {
		var p proposal
		if p, err = d.propose(got.desired, time.Now()); err != nil {
			return
		}
		if err = director.Check(d.table, p.want); err != nil {
			return
		}
		var have director.Running
		if have, err = director.Read(d.table); err == nil {
			plan = director.Document(director.Plan(have, p.want))
		}
	})
	return plan, errors.Join(failed, err)
}

// answer is what the pool is to those who ask.
func (p *pool) answer(states map[string]health.State, have table) api.Service {
	s := api.Service{
		Name: p.Name, Scheduler: string(p.Scheduler), Up: p.had, Since: p.since, Quorum: max(p.Quorum, 1),
		Weight: p.now.Live, FailOpen: p.now.Open, Sorry: p.now.Sorry.Weight > 0,
	}
	for _, k := range p.keys {
		s.Addresses = append(s.Addresses, keep.Service{ServiceKey: k})
	}
	for i, m := range p.members {
		s.Destinations = append(s.Destinations, p.answerServer(m, p.now.servers[i], states, have))
	}
	if sorry, ok := p.Sorry(); ok {
		at := sorry.Destination(p.keys[0])
		given, listed := p.given(at)
		s.Destinations = append(s.Destinations, api.Destination{
			Address: keep.Server{AddrPort: at.Addr}, SorryOne: true, State: keep.Up, Since: p.since, Why: p.now.Sorry.Why,
			Listed: listed, Connections: p.connections(sorry.Destination, have),
			Weight: api.Weight{Configured: sorry.Weight, Now: float64(given), Table: given, Goal: float64(given), Reason: string(weight.Configured), About: weight.Configured.About()},
		})
	}
	return s
}

// given is the weight of a destination at the first address.
func (p *pool) given(at ipvs.Destination) (weight int32, listed bool) {
	for _, d := range p.specs[0].Destinations {
		if d.Addr == at.Addr {
			return d.Weight, true
		}
	}
	return 0, false
}

func (p *pool) answerServer(m *member, is standing, states map[string]health.State, have table) api.Destination {
	at := m.Destination.Destination(p.keys[0])
	d := api.Destination{
		Address: keep.Server{AddrPort: at.Addr}, Discovered: m.found, State: keep.Down, Since: m.since,
		Connections: p.connections(m.Destination.Destination, have), Terms: api.TermsOf(m.Drain),
	}
	if is.up {
		d.State = keep.Up
	} else {
		d.Why = is.Why
	}
	for _, t := range m.checks {
		d.Checks = append(d.Checks, answerCheck(t.spec, states[t.key]))
	}
	d.Weight = api.Weight{Configured: m.Weight, Goal: is.weight.Goal, Reason: string(is.weight.Reason), About: is.Why}
	d.Weight.Table, d.Listed = p.given(at)
	d.Weight.Now = float64(d.Weight.Table) / float64(max(p.scale, 1))
	if m.WeightSource != nil {
		d.Weight.Source = m.WeightSource.Kind
	}
	if r := is.weight.Reading; !r.At.IsZero() {
		d.Weight.Reading = &api.Reading{At: r.At, Value: r.Value, Unit: r.Unit, Drain: r.Drain, Down: r.Down, About: r.About}
	}
	return d
}

func answerCheck(spec health.Spec, st health.State) api.Check {
	c := api.Check{Kind: spec.Kind, Up: st.Up, Since: st.Since, Proved: st.Proved, Against: st.Against, Count: st.Count}
	if last, ok := st.Last(); ok {
		c.At, c.Good, c.Detail, c.Latency = last.At, last.Up, last.Detail, last.Latency.Seconds()
	}
	return c
}

// connections are those of a server at all addresses of the pool.
func (p *pool) connections(at func(ipvs.ServiceKey) ipvs.Destination, have table) (c api.Connections) {
	for _, k := range p.keys {
		addr := at(k).Addr
		for _, d := range have[k].Destinations {
			if d.Addr == addr {
				c.Active, c.Inactive, c.Persistent = c.Active+d.Active, c.Inactive+d.Inactive, c.Persistent+d.Persistent
			}
		}
	}
	return c
}
