package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
)

func TestSomebodyWhoIsNotRootGetsASentence(t *testing.T) {
	ns := namespace(t)
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	before := run(t, ns, "ipvsadm -Ln")
	const nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
	for _, line := range []string{"evs status", "evs attach", "evs detach", "evs unload"} {
		said, err := try(t, ns, nobody+line)
		if err == nil {
			t.Errorf("%s: succeeded: %s", line, said)
		}
		says(t, said, "permission denied: run as root")
		oneSentence(t, said)
		if strings.Count(said, "permission denied") != 1 {
			t.Errorf("%s: says it twice: %s", line, said)
		}
	}
	for _, line := range []string{"ipvsadm -Ln", "ipvsadm -C", "ipvsadm -A -t 203.0.113.10:81 -s rr"} {
		said, err := try(t, ns, nobody+line)
		// The words of the real command.
		const want = "Can't initialize ipvs: Permission denied (you must be root)\n" +
			"Are you sure that IP Virtual Server is built in the kernel or as module?\n"
		if err == nil || said != want {
			t.Errorf("%s: %v: %s", line, err, said)
		}
	}
	if after := run(t, ns, "ipvsadm -Ln"); after != before {
		t.Errorf("the table was\n%sand is\n%s", before, after)
	}
}

func TestRootWithoutItsCapabilitiesGetsASentenceAndLeavesNothing(t *testing.T) {
	ns := namespace(t)
	said, err := try(t, ns, "setpriv --bounding-set=-all --inh-caps=-all evs attach")
	if err == nil {
		t.Errorf("succeeded: %s", said)
	}
	says(t, said, "permission denied: run as root (CAP_BPF")
	oneSentence(t, said)
	for _, part := range []string{"table", "building"} {
		if _, err := os.Stat(filepath.Join(pinsDir(t, ns), part)); err == nil {
			t.Errorf("left: %s", part)
		}
	}
}

func TestAWriterThatWaitsTooLongSaysThatTheTableIsBusy(t *testing.T) {
	ns := namespace(t)
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	hold(t, pinsDir(t, ns))
	inside(t, ns, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		table, err := ipvs.Open(ctx)
		if err != nil {
			return err
		}
		defer table.Close()
		if err := table.Clear(); !errors.Is(err, ipvs.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a writer that waited in vain says: %v", err)
		}
		return nil
	})
	if got := strings.Count(run(t, ns, "ipvsadm -Ln"), "TCP"); got != 1 {
		t.Errorf("%d services, want 1", got)
	}
}

func TestTheCommandsPatienceWithAnotherWriterEnds(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	lock := hold(t, pinsDir(t, ns))
	defer release(t, lock)
	begin := time.Now()
	said, err := try(t, ns, "ipvsadm -C")
	if waited := time.Since(begin); err == nil || waited < 10*time.Second || waited > 25*time.Second {
		t.Errorf("after %v: %v", waited, err)
	}
	says(t, said, "another process is changing this table", "`ps -C evs,ipvsadm`")
	oneSentence(t, said)
}

func TestAHalfCreatedTableIsClearedByTheNextCreation(t *testing.T) {
	ns := namespace(t)
	building := filepath.Join(pinsDir(t, ns), "building")
	if err := os.MkdirAll(filepath.Join(building, "links"), 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "evs_left", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, name := range []string{"dsts", "no_name_of_ours"} {
		left, err := m.Clone()
		if err := errors.Join(err, left.Pin(filepath.Join(building, name)), left.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got := run(t, ns, "ipvsadm -Ln"); strings.Count(got, "\n") != 3 {
		t.Errorf("half a table lists:\n%s", got)
	}
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	addable(t, ns)
	if _, err := os.Stat(building); err == nil {
		t.Errorf("%s is still there", building)
	}
}

// counter is a row of evs status, 0 if it has none.
func counter(t *testing.T, ns, name string) (n int) {
	t.Helper()
	for line := range strings.Lines(run(t, ns, "evs status")) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			_, _ = fmt.Sscan(rest, &n)
		}
	}
	return n
}

func TestAFullConnectionTableKeepsItsConnectionsAndCountsWhatItDrops(t *testing.T) {
	l := up(t, "full", 1)
	ns := director(l)
	inside(t, ns, func() error {
		table, err := ipvs.OpenSized(t.Context(), 1) // the smallest there is
		if err != nil {
			return err
		}
		defer table.Close()
		return table.AddService(ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort(vip+":80")), Scheduler: "rr"})
	})
	run(t, ns, `
		ipvsadm --set 0 0 6
		ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2:80 -m
		ipvsadm -A -u 203.0.113.10:9 -s rr
		ipvsadm -a -u 203.0.113.10:9 -r 192.0.2.2:9 -m`)
	established := httpConn(t, l, true)
	flood(t, l, 24_000)
	if n := counter(t, ns, "table_full"); n == 0 {
		t.Errorf("no connection was dropped:\n%s", run(t, ns, "evs status"))
	}
	for range 10 {
		ask(t, established)
	}
	if got := busy(t, ns, "192.0.2.2:80"); got != [2]int{1, 0} {
		t.Errorf("active and inactive connections of the established are %v, want 1 and 0", got)
	}
	if active, listed := busy(t, ns, "192.0.2.2:9")[1], len(conns(t, ns, vip+":9")); active < 10_000 || active < listed {
		t.Errorf("%d connections are counted, %d listed", active, listed)
	}
	until(t, 15*time.Second, "the table is empty again", func() (string, bool) {
		counts := busy(t, ns, "192.0.2.2:9")
		return fmt.Sprint(counts), counts == [2]int{}
	})
	load(t, l, "http://"+vip+"/", 100, 4)
	ask(t, established)
}

// flood opens UDP connections through the director, each from another port.
func flood(t *testing.T, l *lab.Lab, n int) {
	t.Helper()
	inside(t, l.Namespace(lab.ClientNode(1)), func() error {
		to := &net.UDPAddr{IP: net.ParseIP(vip), Port: 9}
		for i := range n {
			c, err := net.DialUDP("udp4", &net.UDPAddr{Port: 20_000 + i}, to)
			if err != nil {
				return err
			}
			_, err = c.Write([]byte("full?"))
			if err := errors.Join(err, c.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

// ask makes another request on a connection.
func ask(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: lab\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") {
		t.Fatalf("%q, %v", answer[:n], err)
	}
}

func TestInterfacesThatComeAndGoMeanwhileDoNotMakeAnEditFail(t *testing.T) {
	ns := namespace(t)
	run(t, ns, "ipvsadm -A -t 203.0.113.10:80 -s rr")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		var err error
		for i := 0; ctx.Err() == nil && err == nil; i++ {
			_, err = command(t.Context(), ns, fmt.Sprintf("ip link add x%d type veth peer name y%d", i, i)).CombinedOutput()
			if err == nil {
				_, err = command(t.Context(), ns, fmt.Sprintf("ip link del x%d", i)).CombinedOutput()
			}
		}
		ended <- err
	}()
	for i := range 100 {
		if said, err := try(t, ns, fmt.Sprintf("ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.%d -m", i+2)); err != nil {
			t.Errorf("edit %d: %v: %s", i, err, said)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
