package weight

import (
	"math"
	"time"
)

const (
	// gain is K·T, see the package comment.
	gain = 1.0 / 8
	// idle is ε, and the mean load up to which a pool has nothing to even out: the
	// gain rises from 0 there to its full value at busy.
	idle, busy = 0.02, 0.10
	// A load above full hides how much more is asked of the server: if the mean is
	// lower by room, it is taken to be as far off as push says. By the time that
	// this is seen to be over, in two or three times the smoothing, the weight has
	// fallen too far by less than room was left.
	full, room, push = 0.97, 0.12, 0.5
	// band is by how much of itself a weight has to move before the table is
	// edited, lest noise keeps it busy.
	band = 0.01
	// turned is by how much of the configured weight an answer has to turn round
	// to count as such; leastTrust is how little is believed at least, and
	// regained what an answer without a turn multiplies that by.
	turned     = 0.02
	leastTrust = 1.0 / 16
	regained   = 1.1
)

// member is what a Pool remembers of a server.
type member struct {
	Server
	reading Reading
	heard   bool          // a reading came
	fresh   time.Duration // how much time the readings stand for that no Step has used yet
	smooth  float64       // the smoothed value of readings in their unit
	trust   float64       // of the next answer; see the package comment
	way     float64       // the direction of the last answer
	exact   float64       // the weight, in configured units
	goal    float64       // where it goes
	shown   int           // what the table has been given
	known   bool          // exact and shown mean something
	seen    time.Time     // since when
}

// A Pool is the servers of a service and the controller of their weights. It is
// not safe for concurrent use.
type Pool struct {
	scale   int
	members []*member
	stepped time.Time
}

// Set says which servers there are now. Those that were there keep what is known
// of them.
func (p *Pool) Set(servers []Server, scheduler string) {
	p.scale = Scale(servers, scheduler)
	before := p.members
	p.members = make([]*member, len(servers))
	for i, s := range servers {
		m := find(before, s.Name)
		if m == nil {
			m = &member{trust: 1}
		}
		if m.known && (m.Weight != s.Weight || (m.Source == nil) != (s.Source == nil)) {
			m.known = false // its weight means something else now
			s.InTable = 0
		}
		m.Server = s
		p.members[i] = m
	}
}

// Clone is a pool that knows what this one does, and goes its own way.
func (p *Pool) Clone() *Pool {
	out := &Pool{scale: p.scale, stepped: p.stepped, members: make([]*member, len(p.members))}
	for i, m := range p.members {
		own := *m
		out.members[i] = &own
	}
	return out
}

