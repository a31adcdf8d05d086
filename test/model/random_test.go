package model_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/evs-project/evs/test/model"
)

// target is what packets are sent to.
type target struct {
	proto string
	addr  netip.AddrPort
}

// virtual is a service that there may be, and what packets for it are sent to.
type virtual struct {
	model.ServiceKey
	targets []target
}

// at is a service that has an address, and the ports that its packets go to.
func at(proto, addr string, ports ...uint16) virtual {
	a := netip.MustParseAddrPort(addr)
	v := virtual{ServiceKey: model.ServiceKey{Proto: proto, Addr: a}}
	for _, port := range ports {
		v.targets = append(v.targets, target{proto, netip.AddrPortFrom(a.Addr(), port)})
	}
	return v
}

// marked is a service of a firewall mark, whose packets go to addresses and ports of
// all protocols.
func marked(addrs string) virtual {
	p := netip.MustParsePrefix(addrs)
	v := virtual{ServiceKey: model.ServiceKey{Mark: mark, Mark6: p.Addr().Is6()}}
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		v.targets = append(v.targets, target{"tcp", netip.AddrPortFrom(a, 80)}, target{"udp", netip.AddrPortFrom(a, 53)})
	}
	v.targets = append(v.targets, target{"sctp", netip.AddrPortFrom(p.Addr(), 9)}, target{"tcp", netip.AddrPortFrom(p.Addr(), 443)})
	return v
}

const mark = 7

// What random steps are made of: few of each, so that they meet.
var (
	marks    = []string{"198.51.100.140/30", "2001:db8:2::140/126"}
	virtuals = []virtual{
		at("tcp", "198.51.100.129:80", 80),
		at("tcp", "198.51.100.130:443", 443),
		at("udp", "198.51.100.129:80", 80),
		at("sctp", "198.51.100.129:80", 80),
		at("tcp", "[2001:db8:2::81]:80", 80),
		at("udp", "[2001:db8:2::82]:53", 53),
		at("sctp", "[2001:db8:2::82]:53", 53),
		at("tcp", "198.51.100.150:0", 80, 2000, 21),
		at("udp", "198.51.100.150:0", 80, 2000),
		at("tcp", "[2001:db8:2::150]:0", 80, 2000),
		at("tcp", "198.51.100.150:80", 80),
		at("tcp", "198.51.100.151:21", 21, 2000, 80),
		at("tcp", "198.51.100.140:80", 80),
		marked(marks[0]),
		marked(marks[0]),
		marked(marks[1]),
	}
	schedulers = []string{"rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "dh", "sh", "mh", "lblc", "lblcr", "twos"}
	methods    = []model.Method{model.Masquerade, model.Direct, model.Tunnel}
	weights    = []int{0, 1, 1, 1, 2, 3, 4, 6, 10}
	uppers     = []int{0, 0, 0, 0, 1, 2, 3, 5}
	lasting    = []time.Duration{0, 0, 0, 0, 7, 47, 100, 360, 1000} // templates, in seconds
	masks      = map[bool][]string{
		false: {"255.255.255.255", "255.255.255.252", "255.255.255.0", "255.255.255.251", "255.255.0.253"},
		true:  {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc", "ffff:ffff:ffff:ffff::"},
	}
	flags = map[string][]string{
		"tcp": {"S", "S", "S", "SA", "A", "A", "PA", "FA", "F", "R", "RA", "SR", ""},
		"udp": {""},
		"sctp": {
			"INIT", "INIT", "INIT", "INIT_ACK", "COOKIE_ECHO", "COOKIE_ACK", "DATA", "SACK", "HEARTBEAT",
			"SHUTDOWN", "SHUTDOWN_ACK", "SHUTDOWN_COMPLETE", "ERROR", "ABORT",
		},
	}
	calls    = []string{"", "a@example.com", "b@example.com", "c"}
	pauses   = []time.Duration{1, 5, 15, 40, 70, 130, 400, 1000, 2000} // in seconds
	settings = []setting{
		{"conn_reuse_mode", 0}, {"conn_reuse_mode", 1}, {"conn_reuse_mode", 2},
		{"expire_nodest_conn", 0}, {"expire_nodest_conn", 1},
		{"expire_quiescent_template", 0}, {"expire_quiescent_template", 1},
		{"expire_udp_on_quiescent", 0}, {"expire_udp_on_quiescent", 1},
		{"secure_tcp", 0}, {"secure_tcp", 3},
		{"sloppy_tcp", 0}, {"sloppy_tcp", 1}, {"sloppy_sctp", 0}, {"sloppy_sctp", 1},
	}
	// expirations are set before anything else, if at all
	expirations = []setting{{"lblc_expiration", 300}, {"lblc_expiration", 1700}, {"lblcr_expiration", 60}, {"lblcr_expiration", 1700}}
	timeouts    = [][3]time.Duration{{900, 120, 300}, {300, 30, 50}, {1500, 60, 600}} // in seconds
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

func client(n int, six bool, port uint16) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + n)})
	if six {
		a = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 15: byte(10 + n)})
	}
	return netip.AddrPortFrom(a, port)
}

