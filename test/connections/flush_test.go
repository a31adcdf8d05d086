package connections

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

var families = []ipvs.Family{ipvs.IPv4, ipvs.IPv6}

// flags are those of ipvsadm for a method.
var flags = map[lab.Method]string{lab.NAT: "-m", lab.DR: "-g", lab.Tunnel: "-i"}

// byEveryWay runs a test in a lab of both families for each method and door.
func byEveryWay(t *testing.T, name string, test func(t *testing.T, l *lab.Lab)) {
	for _, method := range []lab.Method{lab.NAT, lab.DR, lab.Tunnel} {
		for _, door := range []string{"tc", "xdp"} {
			t.Run(string(method)+", "+door, func(t *testing.T) {
				l := cluster.Up(t, lab.Spec{Name: name + "-" + string(method) + "-" + door, Method: method, Families: lab.Both, XDP: door == "xdp"})
				cluster.On(t, l, lab.Director, "evs attach --mode "+door)
				test(t, l)
			})
		}
	}
}

// serve makes a service over both servers; proto is -t or -u.
func serve(t *testing.T, l *lab.Lab, proto string, f ipvs.Family, port uint16) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(lab.VIP(f), port)
	lines := fmt.Sprintf("ipvsadm -A %s %s -s rr\n", proto, at)
	for i := range l.Servers {
		lines += fmt.Sprintf("ipvsadm -a %s %s -r %s %s\n", proto, at, netip.AddrPortFrom(lab.ServerAddr(i+1, f), port), flags[l.Method])
	}
	cluster.On(t, l, lab.Director, lines)
	return at
}

// dial connects from a node.
func dial(t *testing.T, l *lab.Lab, node, network string, to netip.AddrPort) net.Conn {
	t.Helper()
	c, err := l.Dial(node)(t.Context(), network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo asks a connection for what it is sent, within a time.
func echo(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 16))
	return err
}

// listed is a connection as evs lists it.
type listed struct{ Client, Destination, State string }

func list(t *testing.T, l *lab.Lab, selectors string) []listed {
	t.Helper()
	var doc struct{ Connections []listed }
	if err := json.Unmarshal([]byte(cluster.On(t, l, lab.Director, "evs connections list -o json "+selectors)), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Connections
}

// clients are connections by the server they were given, as the table has it.
func clients(t *testing.T, l *lab.Lab, node string, at netip.AddrPort, n int) map[string][]net.Conn {
	t.Helper()
	by := map[string]net.Conn{}
	for range n {
		c := dial(t, l, node, "tcp", at)
		if err := echo(c); err != nil {
			t.Fatal(err)
		}
		by[c.LocalAddr().String()] = c
	}
	all := map[string][]net.Conn{}
	for _, c := range list(t, l, "--tcp "+at.String()) {
		if conn := by[c.Client]; conn != nil {
			server := netip.MustParseAddrPort(c.Destination).Addr().String()
			all[server] = append(all[server], conn)
		}
	}
	return all
}

// notice is what became of a connection on which a client did something, and when.
type notice struct {
	err error
	at  time.Time
}

// waiting blocks in a read of a connection; talking asks over and over.
func waiting(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 16))
	return err
}