func find(all []*member, name string) *member {
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Hear takes what the source of a server says. A reading that is not younger than
// the last says nothing. Times are those of time.Now, whose clock does not leap.
func (p *Pool) Hear(name string, r Reading) {
	m := find(p.members, name)
	if m == nil || m.Source == nil || m.heard && !r.At.After(m.reading.At) {
		return
	}
	gap := m.Source.Interval
	if m.heard {
		gap = min(r.At.Sub(m.reading.At), 2*gap)
	}
	if !m.heard || r.Unit != m.reading.Unit || r.At.Sub(m.reading.At) > m.Source.StaleAfter {
		m.smooth, m.trust, m.way = r.Value, 1, 0
	} else {
		m.follow(r.Value, gap)
	}
	m.reading, m.heard = r, true
	m.fresh = min(m.fresh+gap, 2*m.Source.Interval)
}

// follow moves the smoothed value by an answer that stands for so much time.
func (m *member) follow(value float64, gap time.Duration) {
	part := 1.0
	if t := m.Source.Smoothing; t > 0 {
		part = 1 - math.Exp(-gap.Seconds()/t.Seconds())
	}
	if m.reading.Unit == UnitLoad {
		m.smooth += part * (value - m.smooth)
		return
	}
	way := value - m.smooth
	if math.Abs(way) > turned*m.whole() {
		if way*m.way < 0 {
			m.trust = max(m.trust/2, leastTrust)
		} else {
			m.trust = min(m.trust*regained, 1)
		}
		m.way = way
	}
	m.smooth += part * m.trust * way
}

// whole is the configured weight in the unit of the reading.
func (m *member) whole() float64 {
	if m.reading.Unit == UnitPercent {
		return 100
	}
	return float64(m.Weight)
}

// Step is the weight of each server, in their order, at a time.
func (p *Pool) Step(now time.Time) []Weight {
	passed := now.Sub(p.stepped)
	if p.stepped.IsZero() || passed < 0 {
		passed = 0
	}
	p.stepped = now
	for _, m := range p.members {
		m.begin(p.scale, now)
	}
	mean := p.compare(now)
	all := make([]Weight, len(p.members))
	for i, m := range p.members {
		all[i] = p.decide(m, mean, now, passed)
	}
	return all
}

// begin gives a server that was not known its first weight.
func (m *member) begin(scale int, now time.Time) {
	if m.known {
		return
	}
	m.exact, m.known, m.seen = float64(m.Weight), true, now
	if m.Source != nil && m.InTable > 0 {
		floor, ceiling := limits(m.Server)
		m.exact = min(max(float64(m.InTable)/float64(scale), floor), ceiling)
	}
	m.goal, m.shown = m.exact, int(math.Round(m.exact*float64(scale)))
}

// silent says that what the source said last is too old, or that it has said
// nothing for as long.
func (m *member) silent(now time.Time) bool {
	last := m.seen
	if m.heard {
		last = m.reading.At
	}
	return m.Source != nil && now.Sub(last) > m.Source.StaleAfter
}

// ramp is the part that slow start gives.
func (m *member) ramp(now time.Time) float64 {
	age := now.Sub(m.Since)
	if m.SlowStart <= 0 || m.Since.IsZero() || age >= m.SlowStart {
		return 1
	}
	return max(age.Seconds()/m.SlowStart.Seconds(), 0)
}

// compares says that the load of a server can be compared with that of others.
func (m *member) compares(now time.Time) bool {
	return m.Source != nil && m.Weight > 0 && !m.Down && m.heard && m.reading.Unit == UnitLoad &&
		!m.silent(now) && !m.reading.Drain && !m.reading.Down && m.ramp(now) == 1
}

// A mean is what loads are compared with: log(U+ε) and log(C/W) of the package
// comment, and how many servers it is of.
type mean struct {
	load, sum float64
	of        int
}

func (p *Pool) compare(now time.Time) (out mean) {
	var configured, weights float64
	for _, m := range p.members {
		if m.compares(now) {
			out.of++
			configured += float64(m.Weight)
			weights += m.exact
			out.load += m.exact * math.Log(m.smooth+idle)
		}
	}
	if out.of > 0 {
		out.load /= weights
		out.sum = math.Log(configured / weights)
	}
	return out
}

// worth is the part of the gain that a mean load is worth.
func (m mean) worth() float64 {
	load := math.Exp(m.load) - idle
	return min(max((load-idle)/(busy-idle), 0), 1)
}

// decide moves a server's weight towards its goal.
func (p *Pool) decide(m *member, mean mean, now time.Time, passed time.Duration) Weight {
	out := Weight{Name: m.Name, Reading: m.reading}
	why := m.aim(mean, now)
	switch {
	case m.Source == nil || m.Weight == 0 || m.Down:
		m.exact = m.goal
	case why == Drained || why == Down:
		m.exact = m.floor() // from where it rises when it is wanted again
	default:
		why = m.move(why, passed)
	}
	out.Exact, out.Goal, out.Reason = m.exact, m.goal, why
	if why == Drained || why == Down || why == Off {
		out.Exact, out.Goal, m.shown = 0, 0, 0
		return out
	}
	if r := m.ramp(now); r < 1 {
		out.Exact, out.Reason = m.exact*r, SlowStart
		out.Table = max(int(out.Exact*float64(p.scale)), 1)
		m.shown = out.Table
		return out
	}
	scaled := m.exact * float64(p.scale)
	settled := why != Told && why != ByLoad && why != Rate
	if settled || math.Abs(scaled-float64(m.shown)) > max(0.75, band*scaled) {
		m.shown = int(math.Round(scaled))
	}
	m.shown = max(m.shown, 1)
	out.Table = m.shown
	return out
}

// none says that an agent gives 0%, which drains as a weight of 0 does with HAProxy.
func (m *member) none() bool {
	return m.Source != nil && m.Source.Kind == "agent" && m.reading.Unit == UnitPercent && m.reading.Value == 0
}

func (m *member) floor() float64 { floor, _ := limits(m.Server); return floor }

// aim sets the goal, and says why it is that.
func (m *member) aim(mean mean, now time.Time) Reason {
	fresh := m.fresh
	m.fresh = 0
	configured := float64(m.Weight)
	for _, row := range []struct {
		is   bool
		goal float64
		why  Reason
	}{
		{m.Weight == 0, 0, Off},
		{m.Down, m.exact, Down},
		{m.Source == nil, configured, Configured},
		{m.silent(now), configured, Stale},
		{!m.heard, m.exact, Waiting},
		{m.reading.Down, 0, Down},
		{m.reading.Drain || m.none(), 0, Drained},
		{m.reading.Unit == UnitPercent, configured * m.smooth / 100, Told},
		{m.reading.Unit == UnitWeight, m.smooth, Told},
		{m.reading.Unit != UnitLoad, configured, Configured},
		{m.ramp(now) < 1, m.exact, ByLoad},
		{mean.of < 2, configured, Alone},
	} {
		if row.is {
			m.goal = row.goal
			return row.why
		}
	}
	if fresh > 0 {
		e := mean.load - math.Log(m.smooth+idle)
		if m.smooth > full && e < -room {
			e = min(e, -push)
		}
		e = (e + mean.sum) * mean.worth()
		t := max(m.Source.Smoothing, 2*m.Source.Interval)
		m.goal = m.exact * math.Exp(gain*fresh.Seconds()/t.Seconds()*e)
	}
	return ByLoad
}

// move brings the weight nearer to its goal, within its bounds, and says which
// of them held it.
func (m *member) move(why Reason, passed time.Duration) Reason {
	floor, ceiling := limits(m.Server)
	to := m.goal
	switch {
	case to < floor:
		to, why = floor, AtFloor
	case to > ceiling:
		to, why = ceiling, AtCeiling
	}
	intervals := min(passed.Seconds()/m.Source.Interval.Seconds(), 2)
	most := float64(m.Weight) * float64(m.Source.MaxChange) / 100 * intervals
	if math.Abs(to-m.exact) <= most+1e-9 {
		m.exact = to
		return why
	}
	m.exact += math.Copysign(most, to-m.exact)
	if why == Stale {
		return Stale
	}
	return Rate
}
