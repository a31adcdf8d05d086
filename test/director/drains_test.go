package director

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

// drainFile is a file of an echo service; the first server has a weight.
func drainFile(weight int) string {
	return fmt.Sprintf(`services:
- name: echo
  tcp: 203.0.113.10:7
  scheduler: rr
  method: masq
  drain: {for: 30s, persistence: ignore}
  check: {kind: tcp, interval: 300ms, fall: 2, rise: 1, timeout: 250ms}
  destinations:
  - {server: 192.0.2.2, weight: %d}
  - server: 192.0.2.3
`, weight)
}

// verb runs evs in a node, with the director's socket.
func (d *daemon) verb(node string, args ...string) (out string, code int) {
	d.t.Helper()
	out, err := d.l.Exec(d.t.Context(), node, append(append([]string{"evs"}, args...), "--socket", filepath.Join(d.dir, "sock"))...)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return out, failed.ExitCode()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return out, 0
}

// want runs evs on the director and holds its answer against what it should be.
func (d *daemon) want(code int, says string, args ...string) {
	d.t.Helper()
	if out, got := d.verb(lab.Director, args...); got != code || !strings.Contains(out, says) {
		d.t.Errorf("evs %s: exit code %d, want %d and %q:\n%s", strings.Join(args, " "), got, code, says, out)
	}
}

// twoClients are connections to the service, the first server's first.
func twoClients(t *testing.T, l *lab.Lab) (first, second net.Conn) {
	t.Helper()
	var doc struct {
		Connections []struct{ Client, Destination string }
	}
	by := map[string]net.Conn{}
	for range 2 {
		c, err := l.Dial(lab.ClientNode(1))(t.Context(), "tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		by[c.LocalAddr().String()] = c
		if err := echoed(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal([]byte(cluster.On(t, l, lab.Director, "evs connections list -o json --tcp 203.0.113.10:7")), &doc); err != nil {
		t.Fatal(err)
	}
	for _, c := range doc.Connections {
		switch {
		case by[c.Client] == nil:
		case c.Destination == "192.0.2.2:7":
			first = by[c.Client]
		default:
			second = by[c.Client]
		}
	}
	if first == nil || second == nil {
		t.Fatalf("one server has both connections: %v", doc.Connections)
	}
	return first, second
}

func echoed(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 16))
	return err
}

const bothWell = "192.0.2.2=1 192.0.2.3=1"

// drained wants the weights to be so for a while.
func stays(t *testing.T, l *lab.Lab, want string) {
	t.Helper()
	for range 40 {
		if got := weights(t, l); got != want {
			t.Fatalf("weights are %s, want %s", got, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestWhatOperatorsSayIsKeptByTheDirector(t *testing.T) {
	t.Parallel()
	l := cluster.Up(t, lab.Spec{Name: "t-drains", Servers: 2})
	d := newDaemon(t, l)
	d.write(drainFile(1))
	d.start()
	awaitWeights(t, l, 15*time.Second, bothWell)
	const drained = "192.0.2.2=0 192.0.2.3=1"
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a drain goes on over a restart, and is empty when its last client has gone", func(t *testing.T) {
			first, second := twoClients(t, l)
			type ending struct {
				out  string
				code int
			}
			done := make(chan ending, 1)
			go func() {
				out, code := d.verb(lab.Director, "drain", "192.0.2.2")
				done <- ending{out, code}
			}()
			awaitWeights(t, l, 15*time.Second, drained)
			d.want(0, "drain", "weights")
			d.want(0, "1 drained", "status")
			d.kill()
			d.start()
			stays(t, l, drained)
			if err := errors.Join(echoed(first), echoed(second)); err != nil {
				t.Error(err)
			}
			first.Close()
			if got := <-done; got.code != 0 || !strings.Contains(got.out, "1 connection") || !strings.Contains(got.out, "no connections after") {
				t.Errorf("exit code %d:\n%s", got.code, got.out)
			}
			d.want(0, "empty", "drain")
			stays(t, l, drained)
			d.want(0, "192.0.2.2 is not drained any more", "undrain", "192.0.2.2")
			awaitWeights(t, l, 15*time.Second, bothWell)
			d.want(1, "no drain of 192.0.2.2", "undrain", "192.0.2.2")
		}},
		{"what is left at the deadline is reset if that is asked for", func(t *testing.T) {
			first, second := twoClients(t, l)
			d.want(3, "reset 1 connection, and ended 0 others", "drain", "192.0.2.2:7", "--for", "1s", "--at-deadline", "reset")
			if err := echoed(first); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client noticed %v", err)
			}
			if err := echoed(second); err != nil {
				t.Error(err)
			}
			d.want(1, "is drained with others, by the drain of 192.0.2.2:7", "undrain", "192.0.2.2:7", "--tcp", "203.0.113.10:7")
			d.want(0, "is not drained any more", "undrain", "192.0.2.2")
			awaitWeights(t, l, 15*time.Second, bothWell)
		}},
		{"an override holds for its time, over a restart", func(t *testing.T) {
			d.want(0, "192.0.2.3 is overridden: weight 5", "override", "192.0.2.3", "--weight", "5", "--for", "1h", "--why", "a try")
			awaitWeights(t, l, 15*time.Second, "192.0.2.2=1 192.0.2.3=5")
			d.want(0, "a try", "override")
			d.want(0, "override", "weights")
			d.kill()
			d.start()
			stays(t, l, "192.0.2.2=1 192.0.2.3=5")
			d.want(0, "", "override", "192.0.2.3", "--weight", "6", "--for", "1s")
			awaitWeights(t, l, 15*time.Second, bothWell)
			d.want(0, "", "override", "192.0.2.3", "--state", "down")
			awaitWeights(t, l, 15*time.Second, "192.0.2.2=1")
			d.want(0, "not overridden any more", "override", "192.0.2.3", "--end")
			awaitWeights(t, l, 15*time.Second, bothWell)
		}},
		{"a server to which the file gives weight 0 is drained, until it has another", func(t *testing.T) {
			d.write(drainFile(0))
			d.want(0, "in force", "reload")
			awaitWeights(t, l, 15*time.Second, drained)
			d.want(0, "file", "drain")
			d.want(1, "give it another there", "undrain", "192.0.2.2")
			d.write(drainFile(1))
			awaitWeights(t, l, 15*time.Second, bothWell)
		}},
		{"what makes no sense is refused, and nothing follows", func(t *testing.T) {
			d.want(1, "the director has no such server", "drain", "192.0.2.9")
			d.want(1, "no such server", "override", "192.0.2.2", "--udp", "203.0.113.10:7", "--weight", "1")
			d.want(1, "name weight, state or both", "override", "192.0.2.2")
			if out, code := d.verb(lab.ClientNode(1), "weights"); code != 1 || !strings.Contains(out, "serves another network namespace") {
				t.Errorf("from another namespace: exit code %d:\n%s", code, out)
			}
			for _, verb := range []string{"drain", "undrain"} { // by its usual socket
				out, err := l.Exec(t.Context(), lab.Director, "evs", verb, "192.0.2.2")
				if err == nil || !strings.Contains(out, "is the director of this network namespace, but does not listen at") {
					t.Errorf("evs %s without --socket: %v\n%s", verb, err, out)
				}
			}
			d.write(strings.Replace(drainFile(1), "scheduler: rr", "scheduler: rrr", 1))
			d.want(1, "evs.yaml:4:", "reload")
			d.want(0, "failed", "status")
			stays(t, l, bothWell)
			d.write(drainFile(1))
		}},
	} {
		t.Run(step.name, step.do)
	}
}
