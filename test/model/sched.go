package model

import "slices"

// memory is what round robins remember: the destination that had the last turn, nil
// before any, and for wrr the level and what goes with it.
type memory struct {
	last             *Destination
	level, top, step int
}

// schedulers choose a destination for a new connection, nil for none.
var schedulers = map[string]func(*Service) *Destination{
	"rr":  (*Service).rr,
	"wrr": (*Service).wrr,
	"lc":  least(func(d *Destination) int { return load(d) }, func(*Destination) int { return 1 }),
	"wlc": least(load, weight),
	"sed": least(expected, weight),
	"nq":  (*Service).nq,
	"fo":  (*Service).fo,
	"ovf": (*Service).ovf,
}

// restart begins anew: the scheduler is new to the service.
func (s *Service) restart() {
	s.sched = memory{}
	if s.Scheduler == "wrr" {
		s.levels()
		s.sched.level = s.sched.top
	}
}

// changed follows a change of destinations or weights.
func (s *Service) changed() {
	if s.Scheduler != "wrr" {
		return
	}
	s.levels()
	m := &s.sched
	m.last = nil
	if m.level > m.top || m.level == 0 {
		m.level = m.top
	} else if m.step > 1 {
		m.level = m.level/m.step*m.step + 1
	}
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

// levels of wrr: the top one and how far one lies under the other.
func (s *Service) levels() {
	greatest, divisor := 0, 0
	for _, d := range s.Destinations {
		greatest = max(greatest, d.Weight)
		for a := d.Weight; a != 0; {
			divisor, a = a, divisor%a
		}
	}
	s.sched.step = max(1, divisor)
	s.sched.top = max(0, greatest-(s.sched.step-1))
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

func (s *Service) rr() *Destination {
	start := s.sched.last
	for range 2 {
		if d := s.next(func(d *Destination) bool { return d.Weight > 0 }); d != nil {
			return d
		}
		s.sched.last = nil
	}
	s.sched.last = start
	return nil
}

func (s *Service) wrr() *Destination {
	m := &s.sched
	if m.top == 0 {
		return nil
	}
	for {
		if d := s.next(func(d *Destination) bool { return d.Weight >= m.level }); d != nil {
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
func least(load, share func(*Destination) int) func(*Service) *Destination {
	return func(s *Service) (best *Destination) {
		for _, d := range s.Destinations {
			if d.Weight > 0 && (best == nil || load(best)*share(d) > load(d)*share(best)) {
				best = d
			}
		}
		return best
	}
}

// nq: the first that is idle, else as sed.
func (s *Service) nq() *Destination {
	for _, d := range s.Destinations {
		if d.Weight > 0 && d.Active == 0 {
			return d
		}
	}
	return least(expected, weight)(s)
}

// fo: the heaviest.
func (s *Service) fo() (best *Destination) {
	for _, d := range s.Destinations {
		if d.Weight > 0 && (best == nil || d.Weight > best.Weight) {
			best = d
		}
	}
	return best
}

// ovf: the heaviest that has not more active connections than its weight.
func (s *Service) ovf() (best *Destination) {
	for _, d := range s.Destinations {
		if d.Weight > 0 && d.Active <= d.Weight && (best == nil || d.Weight > best.Weight) {
			best = d
		}
	}
	return best
}
