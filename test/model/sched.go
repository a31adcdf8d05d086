package model

import (
	"net/netip"
	"slices"
)

// memory is what schedulers remember of a service.
type memory struct {
	last             *Destination // who had the last turn, nil before any
	level, top, step int          // of wrr
	places           []*Destination
	homes            homes
}

// schedulers choose a destination for a new connection, nil for none.
var schedulers = map[string]func(*Table, *Service, Packet) *Destination{
	"rr":    (*Table).rr,
	"wrr":   (*Table).wrr,
	"lc":    least(load, func(*Destination) int { return 1 }),
	"wlc":   least(load, weight),
	"sed":   least(expected, weight),
	"nq":    (*Table).nq,
	"fo":    (*Table).fo,
	"ovf":   (*Table).ovf,
	"dh":    (*Table).dh,
	"sh":    byClient(placeSH),
	"mh":    byClient(placeMH),
	"lblc":  (*Table).lblc,
	"lblcr": (*Table).lblcr,
	"twos":  (*Table).twos,
}

// prepare follows a change of destinations; or the scheduler is new to the service.
func (t *Table) prepare(s *Service, fresh bool) {
	if fresh {
		s.sched = memory{homes: homes{of: map[netip.Addr]*home{}, began: t.Now}}
	}
	switch s.Scheduler {
	case "wrr":
		s.levels(fresh)
	case "dh", "sh", "mh":
		s.sched.places = tables[s.Scheduler](s)
	}
}

// levels of wrr: the top one and how far one lies under the other. The turn begins
// again at the head of the list, at the level where it was if there is one.
func (s *Service) levels(fresh bool) {
	m := &s.sched
	greatest, divisor := 0, 0
	for _, d := range s.Destinations {
		greatest = max(greatest, d.Weight)
		divisor = gcd(d.Weight, divisor)
	}
	m.last, m.step = nil, max(1, divisor)
	m.top = max(0, greatest-(m.step-1))
	switch {
	case fresh || m.level > m.top || m.level == 0:
		m.level = m.top
	case m.step > 1:
		m.level = m.level/m.step*m.step + 1
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// forget follows the removal of the i-th destination: the turn was its neighbour's.
func (s *Service) forget(i int) {
	if s.sched.last != s.Destinations[i] {
		return
	}
	s.sched.last = nil
	if i > 0 {
		s.sched.last = s.Destinations[i-1]
	}
}

// next gives the turn to the first behind the last that may have it.
func (s *Service) next(may func(*Destination) bool) *Destination {
	from := slices.Index(s.Destinations, s.sched.last) + 1
	for _, d := range s.Destinations[from:] {
		if may(d) {
			s.sched.last = d
			return d
		}
	}
	return nil
}

func (t *Table) rr(s *Service, _ Packet) *Destination {
	start := s.sched.last
	for range 2 {
		if d := s.next((*Destination).usable); d != nil {
			return d
		}
		s.sched.last = nil
	}
	s.sched.last = start
	return nil
}

// wrr: if nobody may have a turn, the walk has come to the lowest level with the turn
// where it was, or from the head of the list all the way round.
func (t *Table) wrr(s *Service, _ Packet) *Destination {
	m := &s.sched
	if m.top == 0 {
		return nil
	}
	if !slices.ContainsFunc(s.Destinations, (*Destination).usable) {
		if m.level = 1; m.last == nil {
			m.level = m.top
		}
		return nil
	}
	for {
		if d := s.next(func(d *Destination) bool { return d.usable() && d.Weight >= m.level }); d != nil {
			return d
		}
		m.last = nil
		if m.level -= m.step; m.level <= 0 {
			m.level = m.top
		}
	}
}

func load(d *Destination) int     { return d.Active<<8 + d.Inactive }
func expected(d *Destination) int { return d.Active + 1 }
func weight(d *Destination) int   { return d.Weight }

// least takes the destination with the least load for its share; of equals the
// first.
func least(load, share func(*Destination) int) func(*Table, *Service, Packet) *Destination {
	return func(_ *Table, s *Service, _ Packet) (best *Destination) {
		for _, d := range s.Destinations {
			if d.usable() && (best == nil || load(best)*share(d) > load(d)*share(best)) {
				best = d
			}
		}
		return best
	}
}

// nq: the first that is idle, else as sed.
func (t *Table) nq(s *Service, p Packet) *Destination {
	for _, d := range s.Destinations {
		if d.usable() && d.Active == 0 {
			return d
		}
	}
	return least(expected, weight)(t, s, p)
}

// fo: the heaviest.
func (t *Table) fo(s *Service, _ Packet) (best *Destination) {
	for _, d := range s.Destinations {
		if d.usable() && (best == nil || d.Weight > best.Weight) {
			best = d
		}
	}
	return best
}

// ovf: the heaviest that has not more active connections than its weight.
func (t *Table) ovf(s *Service, _ Packet) (best *Destination) {
	for _, d := range s.Destinations {
		if d.usable() && d.Active <= d.Weight && (best == nil || d.Weight > best.Weight) {
			best = d
		}
	}
	return best
}

// twos: whoever is drawn twice, so any that may be drawn at all.
func (t *Table) twos(s *Service, _ Packet) *Destination {
	may := slices.DeleteFunc(slices.Clone(s.Destinations), func(d *Destination) bool { return !d.usable() })
	if len(may) == 0 {
		return nil
	}
	return t.Draw(may)
}
