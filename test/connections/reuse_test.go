package connections

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// What kube-proxy's users suffered from: a second for each port that was used again, as
// its first SYN was dropped. Servers close first here, so that they are in TIME_WAIT.
func TestAPortThatIsUsedAgainIsServedByTheFirstSYN(t *testing.T) {
	byEveryWay(t, "con-reuse", func(t *testing.T, l *lab.Lab) {
		const ports, rounds = 20, 50 // 2,000 connections, of both families
		for _, f := range families {
			at := serve(t, l, "-t", f, lab.HTTPPort)
			client := lab.ClientAddr(1, f)
			for i := range ports * rounds {
				from := netip.AddrPortFrom(client, uint16(20000+i%ports))
				again, err := get(t.Context(), l, from, at)
				if err != nil || again > 0 {
					t.Fatalf("connection %d, from %s: SYNs sent again %d (%v)", i, from, again, err)
				}
			}
			if l.Method != lab.NAT { // others see only the client's half of the goodbye
				continue
			}
			want := fmt.Sprintf("reopened %d ", (ports*rounds-ports)*(1+index(f)))
			if out := strings.Join(strings.Fields(cluster.On(t, l, lab.Director, "evs status")), " "); !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
}

func index(f ipvs.Family) int {
	if f == ipvs.IPv6 {
		return 1
	}
	return 0
}

// get makes one request from a port of the client, and returns how many segments of the
// handshake had to be sent again.
func get(ctx context.Context, l *lab.Lab, from, to netip.AddrPort) (again uint32, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }), err)
	}}
	var c net.Conn
	if err := l.Do(lab.ClientNode(1), func() (err error) {
		c, err = dialer.DialContext(ctx, "tcp", to.String())
		return err
	}); err != nil {
		return 0, err
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if err := errors.Join(raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			again = info.Total_retrans
		}
	}), err); err != nil {
		return 0, err
	}
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return 0, err
	}
	answer, err := io.ReadAll(c) // until the server closes
	if err == nil && !strings.Contains(string(answer), " 200 OK\r\n") {
		err = fmt.Errorf("answered %q", answer)
	}
	return again, err
}

// What made outages of roll-outs: a resolver's flow has one port for long, and stayed
// with a server that was taken away.
func TestAFlowOfUDPLeavesAServerAtOnceThatIsQuiescentOrGone(t *testing.T) {
	byEveryWay(t, "con-udp", func(t *testing.T, l *lab.Lab) {
		for _, f := range families {
			at := serve(t, l, "-u", f, lab.EchoPort)
			c := dial(t, l, lab.ClientNode(1), "udp", at)
			server := func(i int) string {
				return fmt.Sprintf("-u %s -r %s %s", at, netip.AddrPortFrom(lab.ServerAddr(i, f), lab.EchoPort), flags[l.Method])
			}
			first := asked(t, c)
			other := map[string]int{"server1": 2, "server2": 1}[first]
			one := 3 - other
			for _, step := range []struct {
				command, want string
			}{
				{"ipvsadm -e " + server(one) + " -w 0", first},
				{"evs sysctl -w net.ipv4.vs.expire_udp_on_quiescent=1", lab.ServerNode(other)},
				{"ipvsadm -e " + server(one) + " -w 1", lab.ServerNode(other)},
				{fmt.Sprintf("ipvsadm -d -u %s -r %s", at, netip.AddrPortFrom(lab.ServerAddr(other, f), lab.EchoPort)), first},
			} {
				cluster.On(t, l, lab.Director, step.command)
				for range 3 {
					if got := asked(t, c); got != step.want {
						t.Errorf("after %s: %s answered, want %s", step.command, got, step.want)
					}
				}
			}
			cluster.On(t, l, lab.Director, "evs sysctl -w net.ipv4.vs.expire_udp_on_quiescent=0")
		}
	})
}

// asked is who answers the one datagram that is sent.
func asked(t *testing.T, c net.Conn) string {
	t.Helper()
	if err := echo(c); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("who")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 64)
	n, err := c.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	who, _, _ := strings.Cut(string(buffer[:n]), ": ")
	return who
}
