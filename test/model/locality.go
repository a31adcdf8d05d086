package model

import (
	"net/netip"
	"slices"
	"time"
)

// homes are what lblc and lblcr remember: for an address one destination, or a set of
// them, the newest first.
type homes struct {
	of    map[netip.Addr]*home
	began time.Duration // with the scheduler
}

type home struct {
	members       []*Destination
	used, changed time.Duration
}

// of the address that a packet was sent to; nil if it has none yet.
func (s *Service) home(t *Table, p Packet) *home {
	h := s.sched.homes.of[p.Virtual.Addr()]
	if h != nil {
		h.used = t.Now
	}
	return h
}

// settle gives an address its first home.
func (s *Service) settle(t *Table, p Packet, d *Destination) {
	s.sched.homes.of[p.Virtual.Addr()] = &home{members: []*Destination{d}, used: t.Now, changed: t.Now}
}

const lookOver = 30 * time.Minute

// lookedOver is when homes were last looked over.
func (m *homes) lookedOver(t *Table) time.Duration {
	return m.began + (t.Now-m.began)/lookOver*lookOver
}

// lapse forgets homes that were unused for too long when they were last looked over,
// if that was since some moment.
func (s *Service) lapse(t *Table, since time.Duration) {
	at := s.sched.homes.lookedOver(t)
	for a, h := range s.sched.homes.of {
		if at > since && h.used+t.expiration(s) <= at {
			delete(s.sched.homes.of, a)
		}
	}
}

func (t *Table) expiration(s *Service) time.Duration {
	return time.Duration(t.Settings[s.Scheduler+"_expiration"]) * time.Second
}

// crowded reports whether one has more than it should while another is half idle.
func crowded(s *Service, d *Destination) bool {
	return d.Active > d.Weight &&
		slices.ContainsFunc(s.Destinations, func(o *Destination) bool { return o.Active*2 < o.Weight })
}

// lblc: an address stays where it was, unless it is crowded there.
func (t *Table) lblc(s *Service, p Packet) *Destination {
	if h := s.home(t, p); h != nil {
		if d := h.members[0]; d.there && d.Weight > 0 && !crowded(s, d) {
			return d
		}
	}
	d := least(load, weight)(t, s, p)
	if d != nil {
		s.settle(t, p, d)
	}
	return d
}

// lblcr: the least busy of the set, unless it is crowded there; then another joins. A
// set that has not changed for long loses its busiest.
func (t *Table) lblcr(s *Service, p Packet) *Destination {
	h := s.home(t, p)
	if h == nil {
		d := least(load, weight)(t, s, p)
		if d != nil {
			s.settle(t, p, d)
		}
		return d
	}
	d := h.leastBusy()
	if len(h.members) > 1 && t.Now > h.changed+t.expiration(s) {
		h.leave(h.busiest(), t.Now)
	}
	if d != nil && !crowded(s, d) {
		return d
	}
	if d = least(load, weight)(t, s, p); d != nil {
		h.join(d, t.Now)
	}
	return d
}

func (h *home) leastBusy() (best *Destination) {
	for _, d := range h.members {
		if d.there && d.usable() && (best == nil || load(best)*d.Weight > load(d)*best.Weight) {
			best = d
		}
	}
	return best
}

// busiest looks also at those that are gone.
func (h *home) busiest() (most *Destination) {
	for _, d := range h.members {
		if d.Weight > 0 && (most == nil || load(most)*d.Weight < load(d)*most.Weight) {
			most = d
		}
	}
	return most
}

func (h *home) leave(d *Destination, now time.Duration) {
	if i := slices.Index(h.members, d); i >= 0 {
		h.members, h.changed = slices.Delete(h.members, i, i+1), now
	}
}

func (h *home) join(d *Destination, now time.Duration) {
	if !slices.Contains(h.members, d) {
		h.members, h.changed = slices.Insert(h.members, 0, d), now
	}
}
