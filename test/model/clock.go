package model

import "time"

// Advance lets time pass. Who calls it stops just after every moment that Next names,
// as a template that runs out then asks whether it holds connections still.
func (t *Table) Advance(by time.Duration) {
	since := t.Now
	t.Now += by
	for _, c := range t.Conns {
		if c.Expires <= t.Now {
			t.end(c)
		}
	}
	t.endTemplates(func(e *Template) bool { return e.Expires <= t.Now && !e.stays() })
	for _, s := range t.Services {
		s.lapse(t, since)
	}
}

// grace is how long after it ran out a template looks at what it holds.
const grace = 2500 * time.Millisecond

// Next is how long to let pass at once, of so much: until a template that holds
// connections has run out.
func (t *Table) Next(by time.Duration) time.Duration {
	for _, e := range t.Templates {
		if left := e.Expires + grace - t.Now; left > 0 && e.held > 0 {
			by = min(by, left)
		}
	}
	return by
}

// Delicate reports whether it would matter a good second later or earlier what is
// there when so much time has passed.
func (t *Table) Delicate(by time.Duration) bool {
	at := t.Now + by
	close := func(moment time.Duration) bool { return (moment - at).Abs() < 3*time.Second }
	for _, c := range t.Conns {
		if close(c.Expires) {
			return true
		}
	}
	for _, e := range t.Templates {
		if close(e.Expires) || e.Expires < at && close(e.Expires+(at-e.Expires+grace)/heldTime*heldTime) {
			return true
		}
	}
	for _, s := range t.Services {
		if s.delicate(t, at, close) {
			return true
		}
	}
	return false
}

// delicate asks the same of homes: they are just looked over, lapse just when they
// are, or a set is just about to lose a member.
func (s *Service) delicate(t *Table, at time.Duration, close func(time.Duration) bool) bool {
	m := &s.sched.homes
	if len(m.of) == 0 {
		return false
	}
	over := m.began + (at-m.began)/lookOver*lookOver
	if close(over) || close(over+lookOver) {
		return true
	}
	for _, h := range m.of {
		if (h.used+t.expiration(s)-over).Abs() < 3*time.Second || close(h.changed+t.expiration(s)) {
			return true
		}
	}
	return false
}
