package datapath_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

const patience = 2 * time.Second

// sides are the VIP, the servers and the clients of both families.
var sides = []struct{ vip, server, client string }{
	{"198.51.100.129", "203.0.113.%d", "192.0.2.%d"},
	{"2001:db8:2::81", "2001:db8:3::%d", "2001:db8:1::%d"},
}

// services are those at each VIP, by their port; each has a scheduler of another kind.
var services = []struct {
	proto, options, method string
	port                   uint16
}{
	{"-t", "-s wlc -p 600", "-m", 80},
	{"-t", "-s rr", "-g", 81},
	{"-t", "-s mh", "-m", 82},
	{"-u", "-s sh", "-m", 83},
	{"-u", "-s rr --ops", "-m", 84},
}

// moved is a director whose connections are moved to other tables.
type moved struct {
	*testing.T
	bed     *bed.Bed
	clients []client
}

// client is one end of a flow, and the server that it was given.
type client struct {
	packet bed.Packet // of the client
	method string
	server netip.Addr
	port   uint16 // of the server
	open   bool   // half-open alone
}

func newMoved(t *testing.T) *moved {
	m := &moved{T: t, bed: bed.New(t, ipvs.AttachTC)}
	for _, side := range sides {
		vip := netip.MustParseAddr(side.vip)
		for _, s := range services {
			at := s.proto + " " + netip.AddrPortFrom(vip, s.port).String()
			m.ipvsadm("-A " + at + " " + s.options)
			for n := 1; n <= 3; n++ {
				server := netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf(side.server, n)), s.port)
				if s.method == "-m" {
					server = netip.AddrPortFrom(server.Addr(), 8000+s.port)
				}
				m.ipvsadm(fmt.Sprintf("-a %s -r %s %s -w %d", at, server, s.method, n))
			}
		}
	}
	return m
}

func (m *moved) ipvsadm(line string) string {
	m.Helper()
	out, stderr, exit := m.bed.Ipvsadm(strings.Fields(line)...)
	if exit != 0 {
		m.Fatalf("ipvsadm %s: %s", line, stderr)
	}
	return out
}

// send sends a packet, and returns what comes out at the other side.
func (m *moved) send(p bed.Packet) bed.Seen {
	m.Helper()
	frame, err := p.Frame()
	if err != nil {
		m.Fatal(err)
	}
	in, out := m.bed.Client, m.bed.Server
	if p.FromServer() {
		in, out = out, in
	}
	if err := in.Send(frame); err != nil {
		m.Fatal(err)
	}
	got, err := out.Receive(patience)
	if err != nil || got == nil {
		m.Fatalf("%+v: nothing comes out (%v)", p, err)
	}
	seen, err := bed.Parse(got)
	if err != nil {
		m.Fatal(err)
	}
	return seen
}

// crowd opens flows of clients whose ports begin with first: of every kind, and some
// whose server has not answered.
func (m *moved) crowd(first uint16) {
	m.Helper()
	for _, side := range sides {
		for _, s := range services {
			for n := range uint16(6) {
				c := client{
					packet: bed.Packet{Proto: map[string]string{"-t": "tcp", "-u": "udp"}[s.proto], Src: netip.MustParseAddr(fmt.Sprintf(side.client, 10+n)),
						Sport: first + n, Dst: netip.MustParseAddr(side.vip), Dport: s.port, Len: 10},
					method: s.method, open: n == 5 && s.proto == "-t",
				}
				opening := c.packet
				if s.proto == "-t" {
					opening.Flags = "S"
				}
				seen := m.send(opening)
				c.server, c.port = seen.To, seen.Dst.Port()
				if !c.open && s.options != "-s rr --ops" {
					m.answer(c, "SA")
					m.ask(c)
				}
				if !c.open && s.options != "-s rr --ops" {
					m.clients = append(m.clients, c)
				}
			}
		}
	}
}

// ask sends a packet of the client, which is to come to its server.
func (m *moved) ask(c client) {
	m.Helper()
	p := c.packet
	if p.Proto == "tcp" {
		p.Flags = "PA"
	}
	if seen := m.send(p); seen.To != c.server || seen.Dst.Port() != c.port {
		m.Fatalf("%v:%d to %v:%d: came to %v, and its server is %v", p.Src, p.Sport, p.Dst, p.Dport, seen, c.server)
	}
}

// answer sends an answer of the server, where it comes by here.
func (m *moved) answer(c client, flags string) {
	m.Helper()
	if c.method != "-m" {
		return
	}
	p := bed.Packet{Proto: c.packet.Proto, From: "server", Src: c.server, Sport: c.port, Dst: c.packet.Src, Dport: c.packet.Sport, Flags: flags}
	if p.Proto == "udp" {
		p.Flags = ""
	}
	want := netip.AddrPortFrom(c.packet.Dst, c.packet.Dport)
	if seen := m.send(p); seen.Src != want {
		m.Fatalf("an answer of %v:%d: came as %v, want it from %v", c.server, c.port, seen, want)
	}
}

// talk has all clients ask and be answered.
func (m *moved) talk() {
	m.Helper()
	for _, c := range m.clients {
		m.ask(c)
		m.answer(c, "A")
	}
}

