// Package schedulers shows how each scheduler spreads load, on packets through the
// data path: in pictures for docs/schedulers, and where no recording of the kernel
// can tell, in tests. It never says what the kernel would do; recordings do.
package schedulers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

// scene is a director with a service of many addresses, as caches have: that of the
// firewall mark 1, which is given to all that is sent to 198.51.100.128/25.
type scene struct {
	*testing.T
	bed *bed.Bed
}

// nobody is who gets a connection that is refused.
const nobody = 0

func newScene(t *testing.T, scheduler string, weights ...string) *scene {
	s := &scene{T: t, bed: bed.New(t, ipvs.AttachTC)}
	if err := s.bed.Mark(conformance.Mark{Dst: "198.51.100.128/25", Mark: 1}); err != nil {
		t.Fatal(err)
	}
	s.ipvsadm("-A", "-f", "1", "-s", scheduler)
	for i, w := range weights {
		s.ipvsadm("-a", "-f", "1", "-r", server(i+1), "-g", "-w", w)
	}
	return s
}

func server(n int) string { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}).String() }

func (s *scene) ipvsadm(argv ...string) {
	s.Helper()
	if _, stderr, exit := s.bed.Ipvsadm(argv...); exit != 0 {
		s.Fatalf("ipvsadm %q: %s", argv, stderr)
	}
}

// send sends a packet to the n-th address of the service and returns the number of
// the server that it left for.
func (s *scene) send(p bed.Packet, n int) int {
	s.Helper()
	p.Dst, p.Dport = netip.AddrFrom4([4]byte{198, 51, 100, byte(129 + n)}), 80
	frame, err := p.Frame()
	if err != nil {
		s.Fatal(err)
	}
	if err := s.bed.Client.Send(frame); err != nil {
		s.Fatal(err)
	}
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); {
		for _, port := range []*bed.Port{s.bed.Server, s.bed.Client} {
			frame, err := port.Receive(time.Millisecond)
			if err != nil {
				s.Fatal(err)
			}
			if frame == nil {
				continue
			}
			if port == s.bed.Client {
				return nobody // told so by an ICMP error
			}
			seen, err := bed.Parse(frame)
			if err != nil {
				s.Fatal(err)
			}
			return int(seen.To.As4()[3])
		}
	}
	s.Fatalf("nothing came of %v", p)
	return nobody
}

// datagram makes a connection of UDP from the n-th client to the n-th address.
func (s *scene) datagram(client, address int) int {
	s.Helper()
	return s.send(bed.Packet{Proto: "udp", Src: clientAddr(client), Sport: uint16(1024 + client)}, address)
}

// open makes an established connection of TCP.
func (s *scene) open(client, address int) int {
	s.Helper()
	p := bed.Packet{Proto: "tcp", Src: clientAddr(client), Sport: uint16(1024 + client), Flags: "S"}
	to := s.send(p, address)
	if to != nobody {
		p.Flags = "A"
		s.send(p, address)
	}
	return to
}

// close ends a connection that open made.
func (s *scene) close(client, address int) {
	s.Helper()
	s.send(bed.Packet{Proto: "tcp", Src: clientAddr(client), Sport: uint16(1024 + client), Flags: "R"}, address)
}

func clientAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + n%240)}) }

func (s *scene) advance(by time.Duration) {
	s.Helper()
	if err := s.bed.Advance(by); err != nil {
		s.Fatal(err)
	}
}
