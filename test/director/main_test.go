package director

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) {
	burn()
	os.Exit(cluster.Main(m))
}

// A daemon is a director that runs in a laboratory, with a file of its own.
type daemon struct {
	t    *testing.T
	l    *lab.Lab
	dir  string
	file string

	cmd   *exec.Cmd
	ended chan error
	mu    sync.Mutex
	log   []string
}

// newDaemon has a file for a director on the lab's, which does not run yet.
func newDaemon(t *testing.T, l *lab.Lab) *daemon {
	d := &daemon{t: t, l: l, dir: t.TempDir()}
	d.file = filepath.Join(d.dir, "evs.yaml")
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("the director said:\n%s", strings.Join(d.said(), "\n"))
		}
	})
	return d
}

// write gives the director a file, as a whole.
func (d *daemon) write(text string) {
	d.t.Helper()
	text += fmt.Sprintf("api: {socket: %s}\n", filepath.Join(d.dir, "sock"))
	if err := os.WriteFile(d.file+".new", []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(d.file+".new", d.file); err != nil {
		d.t.Fatal(err)
	}
}

// start starts it, and waits until it acts on its file.
func (d *daemon) start() {
	d.t.Helper()
	cmd := exec.Command("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set="+capabilities(d.t),
		"evs", "director", "--config", d.file, "--state", filepath.Join(d.dir, "state.json"))
	cmd.Env = append(os.Environ(), "EVS_BPFFS=/sys/fs/bpf", "NOTIFY_SOCKET="+d.supervise(), "WATCHDOG_USEC=3000000")
	out, err := cmd.StderrPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	from := len(d.said())
	if err := d.l.Do(lab.Director, cmd.Start); err != nil {
		d.t.Fatal(err)
	}
	d.cmd, d.ended = cmd, make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			d.note(lines.Text())
		}
		d.ended <- cmd.Wait()
	}()
	d.await(from, "acts on the file")
	d.await(from, "supervisor: READY=1")
}

// supervise has what a supervisor is told be in the log, and returns where it listens.
func (d *daemon) supervise() string {
	d.t.Helper()
	path := filepath.Join(d.dir, fmt.Sprintf("notify%d", len(d.said())))
	ear, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { ear.Close() })
	go func() {
		text := make([]byte, 1000)
		for {
			n, err := ear.Read(text)
			if err != nil {
				return
			}
			d.note("supervisor: " + strings.ReplaceAll(string(text[:n]), "\n", " "))
		}
	}()
	return path
}

// note adds a line to the log.
func (d *daemon) note(line string) {
	d.mu.Lock()
	d.log = append(d.log, line)
	d.mu.Unlock()
}

// capabilities are those that the unit of the director leaves it, in setpriv's words.
func capabilities(t *testing.T) string {
	t.Helper()
	unit, err := os.ReadFile("../../packaging/evs-director.service")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(unit), "CapabilityBoundingSet=")
	if !found {
		t.Fatal("the unit of the director names no capabilities")
	}
	line, _, _ := strings.Cut(after, "\n")
	set := "-all"
	for _, name := range strings.Fields(line) {
		set += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	return set
}

// kill ends it at once.
func (d *daemon) kill() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		<-d.ended
		d.cmd = nil
	}
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// said are the lines it has logged.
func (d *daemon) said() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.log...)
}

// await waits until it has logged a line with all of some words after so many lines.
func (d *daemon) await(from int, words ...string) {
	d.t.Helper()
	eventually(d.t, 30*time.Second, func() error {
		for _, line := range d.said()[from:] {
			all := true
			for _, word := range words {
				all = all && strings.Contains(line, word)
			}
			if all {
				return nil
			}
		}
		return fmt.Errorf("the director has not said %q", words)
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, within time.Duration, is func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// services are those of the director's table.
func services(t *testing.T, l *lab.Lab) (all []ipvs.ServiceInfo) {
	t.Helper()
	err := l.Do(lab.Director, func() error {
		table, err := ipvs.Open(context.Background())
		if err != nil {
			return err
		}
		defer table.Close()
		all, err = table.Services()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// destination is a destination of the first service, false if it is not there.
func destination(t *testing.T, l *lab.Lab, at netip.AddrPort) (ipvs.DestinationInfo, bool) {
	t.Helper()
	for _, s := range services(t, l) {
		for _, d := range s.Destinations {
			if d.Addr == at {
				return d, true
			}
		}
	}
	return ipvs.DestinationInfo{}, false
}

// weights are those of the destinations of all services, in words.
func weights(t *testing.T, l *lab.Lab) string {
	t.Helper()
	var all []string
	for _, s := range services(t, l) {
		for i := len(s.Destinations) - 1; i >= 0; i-- {
			d := s.Destinations[i]
			all = append(all, fmt.Sprintf("%s=%d", d.Addr.Addr(), d.Weight))
		}
	}
	return strings.Join(all, " ")
}

// awaitWeights waits until the weights are so.
func awaitWeights(t *testing.T, l *lab.Lab, within time.Duration, want string) {
	t.Helper()
	eventually(t, within, func() error {
		if got := weights(t, l); got != want {
			return fmt.Errorf("weights are %s, want %s", got, want)
		}
		return nil
	})
}

func server(i int) netip.AddrPort {
	return netip.AddrPortFrom(lab.ServerAddr(i, ipvs.IPv4), lab.HTTPPort)
}

func vip(port uint16) netip.AddrPort { return netip.AddrPortFrom(lab.VIP(ipvs.IPv4), port) }

// plan is what evs plan says of a file.
func plan(t *testing.T, l *lab.Lab, file string) (changes []struct{ What, Op, Name, From, To string }) {
	t.Helper()
	var doc struct {
		Changes []struct{ What, Op, Name, From, To string }
	}
	if err := json.Unmarshal([]byte(cluster.On(t, l, lab.Director, "evs plan -o json "+file)), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Changes
}
