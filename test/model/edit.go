package model

import (
	"net/netip"
	"slices"
)

// Edits are those of ipvsadm that succeed: who calls them has looked whether what
// they name is there.

// AddService adds a service without destinations.
func (t *Table) AddService(k ServiceKey, scheduler string) {
	s := &Service{ServiceKey: k, Scheduler: scheduler}
	s.restart()
	t.Services = append(t.Services, s)
}

// EditService gives a service a scheduler. One that stays does not hear of it.
func (t *Table) EditService(k ServiceKey, scheduler string) {
	s := t.Find(k)
	if s.Scheduler == scheduler {
		return
	}
	s.Scheduler = scheduler
	s.restart()
}

// DeleteService removes a service and its destinations. Connections stay.
func (t *Table) DeleteService(k ServiceKey) {
	s := t.Find(k)
	for _, d := range s.Destinations {
		t.bury(s, d)
	}
	t.Services = slices.DeleteFunc(t.Services, func(o *Service) bool { return o == s })
}

// AddDestination adds a destination, the same one if it was there before and
// connections still know it.
func (t *Table) AddDestination(k ServiceKey, a netip.AddrPort, m Method, weight int) {
	s := t.Find(k)
	d := &Destination{Addr: a}
	if i := slices.IndexFunc(t.gone[k], func(d *Destination) bool { return d.Addr == a }); i >= 0 {
		d = t.gone[k][i]
		t.gone[k] = slices.Delete(t.gone[k], i, i+1)
	}
	d.Method, d.Weight, d.there = m, weight, true
	s.Destinations = slices.Insert(s.Destinations, 0, d)
	s.changed()
}

// EditDestination gives a destination another method and weight; connections keep
// the method they began with.
func (t *Table) EditDestination(k ServiceKey, a netip.AddrPort, m Method, weight int) {
	s := t.Find(k)
	d := s.Destination(a)
	d.Method, d.Weight = m, weight
	s.changed()
}

// DeleteDestination removes a destination. Its connections lead nowhere.
func (t *Table) DeleteDestination(k ServiceKey, a netip.AddrPort) {
	s := t.Find(k)
	i := slices.IndexFunc(s.Destinations, func(d *Destination) bool { return d.Addr == a })
	s.forget(i)
	t.bury(s, s.Destinations[i])
	s.Destinations = slices.Delete(s.Destinations, i, i+1)
	s.changed()
}

func (t *Table) bury(s *Service, d *Destination) {
	d.there = false
	t.gone[s.ServiceKey] = append(t.gone[s.ServiceKey], d)
}
