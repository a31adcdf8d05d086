package model

import (
	"net/netip"
	"slices"
	"time"
)

// Template remembers where clients of a network were sent.
type Template struct {
	TemplateKey
	Destination *Destination
	Server      netip.AddrPort // what is shown of it
	Timeout     time.Duration
	Expires     time.Duration
	Assured     bool // a server has answered one of its connections
	Retired     bool // it leads nowhere any more
	held        int  // connections that it holds
}

// TemplateKey is what a template is found by.
type TemplateKey struct {
	Proto   string         // none of a firewall mark
	Client  netip.Addr     // the network
	Virtual netip.AddrPort // none of a firewall mark
	Mark    uint32
	Call    string // Call-ID
}

const portFTP = 21

// templateKey is that of a packet to a service. One template is for all ports of
// FTP, and of a service that has them all.
func templateKey(s *Service, p Packet) TemplateKey {
	k := TemplateKey{Client: network(p.Client.Addr(), s.Mask)}
	if s.Calls {
		k.Call = p.Call
	}
	if s.Mark != 0 {
		k.Mark = s.Mark
		return k
	}
	k.Proto, k.Virtual = p.Proto, netip.AddrPortFrom(p.Virtual.Addr(), 0)
	if p.Virtual.Port() == s.Addr.Port() && s.Addr.Port() != portFTP {
		k.Virtual = p.Virtual
	}
	return k
}

// network keeps the bits of an address that count.
func network(a, mask netip.Addr) netip.Addr {
	bits := a.AsSlice()
	for i, m := range mask.AsSlice() {
		bits[i] &= m
	}
	net, _ := netip.AddrFromSlice(bits)
	return net
}

// consult finds the template of a packet, which it makes last its time again; nil if
// the scheduler is to choose. One that leads nowhere is found no more.
func (t *Table) consult(k TemplateKey) *Template {
	i := slices.IndexFunc(t.Templates, func(e *Template) bool { return e.TemplateKey == k && !e.Retired })
	if i < 0 {
		return nil
	}
	e := t.Templates[i]
	if !e.Destination.there || e.Destination.Weight == 0 && t.on("expire_quiescent_template") {
		e.Retired = true
		e.Server = netip.AddrPortFrom(e.Server.Addr(), 0xffff)
		return nil
	}
	e.Expires = t.Now + e.Timeout
	return e
}

// remember makes a template of what the scheduler has chosen.
func (t *Table) remember(s *Service, k TemplateKey, d *Destination) *Template {
	e := &Template{TemplateKey: k, Destination: d, Timeout: s.Persistent, Expires: t.Now + s.Persistent}
	port := d.Addr.Port()
	if k.Virtual.Port() == 0 {
		port = 0
	}
	e.Server = netip.AddrPortFrom(d.Addr.Addr(), port)
	d.Persistent++
	d.came()
	t.Templates = append(t.Templates, e)
	return e
}

const heldTime = time.Minute

// stays lets a template that has run out stay as long as it holds connections, for
// another minute each time.
func (e *Template) stays() bool {
	if e.held == 0 {
		return false
	}
	e.Timeout = heldTime
	e.Expires += heldTime
	return true
}

func (t *Table) endTemplates(over func(*Template) bool) {
	t.Templates = slices.DeleteFunc(t.Templates, func(e *Template) bool {
		if !over(e) {
			return false
		}
		e.Destination.Persistent--
		e.Destination.left()
		return true
	})
}

// Twins reports whether there are two templates of one network to one destination, one
// of them retired: the data path cannot tell which of them holds a connection.
func (t *Table) Twins() bool {
	for i, a := range t.Templates {
		for _, b := range t.Templates[:i] {
			if a.TemplateKey == b.TemplateKey && a.Destination == b.Destination && (a.held > 0 || b.held > 0) {
				return true
			}
		}
	}
	return false
}