// dice draw steps that make sense where the model is, around some services.
type dice struct {
	*rand.Rand
	around []int // of virtuals
}

// roll gives the dice of a sequence.
func roll(seed, sequence uint64) dice {
	d := dice{Rand: rand.New(rand.NewPCG(seed, sequence))}
	d.around = d.Perm(len(virtuals))[:1+d.IntN(4)]
	return d
}

func one[T any](d dice, of []T) T { return of[d.IntN(len(of))] }

// step draws the next one.
func (d dice) step(t *model.Table, first bool) op {
	switch n := d.IntN(100); {
	case first:
		s := one(d, expirations)
		return op{setting: &s}
	case n < 20 || len(t.Services) == 0:
		for {
			if e := d.edit(); e.possible(t) {
				return op{edit: &e}
			}
		}
	case n < 28:
		if by := d.pause(t); by > 0 {
			return op{advance: by}
		}
	case n < 30:
		s := one(d, settings)
		return op{setting: &s}
	case n < 31:
		to := one(d, timeouts)
		for i := range to {
			to[i] *= time.Second
		}
		return op{timeouts: &to}
	}
	p := d.packet(t)
	return op{packet: &p}
}

// verbs are drawn by how many there are of each.
var verbs = []string{"-A", "-A", "-E", "-D", "-a", "-a", "-a", "-a", "-a", "-e", "-e", "-e", "-e", "-d", "-d"}

func (d dice) edit() edit {
	i := one(d, d.around)
	k := virtuals[i].ServiceKey
	e := edit{verb: one(d, verbs), service: k, config: d.config(k)}
	e.share = model.Share{Method: one(d, methods), Weight: one(d, weights), Upper: one(d, uppers)}
	e.share.Lower = d.IntN(e.share.Upper + 1)
	port := k.Addr.Port()
	if e.share.Method == model.Masquerade && (port != 0 || d.IntN(2) == 0) {
		// its own: two services that share a server's port cannot be told apart by its
		// answers to one client, in the kernel neither
		port = uint16(8000 + i)
	}
	six := k.Six()
	if e.share.Method == model.Tunnel && d.IntN(5) == 0 {
		six = !six
	}
	e.share.Addr = server(d.IntN(servers), six, port)
	return e
}

func (d dice) config(k model.ServiceKey) model.Config {
	c := model.Config{Scheduler: one(d, schedulers), Persistent: one(d, lasting) * time.Second}
	if c.Scheduler == "sh" || c.Scheduler == "mh" {
		c.Fallback, c.Port = d.IntN(2) == 0, d.IntN(2) == 0
	}
	if k.Mark == 0 && k.Addr.Port() == 0 && c.Persistent == 0 {
		c.Persistent = 100 * time.Second // where all ports are served it has to be
	}
	c.Mask = netip.MustParseAddr(one(d, masks[k.Six()]))
	c.Calls = k.Proto == "udp" && c.Persistent > 0 && d.IntN(3) == 0
	c.OnePacket = (k.Proto == "udp" || k.Mark != 0) && d.IntN(4) == 0
	return c
}

// pause draws a step of the clock after which nothing is just about to happen, as
// the two clocks do not agree to the moment; 0 if it finds none.
func (d dice) pause(t *model.Table) time.Duration {
	for range 10 {
		if by := one(d, pauses) * time.Second; !t.Delicate(by) {
			return by
		}
	}
	return 0
}

func (d dice) packet(t *model.Table) model.Packet {
	for try := 0; ; try++ {
		i := one(d, d.around)
		at := one(d, virtuals[i].targets)
		six := at.addr.Addr().Is6()
		n := d.IntN(clients)
		// ports differ by target, for the same reason as those of servers
		port := uint16(4000 + 10*(20*i+slices.Index(virtuals[i].targets, at)) + n%3)
		p := model.Packet{Flow: model.Flow{Proto: at.proto, Client: client(n, six, port), Virtual: at.addr}}
		p.Flags = one(d, flags[p.Proto])
		if p.Proto == "udp" {
			p.Call = one(d, calls)
		}
		c := t.Conns[p.Flow]
		if try < 5 && c == nil && t.Service(p) == nil {
			continue // few packets to nowhere
		}
		if c != nil && d.IntN(3) == 0 {
			p.Reply, p.Server = true, c.Server
			if c.Method != model.Masquerade && (d.IntN(2) == 0 || c.Server.Addr().Is6() != six) {
				p.Server = c.Virtual
			}
		}
		return p
	}
}
