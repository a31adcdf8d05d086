package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// evs is the program under test, built once; no other process runs it, since
// its path is new.
var evs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "evs-lab-test")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		evs = filepath.Join(dir, "evs")
		if out, err := exec.Command("go", "build", "-o", evs, "github.com/evs-project/evs/cmd/evs").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build evs: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// unique keeps the labs of two runs of the tests apart.
func unique(name string) string { return fmt.Sprintf("%s-%d", name, os.Getpid()) }

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and needs root: run it with sudo")
	}
}

// up brings a lab up for the test, and checks that it goes without a trace.
func up(t *testing.T, spec Spec) *Lab {
	t.Helper()
	needRoot(t)
	spec.Binary = evs
	l, err := Up(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
		nothingLeft(t, spec.Name)
	})
	return l
}

func nothingLeft(t *testing.T, name string) {
	t.Helper()
	if left := namespacesOf(name); len(left) > 0 {
		t.Errorf("namespaces left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(stateDir, name)); err == nil {
		t.Errorf("files left in %s", filepath.Join(stateDir, name))
	}
	for _, pid := range processes() {
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); strings.HasPrefix(exe, evs) {
			t.Errorf("process left: %d", pid)
		}
	}
}

// who asks once from a client.
func who(t *testing.T, l *Lab, client, url string) string {
	t.Helper()
	r, err := Load(t.Context(), LoadSpec{URL: url, Dial: l.Dial(client), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for server := range r.Answers {
		return server
	}
	return fmt.Sprint(r.Failures)
}

func TestClientsReachEveryServerByPlainRoutingAndTheLabGoesWithoutATrace(t *testing.T) {
	for _, method := range []Method{NAT, DR} {
		t.Run(string(method), func(t *testing.T) {
			l := up(t, Spec{Name: unique("t-reach"), Clients: 2, Servers: 3, Method: method, Families: Both})
			for i := 1; i <= l.Servers; i++ {
				for _, f := range l.FamilyList() {
					for _, ask := range []string{"http://%s/", "udp://%s"} {
						ports := map[string][]uint16{"http://%s/": {HTTPPort, AltHTTPPort}, "udp://%s": {EchoPort}}[ask]
						for _, port := range ports {
							url := fmt.Sprintf(ask, netip.AddrPortFrom(ServerAddr(i, f), port))
							if got := who(t, l, ClientNode(2), url); got != ServerNode(i) {
								t.Errorf("%s: %s", url, got)
							}
						}
					}
				}
			}
		})
	}
}

func TestTheDirectorNeedsNoFurtherSetup(t *testing.T) {
	l := up(t, Spec{Name: unique("t-director")})
	if out, err := l.Exec(t.Context(), Director, evs, "director", "setup", "--dry-run"); err != nil || !strings.Contains(out, "in order already") {
		t.Errorf("%s, %v", out, err)
	}
}

func TestWhatALabHasOutsideItsNamespacesGoesWithIt(t *testing.T) {
	needRoot(t)
	l, err := Up(t.Context(), Spec{Name: unique("t-record"), Binary: evs})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for node, pattern := range map[string]string{ClientNode(1): hostnet.RecordDir + "/%d.json", Director: tables + "/%x"} {
		if err := l.Do(node, func() error {
			cookie, err := hostnet.Cookie()
			left = append(left, fmt.Sprintf(pattern, cookie))
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if out, err := l.Exec(t.Context(), ClientNode(1), evs, "director", "setup"); err != nil || !strings.Contains(out, "sysctl -w net.ipv4.ip_forward=1  # was 0") {
		t.Errorf("%s, %v", out, err)
	}
	ipvsadm := filepath.Join(t.TempDir(), "ipvsadm")
	if err := os.Symlink(evs, ipvsadm); err != nil {
		t.Error(err)
	}
	if out, err := l.Exec(t.Context(), Director, ipvsadm, "-A", "-t", "203.0.113.10:80"); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	for _, path := range left {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("not made: %v", err)
		}
	}
	if err := errors.Join(l.Down(), l.Down()); err != nil {
		t.Error(err)
	}
	for _, path := range left {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("left: %s", path)
		}
	}
}

func TestALabInterruptedWhileItIsBuiltLeavesNothing(t *testing.T) {
	needRoot(t)
	for _, after := range []time.Duration{0, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, 60 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		l, err := Up(ctx, Spec{Name: unique("t-early"), Binary: evs})
		cancel()
		if err == nil {
			err = l.Down()
		} else if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "does not serve") {
			err = nil
		}
		if err != nil {
			t.Errorf("after %s: %v", after, err)
		}
		nothingLeft(t, unique("t-early"))
	}
}

func TestAFunctionThatEndsItsGoroutineDoesNotHangTheCaller(t *testing.T) {
	l := up(t, Spec{Name: unique("t-goexit")})
	if err := l.Do(Router, func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("reported as done")
	}
	if err := l.Do("server9", func() error { return nil }); err == nil || !strings.Contains(err.Error(), "has no such node") {
		t.Errorf("error: %v", err)
	}
}

func TestOffloadsAreOnAsOnTheLinksOfRealMachines(t *testing.T) {
	for gro, state := range map[bool]string{false: "off", true: "on"} {
		t.Run("gro "+state, func(t *testing.T) {
			l := up(t, Spec{Name: unique("t-offload"), GRO: gro})
			for node, iface := range map[string]string{ClientNode(1): clientIface, Director: DirectorInsideIface, Switch: ServerNode(1), ServerNode(2): serverIface} {
				out, err := l.Exec(t.Context(), node, "ethtool", "-k", iface)
				if err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{"tx-checksumming: on", "tcp-segmentation-offload: on", "generic-segmentation-offload: on", "generic-receive-offload: " + state} {
					if !strings.Contains(out, want) {
						t.Errorf("%s %s: not %s", node, iface, want)
					}
				}
			}
			if got := who(t, l, ClientNode(1), "http://192.0.2.2/"); got != ServerNode(1) {
				t.Error(got)
			}
		})
	}
}

func TestAServerOfADirectRoutingLabAnswersForTheVIPPastTheDirector(t *testing.T) {
	l := up(t, Spec{Name: unique("t-dr"), Method: DR, Families: Both})
	// The router sends the VIP's packets to a server as a director would.
	err := l.Do(Router, func() error {
		want := hostnet.Want{}
		for _, f := range l.FamilyList() {
			want.Routes = append(want.Routes, hostnet.Route{To: netip.PrefixFrom(VIP(f), VIP(f).BitLen()), Via: ServerAddr(2, f)})
		}
		return settle(t.Context(), want)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range l.FamilyList() {
		for _, url := range []string{"http://%s/", "udp://%s"} {
			port := map[bool]uint16{true: HTTPPort, false: EchoPort}[strings.HasPrefix(url, "http")]
			url = fmt.Sprintf(url, netip.AddrPortFrom(VIP(f), port))
			if got := who(t, l, ClientNode(1), url); got != ServerNode(2) {
				t.Errorf("%s: %s", url, got)
			}
		}
	}
}

func TestABulkOfBytesGoesThroughBothWays(t *testing.T) {
	l := up(t, Spec{Name: unique("t-bulk")})
	const size = 50_000_000
	r, err := Load(t.Context(), LoadSpec{URL: fmt.Sprintf("http://%s/bytes?n=%d", ServerAddr(1, ipvs.IPv4), size), Dial: l.Dial(ClientNode(1))})
	if err != nil || r.Bytes != size {
		t.Errorf("%+v, %v", r, err)
	}
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, make([]byte, 1_000_000), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := l.Exec(t.Context(), ClientNode(1), "curl", "-s", "--data-binary", "@"+upload, "http://"+ServerAddr(2, ipvs.IPv4).String())
	if err != nil || out != "server2 received 1000000 bytes\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestALabThatExistsIsNotBuiltTwice(t *testing.T) {
	l := up(t, Spec{Name: unique("t-twice")})
	_, err := Up(t.Context(), l.Spec)
	if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "evs lab down --name "+l.Name) {
		t.Errorf("error: %v", err)
	}
	if got := who(t, l, ClientNode(1), "http://192.0.2.2/"); got != "server1" {
		t.Errorf("the first one suffered: %s", got)
	}
}

func TestALabThatFailsLeavesNothing(t *testing.T) {
	needRoot(t)
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	// A program that ends at once serves nothing.
	if _, err := Up(short, Spec{Name: unique("t-fails"), Binary: "/bin/false"}); err == nil || !strings.Contains(err.Error(), "server1 does not serve at 192.0.2.2:80") {
		t.Errorf("error: %v", err)
	}
	nothingLeft(t, unique("t-fails"))
}

func TestAHalfBuiltLabIsCleared(t *testing.T) {
	needRoot(t)
	if err := addNamespace(unique("t-half") + "-client1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(netnsDir, unique("t-half")+"-router"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := Up(t.Context(), Spec{Name: unique("t-half"), Binary: evs}); !errors.Is(err, ErrExists) {
		t.Errorf("error: %v", err)
	}
	if err := Remove(t.Context(), unique("t-half")); err != nil {
		t.Error(err)
	}
	nothingLeft(t, unique("t-half"))
	if err := Remove(t.Context(), unique("t-half")); !errors.Is(err, ErrNoLab) {
		t.Errorf("error: %v", err)
	}
}

func TestTheServersOfATunnelLabTakeItsKindOfTunnelOff(t *testing.T) {
	for _, kind := range Encapsulations {
		t.Run(string(kind), func(t *testing.T) {
			l := up(t, Spec{Name: unique("t-tunnel"), Method: Tunnel, Tunnel: kind, Families: Both})
			if got := who(t, l, ClientNode(1), "http://192.0.2.2/"); got != "server1" {
				t.Error(got)
			}
			out, err := l.Exec(t.Context(), ServerNode(2), evs, "realserver", "status")
			if err != nil || !strings.Contains(out, "tunnel "+string(kind)) || !strings.Contains(out, "203.0.113.10, 2001:db8:2::10") {
				t.Errorf("%s, %v", out, err)
			}
		})
	}
}

func TestALabBroughtUpByACommandIsOpenedAndTakenDownByAnother(t *testing.T) {
	needRoot(t)
	command := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(evs, append([]string{"lab"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v: %s", args, err, out)
		}
		return string(out)
	}
	command("up", "--name", unique("t-cli"), "--servers", "1")
	l, err := Open(unique("t-cli"))
	if err != nil {
		t.Fatal(err)
	}
	if out := command("status"); !strings.Contains(out, "serving, pid "+strconv.Itoa(l.ServerPID("server1"))) {
		t.Errorf("status: %s", out)
	}
	if out := command("exec", "--name", unique("t-cli"), "director", "sh", "-c", "ip -o -4 address show; echo $EVS_LAB"); !strings.Contains(out, "203.0.113.10/32") || !strings.HasSuffix(out, unique("t-cli")+"\n") {
		t.Errorf("exec: %s", out)
	}
	if out, err := exec.Command("ip", "netns", "exec", unique("t-cli")+"-client1", evs, "lab", "get", "--from", "here", "--requests", "4", "http://192.0.2.2:8080/").CombinedOutput(); err != nil || !strings.Contains(string(out), "server1      4         100.0%") {
		t.Errorf("get: %v: %s", err, out)
	}
	command("down", "--name", unique("t-cli"))
	nothingLeft(t, unique("t-cli"))
}
