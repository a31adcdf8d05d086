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
	for _, families := range []struct{ name, vip, rip string }{
		{"IPv4 in IPv4", vip4, rip4}, {"IPv6 in IPv4", vip6, rip4}, {"IPv4 in IPv6", vip4, rip6}, {"IPv6 in IPv6", vip6, rip6},
	} {
		for _, tunnel := range []string{
			"ipip", "gre", "gre --tunnel-checksum csum",
			"gue --tunnel-port 6080", "gue --tunnel-port 6080 --tunnel-checksum csum", "gue --tunnel-port 6080 --tunnel-checksum remcsum",
		} {
			t.Run(families.name+", "+tunnel, func(t *testing.T) {
				s := s
				s.t = t
				kind, _, _ := strings.Cut(tunnel, " ")
				vip, rip := net.JoinHostPort(families.vip, "8080"), net.JoinHostPort(families.rip, "8080")
				s.run(s.server, evs+" realserver teardown")
				s.run(s.server, evs+" realserver setup"+bothVIPs+" --method tunnel --tun-type "+kind)
				s.run(s.director, evs+" unload")
				s.run(s.director, evs+" service add --tcp "+vip+" --scheduler rr")
				s.run(s.director, fmt.Sprintf("%s destination add --tcp %s --server %s --method tunnel --tunnel-type %s", evs, vip, rip, tunnel))
				s.transfer(families.vip)
				out := s.run(s.server, evs+" realserver status")
				if !strings.Contains(out, "packets taken out of") {
					t.Errorf("it came by another way: %s", out)
				}
				if strings.Contains(out, "dropped") {
					t.Errorf("packets were dropped: %s", out)
				}
			})
		}
	}
}
