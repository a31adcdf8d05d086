package matrix

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
)

// bin holds evs and ipvsadm, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Geteuid() != 0 {
			fmt.Fprintln(os.Stderr, "these tests make network namespaces and load eBPF programs, which needs root: run them with sudo")
			return 1
		}
		var err error
		if bin, err = os.MkdirTemp("", "evs-matrix"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(bin)
		if err := build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build() error {
	evs := filepath.Join(bin, "evs")
	if out, err := exec.Command("go", "build", "-o", evs, "github.com/evs-project/evs/cmd/evs").CombinedOutput(); err != nil {
		return fmt.Errorf("build evs: %w\n%s", err, out)
	}
	return errors.Join(os.Symlink("evs", filepath.Join(bin, "ipvsadm")), os.Setenv("PATH", bin+":"+os.Getenv("PATH")))
}

// up brings a lab up for a test; it goes with it.
func up(t *testing.T, spec lab.Spec) *lab.Lab {
	t.Helper()
	spec.Name = fmt.Sprintf("%s-%d", spec.Name, os.Getpid())
	spec.Binary = filepath.Join(bin, "evs")
	l, err := lab.Up(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// on runs commands, one a line, on a node, which must succeed, and returns what
// the last one printed.
func on(t *testing.T, l *lab.Lab, node string, commands ...string) (out string) {
	t.Helper()
	for _, command := range commands {
		var err error
		if out, err = l.Exec(t.Context(), node, strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestEveryWayToAServerCarriesEverything(t *testing.T) {
	for _, method := range methods() {
		for _, door := range []string{"tc", "xdp"} {
			t.Run(string(method)+" by "+door, func(t *testing.T) {
				t.Parallel()
				l := up(t, lab.Spec{Name: "mx-" + string(method) + "-" + door, Method: method, Families: lab.Both, XDP: door == "xdp"})
				on(t, l, lab.Director, "evs attach --mode "+door)
				for i, r := range rows(method) {
					t.Run(r.name, func(t *testing.T) { carry(t, l, r, 10_000+i*1000) })
				}
			})
		}
	}
}

// How much goes each way.
const (
	bulk      = 10 << 20
	bulkUDP   = 1 << 20
	shortOnes = 200
)

// carry sends everything one way to a server, from source ports above first.
func carry(t *testing.T, l *lab.Lab, r row, first int) {
	on(t, l, lab.Director, "ipvsadm -C")
	on(t, l, lab.Director, append(r.rules(l, "t"), r.rules(l, "u")...)...)
	c := &client{lab: l, to: netip.AddrPortFrom(lab.VIP(r.vip), lab.EchoPort)}
	c.port.Store(uint32(first))
	left := leftByXDP(t, l)
	send(t, c, r, "with nothing lost")
	lossy(t, l, 1)
	send(t, c, r, "with 1 % lost")
	lossy(t, l, 0)
	if left = leftByXDP(t, l) - left; left > 500 {
		t.Errorf("XDP left %d packets to tc", left)
	}
	if t.Failed() {
		t.Logf("%s\n%s", on(t, l, lab.Director, "evs status"), on(t, l, lab.Director, "ipvsadm -Ln --stats"))
	}
}

// send sends all there is.
func send(t *testing.T, c *client, r row, circumstances string) {
	t.Helper()
	for _, step := range []struct {
		name string
		send func(context.Context) error
	}{
		{"200 short connections", func(ctx context.Context) error { return c.streams(ctx, shortOnes) }},
		{"10 MiB each way by TCP", func(ctx context.Context) error { return c.stream(ctx, bulk) }},
		{"200 flows of UDP", func(ctx context.Context) error { return c.manyFlows(ctx, r) }},
		{"datagrams as large as the link takes", func(ctx context.Context) error { return c.datagrams(ctx, bulkUDP, fullDatagram(r)) }},
	} {
		begin := time.Now()
		if err := step.send(t.Context()); err != nil {
			t.Errorf("%s, %s: %v", step.name, circumstances, err)
		}
		t.Logf("%s, %s: %v", step.name, circumstances, time.Since(begin).Round(time.Millisecond))
	}
}

// lossy has the lab lose packets of the wire's size: those who send have no
// segmentation offload meanwhile.
func lossy(t *testing.T, l *lab.Lab, percent float64) {
	t.Helper()
	offload := map[bool]string{true: "off", false: "on"}[percent > 0]
	for _, node := range append([]string{lab.ClientNode(1)}, l.Serving()...) {
		iface := "eth0"
		if node == lab.Director {
			iface = lab.DirectorOutsideIface
		}
		on(t, l, node, "ethtool -K "+iface+" tx "+offload)
	}
	if err := l.Lose(t.Context(), percent); err != nil {
		t.Fatal(err)
	}
}

// leftByXDP is how many packets XDP did not finish so far.
func leftByXDP(t *testing.T, l *lab.Lab) (packets int) {
	t.Helper()
	for line := range strings.Lines(on(t, l, lab.Director, "evs status")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "slow_path" {
			if _, err := fmt.Sscan(f[1], &packets); err != nil {
				t.Fatal(err)
			}
		}
	}
	return packets
}

// fullDatagram is how many bytes make the answer, with the name of the server
// before them, the largest packet that a link of 1,500 bytes takes.
func fullDatagram(r row) int {
	headers := map[bool]int{true: 28, false: 48}[r.vip == 4]
	return 1500 - headers - len("director: ")
}

// manyFlows wants every server to answer its share.
func (c *client) manyFlows(ctx context.Context, r row) error {
	answers, err := c.flows(ctx, shortOnes)
	if err != nil {
		return err
	}
	servers := r.answerers(c.lab)
	for _, server := range servers {
		if got, want := answers[server], shortOnes/len(servers); got < want-want/10 || got > want+want/10 {
			return fmt.Errorf("%s answered %d flows, not about %d: %v", server, got, want, answers)
		}
	}
	return nil
}