func talking(c net.Conn) error {
	for {
		if err := echo(c); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func watch(c net.Conn, do func(net.Conn) error) <-chan notice {
	noticed := make(chan notice, 1)
	go func() {
		err := do(c)
		noticed <- notice{err, time.Now()}
	}()
	return noticed
}

// toldReset flushes what is on the first server, and wants its clients to be reset
// within a second, and the others to go on.
func toldReset(t *testing.T, l *lab.Lab, node string, f ipvs.Family, at netip.AddrPort, who string) {
	t.Helper()
	const each = 3
	all := clients(t, l, node, at, 2*each)
	first, second := all[lab.ServerAddr(1, f).String()], all[lab.ServerAddr(2, f).String()]
	if len(first) != each || len(second) != each {
		t.Fatalf("%d connections to the first server, %d to the second", len(first), len(second))
	}
	noticed := []<-chan notice{watch(first[0], waiting), watch(first[1], waiting), watch(first[2], talking)}
	undisturbed := watch(second[0], talking)

	out := cluster.On(t, l, lab.Director, fmt.Sprintf("evs connections flush --destination %s --reset%s", lab.ServerAddr(1, f), who))
	done := time.Now()
	if !strings.Contains(out, fmt.Sprintf("connections ended: %d\n", each)) || !strings.Contains(out, "answered yet: 0\n") {
		t.Errorf("from %s: evs said\n%s", node, out)
	}
	for i, n := range noticed {
		got := <-n
		if !errors.Is(got.err, syscall.ECONNRESET) || got.at.After(done.Add(time.Second)) {
			t.Errorf("from %s: client %d noticed %v, %v after the command", node, i, got.err, got.at.Sub(done))
		}
	}
	for _, c := range second[1:] {
		if err := echo(c); err != nil {
			t.Errorf("from %s: a connection to the other server: %v", node, err)
		}
	}
	if who == "=both" {
		gone(t, l, lab.ServerNode(1), first)
	}
	second[0].Close()
	if got := <-undisturbed; !errors.Is(got.err, net.ErrClosed) {
		t.Errorf("from %s: the other server's client noticed %v", node, got.err)
	}
}

// gone waits until a server has no connection of a port of clients.
func gone(t *testing.T, l *lab.Lab, server string, conns []net.Conn) {
	t.Helper()
	var out string
	for range 100 {
		left := false
		out = cluster.On(t, l, server, "ss -Htn")
		for _, c := range conns {
			left = left || strings.Contains(out, fmt.Sprintf(":%d", c.LocalAddr().(*net.TCPAddr).Port))
		}
		if !left {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s still has connections:\n%s", server, out)
}

func TestClientsOfAServerAreResetWhetherTheyWaitOrTalk(t *testing.T) {
	byEveryWay(t, "con-reset", func(t *testing.T, l *lab.Lab) {
		nodes := []string{lab.ClientNode(1)}
		if l.Method == lab.NAT {
			nodes = append(nodes, lab.Director)
		}
		for _, f := range families {
			at := serve(t, l, "-t", f, lab.EchoPort)
			for _, node := range nodes {
				for _, who := range []string{"", "=both"} {
					toldReset(t, l, node, f, at, who)
				}
			}
			emptied(t, l, f)
			bulkReset(t, l, at)
		}
	})
}

// emptied wants that the first server has no connection of the table any more, nor any
// count of one.
func emptied(t *testing.T, l *lab.Lab, f ipvs.Family) {
	t.Helper()
	var left []listed
	var out string
	for range 200 {
		left = list(t, l, "--destination "+lab.ServerAddr(1, f).String())
		out = cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -Lnt %s", netip.AddrPortFrom(lab.VIP(f), lab.EchoPort)))
		for line := range strings.Lines(out) {
			words := strings.Fields(line)
			if len(left) == 0 && len(words) == 6 && strings.HasPrefix(strings.Trim(words[1], "["), lab.ServerAddr(1, f).String()) && words[4] == "0" && words[5] == "0" {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("left: %v; counted:\n%s", left, out)
}

// A bulk on its way is of packets that stand for several.
func bulkReset(t *testing.T, l *lab.Lab, at netip.AddrPort) {
	t.Helper()
	c := dial(t, l, lab.ClientNode(1), "tcp", at)
	if err := echo(c); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 256<<10)
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := watch(c, func(c net.Conn) error { return forever(c.Write, make([]byte, len(buffer))) })
	got := watch(c, func(c net.Conn) error { return forever(c.Read, buffer) })
	time.Sleep(200 * time.Millisecond) // for a bulk to be on its way
	cluster.On(t, l, lab.Director, "evs connections flush --all --reset=both")
	// One of them hears of the reset, the other that it is over.
	w, r := <-sent, <-got
	if !errors.Is(w.err, syscall.ECONNRESET) && !errors.Is(r.err, syscall.ECONNRESET) {
		t.Errorf("the client noticed %v in writing and %v in reading", w.err, r.err)
	}
	for i := range l.Servers {
		gone(t, l, lab.ServerNode(i+1), []net.Conn{c})
	}
}

func forever(do func([]byte) (int, error), buffer []byte) error {
	for {
		if _, err := do(buffer); err != nil {
			return err
		}
	}
}
