package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
	"github.com/evs-project/evs/ipvs"
)

// A pool is a service of the file, with what is known and thought of its servers.
type pool struct {
	config.Service // with the servers that were found
	file           config.Service
	keys           []ipvs.ServiceKey
	members        []*member
	weights        *weight.Pool
	outliers       *health.Outliers           // nil if nobody looks at what the data path sees
	ejected        map[string]health.Ejection // by the names of members
	// had says that it has its quorum, hooked that the hook for that has been run.
	had, hooked bool
	thought     bool // it has been blended before
	since       time.Time
	now         blended
	scale       int                // from weights of the file to those of the table
	specs       []ipvs.ServiceSpec // what the table is to hold
	// dirty says that something is known of it that was not thought about, unwritten
	// that the table was not given what follows.
	dirty, unwritten bool
}

// A member is a server of a pool.
type member struct {
	config.Destination
	name   string
	found  bool   // it is not written in the file
	checks []task // in the order of its Check
	judged bool   // the rest is known
	up     bool   // by its checks, and by what operators say
	since  time.Time
	rose   time.Time // when it came up, zero if it was when it was first seen
	// inTable is the weight that the table had when it was first seen.
	inTable int
}

// A task is a check of a member: its name, and where it begins.
type task struct {
	key   string
	spec  health.Spec
	place string // in the file
}

// A table is the services that there are, by their keys.
type table map[ipvs.ServiceKey]ipvs.ServiceInfo

func tableOf(services []ipvs.ServiceInfo) table {
	t := make(table, len(services))
	for _, s := range services {
		t[s.ServiceKey] = s
	}
	return t
}

// newPool makes a pool of a service of the file and the servers that were found for it.
// What is known of the pool as it was before stays known; of one that is new, the table
// tells how its servers stand until checks have spoken: a director that starts anew
// must not bring back what the last one had found dead.
func newPool(s config.Service, found []config.Destination, was *pool, have table, now time.Time) *pool {
	p := &pool{Service: s, file: s, keys: s.Keys(), weights: &weight.Pool{}, since: now}
	p.Destinations = slices.Concat(s.Destinations, found)
	if was != nil {
		p.weights, p.had, p.hooked, p.thought, p.since = was.weights.Clone(), was.had, was.hooked, was.thought, was.since
	}
	p.watch(was)
	info, served := have.first(p.keys)
	for i, d := range p.Destinations {
		m := &member{Destination: d, name: d.Address.String(), found: i >= len(s.Destinations), since: now}
		old := was.member(m.name)
		weight, listed := weightOf(info, d.Destination(info.ServiceKey).Addr)
		switch {
		case old != nil:
			m.judged, m.up, m.since, m.rose, m.inTable = old.judged, old.up, old.since, old.rose, old.inTable
		case was == nil && served:
			m.inTable = int(weight)
		}
		for j, spec := range d.Check {
			t := task{key: fmt.Sprintf("%s %s %s/%d", p.Name, m.name, spec.Kind, j), spec: spec.WithDefaults()}
			if kept := old.task(t.key); kept != nil {
				t.spec.Start = kept.spec.Start
			} else if was == nil && served && d.Weight > 0 {
				t.spec.Start = startOf(d, weight, listed)
			}
			if j < len(d.Places) {
				t.place = d.Places[j].String()
			}
			m.checks = append(m.checks, t)
		}
		p.members = append(p.members, m)
	}
	if was == nil && served {
		p.had = !p.mourns(info)
	}
	return p
}

// startOf is what a server is taken for whose weight the table tells. One that rests
// there, and would not be there if it was down, is drained.
func startOf(d config.Destination, weight int32, listed bool) string {
	if weight > 0 || listed && !d.Inhibit && !viaVIP(d) {
		return health.StartUp
	}
	return health.StartDown
}

// mourns says that the sorry server stands in.
func (p *pool) mourns(info ipvs.ServiceInfo) bool {
	sorry, ok := p.Sorry()
	if !ok {
		return false
	}
	weight, _ := weightOf(info, sorry.Destination(info.ServiceKey).Addr)
	return weight > 0
}

// first is the first of the services that is there.
func (t table) first(keys []ipvs.ServiceKey) (ipvs.ServiceInfo, bool) {
	for _, k := range keys {
		if info, ok := t[k]; ok {
			return info, true
		}
	}
	return ipvs.ServiceInfo{}, false
}

func weightOf(s ipvs.ServiceInfo, at netip.AddrPort) (int32, bool) {
	for _, d := range s.Destinations {
		if d.Addr == at {
			return d.Weight, true
		}
	}
	return 0, false
}

