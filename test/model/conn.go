package model

import (
	"net/netip"
	"time"
)

// Flow is a connection's identity, as its client's packets show it.
type Flow struct {
	Proto           string
	Client, Virtual netip.AddrPort
}

// Conn is a connection.
type Conn struct {
	Flow
	Destination *Destination
	Server      netip.AddrPort // where it leads
	Method      Method         // when it began
	State       string
	Expires     time.Duration
	template    *Template // that holds it
	active      bool
	answered    bool // the server's answers come by, though they need not
	oneOff      bool // it ends with its first packet
}

// count moves the connection's destination's counts.
func (c *Conn) count(by int) {
	if c.active {
		c.Destination.Active += by
	} else {
		c.Destination.Inactive += by
	}
}

// born counts a connection in.
func (t *Table) born(c *Conn) {
	c.count(1)
	c.Destination.came()
	if c.template != nil {
		c.template.held++
	}
	t.Conns[c.Flow] = c
}

// end counts it out.
func (t *Table) end(c *Conn) {
	c.count(-1)
	c.Destination.left()
	if c.template != nil {
		c.template.held--
	}
	if t.Conns[c.Flow] == c { // and not another that has its place
		delete(t.Conns, c.Flow)
	}
}

// endOrphans ends what leads to a destination that is not there, if the settings say
// so.
func (t *Table) endOrphans() {
	if !t.on("expire_nodest_conn") {
		return
	}
	for _, c := range t.Conns {
		if !c.Destination.there {
			t.end(c)
		}
	}
	t.endTemplates(func(e *Template) bool { return !e.Destination.there && e.held == 0 })
}

// came follows the birth of a connection or template: whoever reaches the upper
// threshold is overloaded.
func (d *Destination) came() {
	if d.Upper > 0 && d.Active+d.Inactive >= d.Upper {
		d.overloaded = true
	}
}

// left follows the death of one: until it has fewer than its lower threshold, or
// where it has none than three quarters of the upper.
func (d *Destination) left() {
	total := d.Active + d.Inactive
	if d.Lower > 0 && total < d.Lower || d.Lower == 0 && total*4 < d.Upper*3 || d.Upper == 0 {
		d.overloaded = false
	}
}

// usable reports whether it may get a new connection.
func (d *Destination) usable() bool { return d.Weight > 0 && !d.overloaded }
