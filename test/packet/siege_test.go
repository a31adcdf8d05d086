package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evs-project/evs/test/bed"
)

// target is a service to be flooded, and who uses it.
type target struct {
	setup       string
	vip, server netip.Addr
	network     netip.Addr // of the clients
	source      int        // where a frame has the last four bytes of its source address
	ports       int        // and its source port
}

var (
	target4 = target{
		"-A -t 198.51.100.129:80 -s rr\n-a -t 198.51.100.129:80 -r 203.0.113.1:8080 -m",
		vip, server, netip.MustParseAddr("192.0.2.0"), 26, 34,
	}
	target6 = target{
		"-A -t [2001:db8:2::81]:80 -s rr\n-a -t [2001:db8:2::81]:80 -r [2001:db8:3::1]:8080 -m",
		netip.MustParseAddr("2001:db8:2::81"), netip.MustParseAddr("2001:db8:3::1"), netip.MustParseAddr("2001:db8:1::"), 34, 54,
	}
)

// client is the nth of many clients: each has an address and port of its own.
func (x target) client(n int) (netip.Addr, uint16) {
	b := x.network.AsSlice()
	b[len(b)-1] = byte(n % 250) // those above are the director's
	addr, _ := netip.AddrFromSlice(b)
	return addr, uint16(1024 + n/250)
}

// to is a packet of the nth client, from the server's answer to it.
func (x target) to(flags string, n int) bed.Packet {
	p := bed.Packet{Proto: "tcp", Dst: x.vip, Dport: 80, Flags: flags}
	p.Src, p.Sport = x.client(n)
	return p
}

func (x target) from(flags string, n int) bed.Packet {
	p := bed.Packet{From: "server", Proto: "tcp", Src: x.server, Sport: 8080, Flags: flags}
	p.Dst, p.Dport = x.client(n)
	return p
}

// spoofs are SYNs that nobody sent, each from another source; none is that of a client.
type spoofs struct {
	target
	frame []byte
}

func (x target) spoofs(t *testing.T) spoofs {
	t.Helper()
	return spoofs{x, frameOf(t, x.to("S", 0), nil)}
}

// Of IPv6 there are addresses for all, of IPv4 few are set aside for documentation, and
// ports that no client has tell them apart.
const (
	firstSpoofedAddr = 1 << 24
	firstSpoofedPort = 32768
)

// nth is the frame of the nth, until the next. Its checksums are left as they were: they
// are the server's to look at.
func (s spoofs) nth(n int) []byte {
	if s.vip.Is6() {
		binary.BigEndian.PutUint32(s.frame[s.source:], uint32(firstSpoofedAddr+n))
		return s.frame
	}
	s.frame[s.source+3] = byte(n)
	binary.BigEndian.PutUint16(s.frame[s.ports:], uint16(firstSpoofedPort+n>>8))
	return s.frame
}

// number says which one a connection is of.
func (s spoofs) number(client netip.AddrPort) int {
	addr := client.Addr().AsSlice()
	if s.vip.Is6() {
		return int(binary.BigEndian.Uint32(addr[12:])) - firstSpoofedAddr
	}
	return (int(client.Port())-firstSpoofedPort)<<8 + int(addr[3])
}

// connect runs the packets with which the nth client opens a connection; the answer of a
// server comes between. It reports whether all were sent on.
func (r *runner) connect(x target, n int) (bool, error) {
	ok, err := r.knock(x, n)
	if !ok || err != nil {
		return false, err
	}
	return r.establish(x, n)
}

func (r *runner) knock(x target, n int) (bool, error) { return r.sends(x.to("S", n)) }

func (r *runner) establish(x target, n int) (bool, error) {
	if ok, err := r.sends(x.from("SA", n)); !ok || err != nil {
		return false, err
	}
	return r.sends(x.to("A", n))
}

