package realserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/datapath"
)

// evs is the program, built once.
var evs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Geteuid() != 0 {
			fmt.Fprintln(os.Stderr, "these tests make network namespaces and load eBPF programs, which needs root: run them with sudo")
			return 1
		}
		dir, err := os.MkdirTemp("", "evs-realserver")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bpffs := filepath.Join(dir, "bpf") // what others do to theirs is no matter
		if err := errors.Join(os.Mkdir(bpffs, 0o700), unix.Mount("bpf", bpffs, "bpf", 0, ""), os.Setenv(datapath.BpffsVariable, bpffs)); err != nil {
			fmt.Fprintf(os.Stderr, "a BPF file system of its own: %v\n", err)
			return 1
		}
		defer unix.Unmount(bpffs, 0)
		evs = filepath.Join(dir, "evs")
		if out, err := exec.Command("go", "build", "-o", evs, "github.com/evs-project/evs/cmd/evs").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build evs: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

const (
	vip4, vip6 = "203.0.113.10", "2001:db8:2::10"
	dip4, rip4 = "192.0.2.1", "192.0.2.2"
	dip6, rip6 = "2001:db8:3::1", "2001:db8:3::2"
	gateway4   = "198.51.100.130"
)

// site is a client, a director and a real server. Requests go from c0 by the
// director to the server's eth0; replies from the server's eth1 to c1.
type site struct {
	t                        *testing.T
	client, director, server string
}

var sites atomic.Int64

func newSite(t *testing.T) site {
	t.Helper()
	id := fmt.Sprintf("%d-%d", os.Getpid(), sites.Add(1))
	s := site{t, "rsc-" + id, "rsd-" + id, "rss-" + id}
	t.Cleanup(s.remove)
	for _, ns := range []string{s.client, s.director, s.server} {
		s.run("", "ip netns add "+ns)
		s.run(ns, "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
		s.run(ns, "ip link set lo up")
	}
	s.run(s.client, `
		ip link add c0 type veth peer name d0 netns `+s.director+`
		ip link add c1 type veth peer name eth1 netns `+s.server+`
		ip address add 198.51.100.7/25 dev c0
		ip address add 198.51.100.130/25 dev c1
		ip address add 2001:db8:1::7/64 dev c0 nodad
		ip address add 2001:db8:4::1/64 dev c1 nodad
		ip link set c0 up
		ip link set c1 up
		sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		ip route add default via 198.51.100.1
		ip -6 route add default via 2001:db8:1::1`)
	s.run(s.director, `
		ip link add d1 type veth peer name eth0 netns `+s.server+`
		ip address add 198.51.100.1/25 dev d0
		ip address add 203.0.113.10/32 dev d0
		ip address add 192.0.2.1/24 dev d1
		ip address add 2001:db8:1::1/64 dev d0 nodad
		ip address add 2001:db8:2::10/128 dev d0 nodad
		ip address add 2001:db8:3::1/64 dev d1 nodad
		ip link set d0 up
		ip link set d1 up`)
	s.run(s.server, `
		ip address add 192.0.2.2/24 dev eth0
		ip address add 198.51.100.131/25 dev eth1
		ip address add 2001:db8:3::2/64 dev eth0 nodad
		ip address add 2001:db8:4::2/64 dev eth1 nodad
		ip link set eth0 up
		ip link set eth1 up
		ip route add default via 198.51.100.130
		ip -6 route add default via 2001:db8:4::1`)
	s.run(s.director, evs+" director setup")
	return s
}

// remove is for the end of the test, when its context has ended.
func (s site) remove() {
	for ns, line := range map[string]string{s.server: evs + " realserver teardown", s.director: evs + " unload"} {
		if out, err := command(context.Background(), ns, line).CombinedOutput(); err != nil {
			s.t.Errorf("%s: %v: %s", line, err, out)
		}
	}
	for _, ns := range []string{s.client, s.director, s.server} {
		if out, err := exec.Command("ip", "netns", "del", ns).CombinedOutput(); err != nil {
			s.t.Errorf("ip netns del %s: %v: %s", ns, err, out)
		}
	}
}

// command is a command line, without quotes, in a namespace, or "" for this one.
func command(ctx context.Context, ns, line string) *exec.Cmd {
	argv := strings.Fields(line)
	if ns != "" {
		argv = append([]string{"nsenter", "--net=/run/netns/" + ns}, argv...)
	}
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

// run runs commands, one a line, which must succeed; the output is the last's.
func (s site) run(ns, lines string) (out string) {
	s.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		b, err := command(s.t.Context(), ns, line).CombinedOutput()
		if err != nil {
			s.t.Fatalf("%s: %v: %s", line, err, b)
		}
		out = string(b)
	}
	return out
}

// exit runs a command and returns what it said and its exit code.
func (s site) exit(ns, line string) (string, int) {
	s.t.Helper()
	b, err := command(s.t.Context(), ns, line).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		s.t.Fatalf("%s: %v", line, err)
	}
	if failed != nil {
		return string(b), failed.ExitCode()
	}
	return string(b), 0
}

// inside runs do on a thread that has entered a namespace and ends with it.
func inside[T any](t *testing.T, ns string, do func() (T, error)) T {
	t.Helper()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		runtime.LockOSThread()
		target, err := netns.GetFromName(ns)
		if err == nil {
			err = netns.Set(target)
			target.Close()
		}
		if r.err = err; err == nil {
			r.value, r.err = do()
		}
		done <- r
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.value
}

// listen opens a TCP socket in the server that lasts as long as the test.
func (s site) listen(addr string) net.Listener {
	s.t.Helper()
	l := inside(s.t, s.server, func() (net.Listener, error) {
		return (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", addr)
	})
	s.t.Cleanup(func() { l.Close() })
	return l
}
