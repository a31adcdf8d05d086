package model_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/evs-project/evs/test/model"
)

// What random steps are made of: few of each, so that they meet.
var (
	services = []model.ServiceKey{
		{Proto: "tcp", Addr: netip.MustParseAddrPort("198.51.100.129:80")},
		{Proto: "tcp", Addr: netip.MustParseAddrPort("198.51.100.130:443")},
		{Proto: "udp", Addr: netip.MustParseAddrPort("198.51.100.129:80")},
		{Proto: "tcp", Addr: netip.MustParseAddrPort("[2001:db8:2::81]:80")},
		{Proto: "udp", Addr: netip.MustParseAddrPort("[2001:db8:2::82]:53")},
	}
	schedulers = []string{"rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf"}
	methods    = []model.Method{model.Masquerade, model.Direct, model.Tunnel}
	weights    = []int{0, 1, 1, 1, 2, 3, 4, 6, 10}
	flags      = []string{"S", "S", "S", "SA", "A", "A", "PA", "FA", "F", "R", "RA", ""}
	pauses     = []time.Duration{1, 5, 15, 40, 70, 130, 400, 1000} // seconds
)

const (
	servers = 5
	clients = 8
)

// server is the n-th of a family, client likewise.
func server(n int, six bool, port uint16) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{203, 0, 113, byte(n + 1)})
	if six {
		a = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 3, 15: byte(n + 1)})
	}
	return netip.AddrPortFrom(a, port)
}

func client(n int, six bool) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + n)})
	if six {
		a = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 15: byte(10 + n)})
	}
	return netip.AddrPortFrom(a, uint16(4000+n%3))
}

// dice draws steps that make sense where the model is.
type dice struct{ *rand.Rand }

func one[T any](d dice, of []T) T { return of[d.IntN(len(of))] }

// step draws the next one.
func (d dice) step(t *model.Table) op {
	switch n := d.IntN(100); {
	case n < 20 || len(t.Services) == 0:
		for {
			if e := d.edit(); e.possible(t) {
				return op{edit: &e}
			}
		}
	case n < 28:
		return op{advance: d.pause(t)}
	}
	p := d.packet(t)
	return op{packet: &p}
}

// verbs are drawn by how many there are of each.
var verbs = []string{"-A", "-A", "-E", "-D", "-a", "-a", "-a", "-a", "-e", "-e", "-e", "-d", "-d"}

func (d dice) edit() edit {
	k := one(d, services)
	e := edit{
		verb: one(d, verbs), service: k, scheduler: one(d, schedulers),
		method: one(d, methods), weight: one(d, weights),
	}
	port := k.Addr.Port()
	if e.method == model.Masquerade {
		// its own: two services that share a server's port cannot be told apart by its
		// answers to one client, in the kernel neither
		port = uint16(8000 + slices.Index(services, k))
	}
	e.server = server(d.IntN(servers), k.Addr.Addr().Is6(), port)
	return e
}

// pause draws a step of the clock after which no connection is just about to end, as
// the two clocks do not agree to the moment.
func (d dice) pause(t *model.Table) time.Duration {
	for {
		by, near := one(d, pauses)*time.Second, false
		for _, c := range t.Conns {
			left := c.Expires - t.Now - by
			near = near || left > -3*time.Second && left < 3*time.Second
		}
		if !near {
			return by
		}
	}
}

func (d dice) packet(t *model.Table) model.Packet {
	k := one(d, services)
	six := k.Addr.Addr().Is6()
	p := model.Packet{Flow: model.Flow{Proto: k.Proto, Client: client(d.IntN(clients), six), Virtual: k.Addr}}
	if k.Proto == "tcp" {
		p.Flags = one(d, flags)
	}
	c := t.Conns[p.Flow]
	if c == nil || d.IntN(3) > 0 {
		return p
	}
	p.Reply, p.Server = true, c.Destination.Addr
	return p
}
