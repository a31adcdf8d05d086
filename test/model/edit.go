package model

import (
	"net/netip"
	"slices"
)

// Edits are those of ipvsadm that succeed: who calls them has looked whether what
// they name is there.

// AddService adds a service without destinations.
func (t *Table) AddService(k ServiceKey, c Config) {
	s := &Service{ServiceKey: k, Config: c}
	t.prepare(s, true)
	t.Services = append(t.Services, s)
}

// EditService gives a service another configuration. A scheduler that stays does not
// hear of it.
func (t *Table) EditService(k ServiceKey, c Config) {
	s := t.Find(k)
	fresh := s.Scheduler != c.Scheduler
	s.Config = c
	if fresh {
		t.prepare(s, true)
	}
}

// DeleteService removes a service and its destinations. Connections stay.
func (t *Table) DeleteService(k ServiceKey) {
	s := t.Find(k)
	for _, d := range s.Destinations {
		t.bury(s, d)
	}
	t.Services = slices.DeleteFunc(t.Services, func(o *Service) bool { return o == s })
	t.endOrphans()
}

// AddDestination adds a destination, the same one if it was there before and
// connections still know it.
func (t *Table) AddDestination(k ServiceKey, a Share) {
	s := t.Find(k)
	d := &Destination{}
	if i := slices.IndexFunc(t.gone[k], func(d *Destination) bool { return d.Addr == a.Addr }); i >= 0 {
		d = t.gone[k][i]
		t.gone[k] = slices.Delete(t.gone[k], i, i+1)
	}
	d.there, d.lastWeight = true, 0
	d.be(a)
	s.Destinations = slices.Insert(s.Destinations, 0, d)
	t.prepare(s, false)
}

// EditDestination gives a destination another method, weight and thresholds;
// connections keep the method they began with.
func (t *Table) EditDestination(k ServiceKey, a Share) {
	s := t.Find(k)
	s.Destination(a.Addr).be(a)
	t.prepare(s, false)
}

// be makes a destination what it is told to be.
func (d *Destination) be(a Share) {
	if a.Upper == 0 || a.Upper > d.Upper {
		d.overloaded = false
	}
	if a.Weight != 0 {
		d.lastWeight = a.Weight
	}
	d.Share = a
}

// DeleteDestination removes a destination. Its connections lead nowhere.
func (t *Table) DeleteDestination(k ServiceKey, a netip.AddrPort) {
	s := t.Find(k)
	i := slices.IndexFunc(s.Destinations, func(d *Destination) bool { return d.Addr == a })
	s.forget(i)
	t.bury(s, s.Destinations[i])
	s.Destinations = slices.Delete(s.Destinations, i, i+1)
	t.prepare(s, false)
	t.endOrphans()
}

func (t *Table) bury(s *Service, d *Destination) {
	d.there = false
	t.gone[s.ServiceKey] = append(t.gone[s.ServiceKey], d)
}
