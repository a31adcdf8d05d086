package model

import (
	"net/netip"
	"slices"
	"strings"
)

// Packet is one of a flow, or a server's answer to it.
type Packet struct {
	Flow
	Flags  string // of TCP
	Reply  bool
	Server netip.AddrPort // of a reply: who sends it
}

// Fate is what becomes of a packet.
type Fate string

// The fates.
const (
	Sent    Fate = "sent"
	Host    Fate = "left to the host"
	Refused Fate = "refused"
	Dropped Fate = "dropped"
)

// Packet lets one pass: its fate, and if it was sent to a server, which.
func (t *Table) Packet(p Packet) (Fate, netip.AddrPort) {
	if !t.awake(p.Virtual.Addr().Is6()) {
		return Host, netip.AddrPort{}
	}
	c := t.Conns[p.Flow]
	if p.Reply {
		return t.reply(c, p), netip.AddrPort{}
	}
	if c != nil && reopens(c, p) {
		t.end(c)
		c = nil
	}
	if c == nil {
		fate := t.begin(p, &c)
		if fate != Sent {
			return fate, netip.AddrPort{}
		}
	}
	if !c.Destination.there {
		return Dropped, netip.AddrPort{}
	}
	c.step(p, t.Now)
	return Sent, c.Destination.Addr
}

// awake reports whether a family has a service: without any, its connections sleep,
// and all its packets are the host's.
func (t *Table) awake(six bool) bool {
	return slices.ContainsFunc(t.Services, func(s *Service) bool { return s.Addr.Addr().Is6() == six })
}

// reply passes what is a masqueraded connection's, translated; the rest is the
// host's to forward.
func (t *Table) reply(c *Conn, p Packet) Fate {
	if c == nil || c.Method != Masquerade || c.Destination.Addr != p.Server {
		return Host
	}
	c.step(p, t.Now)
	return Sent
}

// reopens reports whether the client begins anew where the connection had ended.
func reopens(c *Conn, p Packet) bool {
	return p.Proto == "tcp" && strings.Contains(p.Flags, "S") &&
		(c.State == "TIME_WAIT" || c.State == "CLOSE")
}

// begin makes the connection of a first packet.
func (t *Table) begin(p Packet, out **Conn) Fate {
	s := t.Find(ServiceKey{p.Proto, p.Virtual})
	if s == nil {
		return Host
	}
	if p.Proto == "tcp" && (!strings.Contains(p.Flags, "S") || strings.Contains(p.Flags, "R")) {
		return Host
	}
	d := schedulers[s.Scheduler](s)
	if d == nil {
		return Refused
	}
	c := &Conn{Flow: p.Flow, Destination: d, Method: d.Method, State: "NONE"}
	c.count(1)
	t.Conns[p.Flow] = c
	*out = c
	return Sent
}
