package realserver

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

const transferSize = 10 << 20

// serveSums answers each connection with the checksum of all it sent.
func serveSums(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		go func() {
			defer c.Close()
			sum := sha256.New()
			if _, err := io.Copy(sum, c); err == nil {
				fmt.Fprintf(c, "%x", sum.Sum(nil))
			}
		}()
	}
}

// transfer sends ten megabytes from the client to the VIP, and fails unless what
// the server got is what was sent.
func (s site) transfer(vip string) {
	s.t.Helper()
	c := inside(s.t, s.client, func() (net.Conn, error) {
		return net.DialTimeout("tcp", net.JoinHostPort(vip, "8080"), 5*time.Second)
	})
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	sum := sha256.New()
	random := rand.NewChaCha8([32]byte{1})
	if _, err := io.CopyN(io.MultiWriter(c, sum), random, transferSize); err != nil {
		s.t.Errorf("to %s: %v", vip, err)
		return
	}
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if want := fmt.Sprintf("%x", sum.Sum(nil)); err != nil || string(got) != want {
		s.t.Errorf("to %s: the server got %s, sent was %s (%v)", vip, got, want, err)
	}
}

func TestTenMegabytesComeThroughEachTunnelWhole(t *testing.T) {
	s := newSite(t)
	go serveSums(s.listen(":8080"))
	for _, door := range []string{"tc", "xdp"} {
		if door == "xdp" { // sees packets as a wire carries them, so they have to be complete
			s.run(s.director, "ethtool -K d1 tx off")
		}
		for _, families := range []struct{ name, vip, rip string }{
			{"IPv4 in IPv4", vip4, rip4}, {"IPv6 in IPv4", vip6, rip4}, {"IPv4 in IPv6", vip4, rip6}, {"IPv6 in IPv6", vip6, rip6},
		} {
			for _, tunnel := range []string{
				"ipip", "gre", "gre --tunnel-checksum csum",
				"gue --tunnel-port 6080", "gue --tunnel-port 6080 --tunnel-checksum csum", "gue --tunnel-port 6080 --tunnel-checksum remcsum",
			} {
				t.Run(door+", "+families.name+", "+tunnel, func(t *testing.T) {
					s := s
					s.t = t
					s.tunnel(families.vip, families.rip, tunnel, door)
				})
			}
		}
	}
}

// tunnel sends a transfer through one kind of tunnel, taken off by one door.
func (s site) tunnel(vip, rip, tunnel, door string) {
	s.t.Helper()
	kind, _, _ := strings.Cut(tunnel, " ")
	service := net.JoinHostPort(vip, "8080")
	s.run(s.server, evs+" realserver teardown")
	s.run(s.server, fmt.Sprintf("%s realserver setup%s --method tunnel --tun-type %s --decap evs --interface eth0 --mode %s", evs, bothVIPs, kind, door))
	s.exit(s.director, evs+" service delete --tcp "+service) // that of the tunnel before
	s.run(s.director, evs+" service add --tcp "+service+" --scheduler rr")
	s.run(s.director, fmt.Sprintf("%s destination add --tcp %s --server %s --method tunnel --tunnel-type %s", evs, service, net.JoinHostPort(rip, "8080"), tunnel))
	s.transfer(vip)
	out := s.run(s.server, evs+" realserver status")
	if !strings.Contains(out, "packets taken out of") {
		s.t.Errorf("it came by another way: %s", out)
	}
	if strings.Contains(out, "dropped") {
		s.t.Errorf("packets were dropped: %s", out)
	}
}