func (r *runner) sends(p bed.Packet) (bool, error) {
	frame, err := p.Frame()
	if err != nil {
		return false, err
	}
	v, _, err := r.run(frame, p.FromServer())
	return v == send, err
}

// siege is a flood during which clients open connections.
type siege struct {
	target
	flood   int // spoofed SYNs
	threads int
	tries   int // clients that open a connection, from first on
	first   int
	trip    int // spoofed SYNs between a client's SYN and its ACK
	opened  atomic.Int64
}

// lay is what one of the threads does.
func (s *siege) lay(thread int, r *runner, guns spoofs) error {
	if thread >= s.threads {
		return nil
	}
	share, tries, trip := s.flood/s.threads, s.tries/s.threads, s.trip/s.threads
	step := (share - trip) / tries
	knocked := make([]bool, tries)
	for i := range share {
		if _, _, err := r.run(guns.nth(thread*share+i), false); err != nil {
			return err
		}
		if n := i / step; i%step == 0 && n < tries {
			ok, err := r.knock(s.target, s.first+thread*tries+n)
			if err != nil {
				return err
			}
			knocked[n] = ok
		}
		if n := (i - trip) / step; i >= trip && (i-trip)%step == 0 && n < tries && knocked[n] {
			ok, err := r.establish(s.target, s.first+thread*tries+n)
			if err != nil {
				return err
			}
			if ok {
				s.opened.Add(1)
			}
		}
	}
	return nil
}

// established is how many connections the listing has in that state.
func established(t *testing.T, b *bed.Bed) (n int) {
	t.Helper()
	for c, err := range b.Table().Conns() {
		if err != nil {
			t.Fatal(err)
		}
		if c.State == "ESTABLISHED" && !c.Template {
			n++
		}
	}
	return n
}

// flooded begins the tests of floods: a bed with a service of the target, and a runner.
func flooded(t *testing.T, d door, x target, conns int, more string) (*crowd, *runner) {
	t.Helper()
	b := bed.NewSized(t, d.mode, conns)
	commands(t, b, x.setup+more)
	return &crowd{T: t, bed: b, door: d}, newRunner(t, d, b)
}

// fire runs spoofed SYNs.
func (r *runner) fire(t *testing.T, guns spoofs, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if _, _, err := r.run(guns.nth(n), false); err != nil {
			t.Fatal(err)
		}
	}
}

// half is how much of the part for half-open connections is in use, how large it is,
// and how many were evicted.
func half(t *testing.T, b *bed.Bed, x target) (open, places int, evicted uint64) {
	t.Helper()
	s, err := b.Table().Status()
	if err != nil {
		t.Fatal(err)
	}
	if x.vip.Is6() {
		return s.HalfOpen, s.HalfOpenPlaces6, s.HalfOpenEvicted
	}
	return s.HalfOpen, s.HalfOpenPlaces, s.HalfOpenEvicted
}

func sources(x target, mode any) string {
	if x.vip.Is6() {
		return fmt.Sprintf("IPv6 by %v", mode)
	}
	return fmt.Sprintf("IPv4 by %v", mode)
}

// emptied puts the clock of the table forward, six times, until all has run out, and then
// wants no count to be left.
func emptied(t *testing.T, b *bed.Bed, by time.Duration) {
	t.Helper()
	for range 6 {
		if err := b.Advance(by); err != nil {
			t.Fatal(err)
		}
	}
	if n := entries(t, b, true) + entries(t, b, false); n > 0 {
		t.Errorf("%d connections and templates are left", n)
	}
	services, err := b.Table().Services()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		for _, d := range s.Destinations {
			if d.Active|d.Inactive|d.Persistent != 0 {
				t.Errorf("%s of %v: %d active, %d inactive, %d persistent", d.Addr, s.ServiceKey, d.Active, d.Inactive, d.Persistent)
			}
		}
	}
	if open, _, _ := half(t, b, target4); open != 0 {
		t.Errorf("%d half-open are counted, and there is none", open)
	}
}