// fill makes so many flows of UDP.
func (m *moved) fill(n int) {
	m.Helper()
	p := bed.Packet{Proto: "udp", Src: netip.MustParseAddr("192.0.2.200"), Dst: netip.MustParseAddr(sides[0].vip), Dport: 83}
	for p.Sport = 10_000; int(p.Sport) < 10_000+n; p.Sport++ {
		frame, err := p.Frame()
		if err != nil {
			m.Fatal(err)
		}
		if err := m.bed.Client.Send(frame); err != nil {
			m.Fatal(err)
		}
		if p.Sport%64 == 0 {
			m.drain()
		}
	}
	m.drain()
}

// drain takes frames that nobody waits for off the cable.
func (m *moved) drain() {
	m.Helper()
	for frame := []byte{0}; frame != nil; {
		var err error
		if frame, err = m.bed.Server.Receive(0); err != nil {
			m.Fatal(err)
		}
	}
}

// whole is what the table says of itself, but for times.
func (m *moved) whole() string {
	m.Helper()
	var conns []string
	for c, err := range m.bed.Table().Conns() {
		if err != nil {
			m.Fatal(err)
		}
		c.Expires = 0
		conns = append(conns, fmt.Sprintf("%+v", c))
	}
	slices.Sort(conns)
	status, err := m.bed.Table().Status()
	if err != nil {
		m.Fatal(err)
	}
	return strings.Join(slices.Concat([]string{
		m.ipvsadm("-S -n"), m.ipvsadm("-L -n"), m.ipvsadm("-L -n --stats --exact"), m.ipvsadm("-L --timeout"),
		fmt.Sprintln(status.Counters), fmt.Sprintln(status.HalfOpen),
	}, conns), "\n")
}

// same fails if the table says other things than it did.
func (m *moved) same(what, before string) {
	m.Helper()
	after := m.whole()
	if after == before {
		return
	}
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			m.Fatalf("%s: the table said\n%s\nand says\n%s", what, was[i], is[i])
		}
	}
	m.Fatalf("%s: the table said %d lines and says %d", what, len(was), len(is))
}

// ends fails unless all connections end by their time, and are counted no more.
func (m *moved) ends() {
	m.Helper()
	for range 6 {
		if err := m.bed.Advance(time.Hour); err != nil {
			m.Fatal(err)
		}
	}
	for c := range m.bed.Table().Conns() {
		m.Errorf("is left: %+v", c)
	}
	all, err := m.bed.Table().Services()
	if err != nil {
		m.Fatal(err)
	}
	for _, s := range all {
		for _, d := range s.Destinations {
			if d.Active|d.Inactive|d.Persistent != 0 {
				m.Errorf("%v of %v: %d active, %d inactive, %d persistent", d.Addr, s.ServiceKey, d.Active, d.Inactive, d.Persistent)
			}
		}
	}
	time.Sleep(300 * time.Millisecond) // the timer has seen the clock that was put forward
	status, err := m.bed.Table().Status()
	if err != nil || status.HalfOpen != 0 || status.Timer > time.Second {
		m.Errorf("%d half-open are counted, the timer ran %v ago (%v)", status.HalfOpen, status.Timer, err)
	}
}

func (m *moved) do(what string, act func() error) {
	m.Helper()
	began := time.Now()
	defer func() { m.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond)) }()
	if err := act(); err != nil {
		m.Fatalf("%s: %v", what, err)
	}
}

func TestATableIsTheSameInAnotherSizeAndLayout(t *testing.T) {
	m := newMoved(t)
	table := m.bed.Table()
	m.do("a setting", func() error { return table.SetSysctl("conn_reuse_mode", "2") })
	m.crowd(1000)
	m.ipvsadm("--set 1000 100 200")
	before := m.whole()
	m.do("to the same table", table.Upgrade)
	m.same("programs changed", before)
	m.do("to a larger table", func() error { return table.Resize(100_000) })
	m.same("the table is larger", before)
	m.fill(20_000)
	before = m.whole()
	if err := table.Resize(1); !errors.Is(err, ipvs.ErrNoSpace) {
		t.Errorf("a table that would not hold the connections there are: %v", err)
	}
	m.same("it was not made smaller", before)
	rules := m.ipvsadm("-S -n") + m.ipvsadm("-L --timeout")

	back := datapath.SetCollections(otherLayout(t))
	defer back()
	m.do("to another layout", table.Upgrade)
	if _, err := table.Services(); !errors.Is(err, ipvs.ErrLayout) {
		t.Errorf("a table of another layout was read as if it were this program's: %v", err)
	}
	at := ipvs.ServiceKey{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("198.51.100.130:80")}
	if err := table.AddService(ipvs.Service{ServiceKey: at, Scheduler: "rr"}); !errors.Is(err, ipvs.ErrLayout) {
		t.Errorf("it was edited: %v", err)
	}
	m.talk()
	m.crowd(2000)
	back()
	m.do("and back", table.Upgrade)
	if got := m.ipvsadm("-S -n") + m.ipvsadm("-L --timeout"); got != rules {
		t.Errorf("the rules were\n%s\nand are\n%s", rules, got)
	}
	if s, err := table.Sysctl("conn_reuse_mode"); err != nil || s.Value != "2" {
		t.Errorf("the setting is %s (%v)", s.Value, err)
	}
	m.talk()
	m.crowd(3000)
	m.talk()
	m.ends()
}