func (p *pool) member(name string) *member {
	if p == nil {
		return nil
	}
	for _, m := range p.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

func (m *member) task(key string) *task {
	if m == nil {
		return nil
	}
	for i := range m.checks {
		if m.checks[i].key == key {
			return &m.checks[i]
		}
	}
	return nil
}

// moves says that weights change with time alone.
func (p *pool) moves(now time.Time) bool {
	for _, m := range p.members {
		if m.WeightSource != nil || m.SlowStart > 0 && !m.rose.IsZero() && now.Sub(m.rose) < m.SlowStart+2*beat {
			return true
		}
	}
	return false
}

// A turn is something that became of a pool: a server came up or went down, the
// quorum was lost or is there again.
type turn struct {
	server *member // nil for the quorum
	up     bool
	why    string
	// first says that it has always been so, as far as this process knows.
	first bool
}

// think blends what is known now, and says what has turned. states are those of all
// tasks, words what operators say of a server at a key.
func (p *pool) think(states map[string]health.State, words func(ipvs.ServiceKey, netip.AddrPort) word, now time.Time) (turns []turn) {
	all := make([]condition, len(p.members))
	servers := make([]weight.Server, len(p.members))
	for i, m := range p.members {
		c := conditionOf(m.Destination, m.states(states, now), p.words(m, words))
		p.eject(m, &c)
		if turned := m.become(c, now); turned {
			turns = append(turns, turn{server: m, up: m.up, why: c.Why})
		}
		all[i] = c
		servers[i] = weight.Server{
			Name: m.name, Weight: int32(health.Judge(int(m.Weight), m.states(states, now)).Weight), Source: m.WeightSource,
			Down: !c.Member.Up, Since: m.rose, SlowStart: m.SlowStart, InTable: m.inTable,
		}
	}
	p.weights.Set(servers, string(p.Scheduler))
	p.scale = weight.Scale(servers, string(p.Scheduler))
	p.now = blend(p.Rules(), p.had, all, p.weights.Step(now), p.scale)
	if p.now.Turned {
		p.had, p.since = p.now.Quorum, now
	}
	if p.had != p.hooked {
		turns = append(turns, turn{nil, p.had, fmt.Sprintf("weight %d is up, the quorum is %d", p.now.Live, max(p.Quorum, 1)), !p.thought})
		p.hooked = p.had
	}
	p.thought = true
	p.specs = p.place(words)
	return turns
}

// become takes over what a server is, and says whether that is news.
func (m *member) become(c condition, now time.Time) (turned bool) {
	turned = m.judged && m.up != c.Member.Up
	if m.up != c.Member.Up {
		m.up, m.since = c.Member.Up, now
	}
	if turned {
		m.rose = time.Time{}
		if m.up {
			m.rose = now
		}
	}
	m.judged = true
	return turned
}

// place is what the table is to hold. What an operator says of one address of the
// service alone has its effect there.
func (p *pool) place(words func(ipvs.ServiceKey, netip.AddrPort) word) (specs []ipvs.ServiceSpec) {
	for _, k := range p.keys {
		v := p.now.Verdict
		v.Places = slices.Clone(v.Places)
		for i, m := range p.members {
			w := words(k, m.Destination.Destination(k).Addr)
			switch at := &v.Places[i]; {
			case w.Drained != "":
				at.Weight = 0
			case w.Weight != nil && at.Weight > 0:
				at.Weight = int(*w.Weight) * p.scale
			}
		}
		specs = append(specs, p.Placed(k, v))
	}
	return specs
}

// words is what operators say of a server of the pool as a whole: what they say of it at
// every address. What it is taken for is one for all.
func (p *pool) words(m *member, words func(ipvs.ServiceKey, netip.AddrPort) word) word {
	out := words(p.keys[0], m.Destination.Destination(p.keys[0]).Addr)
	for _, k := range p.keys[1:] {
		w := words(k, m.Destination.Destination(k).Addr)
		if w.Drained == "" {
			out.Drained = ""
		}
		if w.Weight == nil {
			out.Weight = nil
		}
		if out.Up == nil {
			out.Up = w.Up
		}
	}
	return out
}

// states are those of a member's checks, in their order.
func (m *member) states(all map[string]health.State, now time.Time) []health.State {
	states := make([]health.State, len(m.checks))
	for i, t := range m.checks {
		var known bool
		if states[i], known = all[t.key]; !known {
			states[i] = health.StateOf(t.spec, now)
		}
	}
	return states
}
