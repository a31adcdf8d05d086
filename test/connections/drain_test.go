package connections

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// ending is how a command ended.
type ending struct {
	out  string
	code int
}

// run runs a command on the director, which may fail.
func run(t *testing.T, l *lab.Lab, argv ...string) ending {
	t.Helper()
	out, err := l.Exec(t.Context(), lab.Director, argv...)
	e := ending{out: out}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		e.code = failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return e
}

// draining is evs drain of the first server, which goes on.
type draining struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	said []byte
}

func (d *draining) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, b...)
	return len(b), nil
}

func (d *draining) out() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.said)
}

// await waits until it has said something.
func (d *draining) await(text string) {
	d.t.Helper()
	for range 1000 {
		if strings.Contains(d.out(), text) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.t.Fatalf("it does not say %q:\n%s", text, d.out())
}

// end is how it ended.
func (d *draining) end() (e ending) {
	_ = d.cmd.Wait()
	return ending{out: d.out(), code: d.cmd.ProcessState.ExitCode()}
}

// begin runs evs drain of the first server in the background, and returns when it has
// looked at the connections.
func begin(t *testing.T, l *lab.Lab, args ...string) *draining {
	t.Helper()
	d := &draining{t: t, cmd: exec.Command("evs", append([]string{"drain", lab.ServerAddr(1, ipvs.IPv4).String()}, args...)...)}
	d.cmd.Stdout, d.cmd.Stderr = d, d
	if err := l.Do(lab.Director, d.cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	d.await("connection")
	return d
}

// weight is that of a server, which it has in every service.
func weight(t *testing.T, l *lab.Lab, server netip.Addr) string {
	t.Helper()
	weights := map[string]bool{}
	for line := range strings.Lines(cluster.On(t, l, lab.Director, "ipvsadm -Sn")) {
		words := strings.Fields(line)
		for i, w := range words {
			if w == "-w" && strings.Contains(line, " -r "+server.String()+":") {
				weights[words[i+1]] = true
			}
		}
	}
	all := ""
	for w := range weights {
		all += w
	}
	return all
}

// expect holds how a drain ended against what it should have said.
func expect(t *testing.T, got ending, code int, says string) {
	t.Helper()
	if got.code != code || !strings.Contains(got.out, says) {
		t.Errorf("exit code %d, want %d and %q:\n%s", got.code, code, says, got.out)
	}
}

// stranger opens a connection and returns the server that it was given.
func stranger(t *testing.T, l *lab.Lab, node string, at netip.AddrPort) (net.Conn, string) {
	t.Helper()
	c := dial(t, l, node, "tcp", at)
	if err := echo(c); err != nil {
		t.Fatal(err)
	}
	for _, found := range list(t, l, "--tcp "+at.String()) {
		if found.Client == c.LocalAddr().String() {
			return c, netip.MustParseAddrPort(found.Destination).Addr().String()
		}
	}
	t.Fatal("the connection is not listed")
	return c, ""
}

func TestAServerIsDrainedInABareTable(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "con-drain", Method: lab.NAT, Families: lab.Only4, Clients: 2})
	cluster.On(t, l, lab.Director, "evs attach --mode tc")
	at := serve(t, l, "-t", ipvs.IPv4, lab.EchoPort)
	dns := serve(t, l, "-u", ipvs.IPv4, lab.EchoPort)
	first, node := lab.ServerAddr(1, ipvs.IPv4), lab.ClientNode(1)
	second := lab.ServerAddr(2, ipvs.IPv4).String()
	drained := func(t *testing.T) (mine, others []net.Conn) {
		t.Helper()
		all := clients(t, l, node, at, 4)
		return all[first.String()], all[second]
	}
	back := func(t *testing.T) {
		t.Helper()
		if got := run(t, l, "evs", "undrain", first.String()); got.code != 0 || weight(t, l, first) != "1" {
			t.Errorf("undrained, it has weight %s: %d, %s", weight(t, l, first), got.code, got.out)
		}
	}
	t.Run("and is empty when its last client has gone", func(t *testing.T) {
		mine, others := drained(t)
		d := begin(t, l, "--for", "60s")
		if _, server := stranger(t, l, node, at); server != second {
			t.Errorf("a new client was given %s", server)
		}
		d.await("2 connections, the last expires in ")
		for i, c := range mine {
			if err := echo(c); err != nil {
				t.Error(err)
			}
			c.Close()
			d.await([]string{"1 connection, the oldest of ", "no connections after"}[i])
		}
		expect(t, d.end(), 0, "no connections after")
		for _, c := range others {
			if err := echo(c); err != nil {
				t.Error("a client of the other server:", err)
			}
		}
		back(t)
	})
	t.Run("and what is left at the deadline goes on", func(t *testing.T) {
		mine, _ := drained(t)
		expect(t, begin(t, l, "--for", "1s").end(), 2, "the time is over: 2 connections")
		for _, c := range mine {
			if err := echo(c); err != nil {
				t.Error(err)
			}
			c.Close()
		}
		back(t)
	})
	t.Run("and what is left at the deadline is reset, or scheduled anew", func(t *testing.T) {
		mine, others := drained(t)
		flow := udpOf(t, l, dns, "server1")
		noticed := watch(mine[0], waiting)
		d := begin(t, l, "--for", "1s", "--at-deadline", "reset")
		expect(t, d.end(), 3, "the time is over: reset 2 connections, and ended 1 other without a word")
		if n := <-noticed; !errors.Is(n.err, syscall.ECONNRESET) {
			t.Errorf("the client noticed %v", n.err)
		}
		if got := ask(t, flow); got != "server2: hello" {
			t.Errorf("after the deadline the flow is at %q", got)
		}
		if err := echo(others[0]); err != nil {
			t.Error("a client of the other server:", err)
		}
		gone(t, l, lab.ServerNode(1), mine)
		back(t)
	})
	t.Run("until it is interrupted, or somebody ends it", func(t *testing.T) {
		mine, _ := drained(t)
		d := begin(t, l, "--for", "60s")
		if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		expect(t, d.end(), 4, "`evs undrain "+first.String()+"`")
		if weight(t, l, first) != "0" {
			t.Error("interrupted, it has its weight again")
		}
		d = begin(t, l, "--for", "60s")
		back(t)
		expect(t, d.end(), 4, "somebody has ended the drain")
		for _, c := range mine {
			c.Close()
		}
	})
	t.Run("and clients that are kept to it come back, or do not", func(t *testing.T) {
		cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -E -t %s -s rr -p 60", at))
		node := lab.ClientNode(2)
		c, server := stranger(t, l, node, at)
		for range 3 { // until the first server has one
			if server == first.String() {
				break
			}
			cluster.On(t, l, lab.Director, "evs connections flush --all --templates")
			c, server = stranger(t, l, node, at)
		}
		c.Close()
		expect(t, run(t, l, "evs", "drain", first.String(), "--for", "1s"), 2, "kept to it: 1 client")
		if c, server = stranger(t, l, node, at); server != first.String() {
			t.Errorf("while persistence is respected, its client is given %s", server)
		}
		c.Close()
		expect(t, run(t, l, "evs", "drain", first.String()+":7", "--persistence", "ignore", "--for", "60s"), 0, "no connections")
		if _, server = stranger(t, l, node, at); server != second {
			t.Errorf("while persistence is ignored, its client is given %s", server)
		}
		back(t)
	})
	t.Run("unless there is no such server, or nobody to do what is asked for", func(t *testing.T) {
		for _, c := range [][]string{
			{"192.0.2.77", "no such destination"},
			{first.String() + ":9", "no such destination"},
			{first.String(), "no such destination", "--tcp", "203.0.113.10:9"},
			{first.String(), "no director runs that could reset", "--no-wait", "--at-deadline", "reset"},
			{first.String(), "choose one of", "--at-deadline", "kill"},
			{first.String(), "choose 0s at least", "--for", "-1s"},
		} {
			expect(t, run(t, l, append([]string{"evs", "drain", c[0]}, c[2:]...)...), 1, c[1])
		}
		if weight(t, l, first) != "1" {
			t.Errorf("weight %s", weight(t, l, first))
		}
		expect(t, run(t, l, "evs", "weights"), 1, "no director runs")
		expect(t, run(t, l, "evs", "undrain", first.String()), 0, "is not drained")
	})
}

// udpOf is a flow of UDP that is with a server.
func udpOf(t *testing.T, l *lab.Lab, at netip.AddrPort, server string) net.Conn {
	t.Helper()
	for range 4 {
		c := dial(t, l, lab.ClientNode(1), "udp", at)
		if ask(t, c) == server+": hello" {
			return c
		}
	}
	t.Fatalf("no flow comes to %s", server)
	return nil
}

func ask(t *testing.T, c net.Conn) string {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 64)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}
