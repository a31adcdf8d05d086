package model

import (
	"net/netip"
	"slices"
	"strings"
)

// Packet is one of a flow, or a server's answer to it.
type Packet struct {
	Flow
	Flags  string // of TCP; the chunk of SCTP
	Call   string // Call-ID of a message of SIP, "" of other packets
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
	if c != nil && t.outlived(c, p) {
		defer t.end(c) // it counts until the other has been chosen for
		c = nil
	}
	if c == nil {
		var fate Fate
		if c, fate = t.begin(p); fate != Sent {
			return fate, netip.AddrPort{}
		}
	}
	if !c.Destination.there {
		return Dropped, netip.AddrPort{}
	}
	t.step(c, p)
	if c.oneOff {
		t.end(c)
	}
	return Sent, c.Server
}

// awake reports whether a family has a service: without any, its connections sleep,
// and all its packets are the host's.
func (t *Table) awake(six bool) bool {
	return slices.ContainsFunc(t.Services, func(s *Service) bool { return s.Six() == six })
}

// reply passes what is a masqueraded connection's, translated; the rest is the
// host's to forward. An answer that comes from the VIP itself is seen on its way: over
// IPv6, as the host drops what comes from an address of its own over IPv4.
func (t *Table) reply(c *Conn, p Packet) Fate {
	switch {
	case c == nil:
		return Host
	case c.Method != Masquerade:
		if p.Server == c.Virtual && p.Server.Addr().Is6() {
			t.step(c, p)
			c.answered = true
		}
		return Host
	case c.Server != p.Server:
		return Host
	}
	t.step(c, p)
	return Sent
}

// opens reports whether a client opens a connection by the packet.
func (p Packet) opens() bool {
	return p.Proto == "tcp" && strings.Contains(p.Flags, "S") || p.Proto == "sctp" && p.Flags == "INIT"
}

// outlived reports whether a packet shall not meet the connection that it belongs to,
// but be as if there were none.
func (t *Table) outlived(c *Conn, p Packet) bool {
	d := c.Destination
	switch {
	case p.opens() && t.on("expire_nodest_conn") && d.Weight == 0:
		return true
	case p.opens() && t.on("conn_reuse_mode") && c.template == nil && c.over(t.Settings["conn_reuse_mode"]):
		return true // with a template it goes on
	case !d.there && t.on("expire_nodest_conn"):
		return true
	}
	return p.Proto == "udp" && t.on("expire_udp_on_quiescent") && (!d.there || d.Weight == 0)
}

// over reports whether both sides have said goodbye, or one reset it. Mode 2 takes a
// goodbye for both where only the client's is seen.
func (c *Conn) over(mode int) bool {
	switch c.State {
	case "TIME_WAIT", "CLOSE", "CLOSED":
		return true
	case "FIN_WAIT":
		return mode&2 != 0 && c.Method != Masquerade && !c.answered
	}
	return false
}

// starts reports whether a packet may begin a connection.
func (t *Table) starts(p Packet) bool {
	switch p.Proto {
	case "tcp":
		return (p.opens() || t.on("sloppy_tcp")) && !strings.Contains(p.Flags, "R")
	case "sctp":
		return (p.opens() || t.on("sloppy_sctp")) && p.Flags != "ABORT"
	}
	return true
}

// Service finds that of a packet: of its firewall mark, of its port, of FTP whose
// data may go to any port that is not another's by custom, of all ports.
func (t *Table) Service(p Packet) *Service {
	a, port := p.Virtual.Addr(), p.Virtual.Port()
	at := func(port uint16) *Service {
		return t.Find(ServiceKey{Proto: p.Proto, Addr: netip.AddrPortFrom(a, port)})
	}
	var s *Service
	if mark := t.Marks[a]; mark != 0 {
		s = t.Find(ServiceKey{Mark: mark, Mark6: a.Is6()})
	}
	if s == nil {
		s = at(port)
	}
	if s == nil && p.Proto == "tcp" && (port == portFTP-1 || port >= 1024) {
		s = at(portFTP)
	}
	if s == nil {
		s = at(0)
	}
	return s
}

// begin makes the connection of a first packet.
func (t *Table) begin(p Packet) (*Conn, Fate) {
	s := t.Service(p)
	if s == nil || !t.starts(p) {
		return nil, Host
	}
	if s.Persistent == 0 && s.Mark == 0 && !s.names(p) {
		return nil, Host // data of FTP that nobody knows of
	}
	if s.Persistent != 0 && s.Calls && p.Call == "" {
		return nil, Dropped
	}
	c := &Conn{Flow: p.Flow, State: "NONE", oneOff: s.OnePacket && p.Proto == "udp"}
	if c.Destination = t.choose(s, p, c); c.Destination == nil {
		if s.Addr.Port() == portFTP && !s.names(p) {
			return nil, Host
		}
		return nil, Refused
	}
	c.Method = c.Destination.Method
	c.Server = s.lead(c, p)
	t.born(c)
	return c, Sent
}

// names reports whether the service is that of the packet's port, and not of all.
func (s *Service) names(p Packet) bool { return p.Virtual.Port() == s.Addr.Port() }

// lead is where a connection leads. Only masquerading gives a packet another port, and
// that of a template for all ports none.
func (s *Service) lead(c *Conn, p Packet) netip.AddrPort {
	a := c.Destination.Addr
	if a.Port() == 0 || s.Persistent != 0 && !s.names(p) || c.Method != Masquerade {
		return netip.AddrPortFrom(a.Addr(), p.Virtual.Port())
	}
	return a
}

// choose asks the template of a persistent service, and where there is none the
// scheduler.
func (t *Table) choose(s *Service, p Packet, c *Conn) *Destination {
	if s.Persistent == 0 {
		return schedulers[s.Scheduler](t, s, p)
	}
	k := templateKey(s, p)
	if c.template = t.consult(k); c.template == nil {
		d := schedulers[s.Scheduler](t, s, p)
		if d == nil {
			return nil
		}
		c.template = t.remember(s, k, d)
	}
	return c.template.Destination
}
