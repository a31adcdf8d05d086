package director

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

// handsFile is a file of the first services and what more says. Hooks add a line to a
// file each.
func handsFile(hooks, more string) string {
	hook := func(word string) string {
		return fmt.Sprintf("{command: [/bin/sh, -c, 'echo %s $EVS_ADDRESS >>%s']}", word, hooks)
	}
	return fmt.Sprintf(`services:
- name: web
  tcp: 203.0.113.10:80
  scheduler: rr
  method: masq
  quorum: 2
  quorumUp: %s
  quorumDown: %s
  notifyUp: %s
  notifyDown: %s
  sorryServer: {server: "192.0.2.4:8080"}
  check: {kind: http, interval: 300ms, fall: 2, rise: 2, timeout: 250ms}
  destinations:
  - server: 192.0.2.2:80
  - server: 192.0.2.3:80
  - server: 192.0.2.4:80
%s`, hook("quorum"), hook("no-quorum"), hook("up"), hook("down"), more)
}

// freezer stops and wakes servers of a lab.
type freezer struct {
	t *testing.T
	l *lab.Lab
}

func (f freezer) stop(i int) {
	f.t.Helper()
	pid := f.l.ServerPID(lab.ServerNode(i))
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
}

func (f freezer) wake(i int) {
	f.t.Helper()
	if err := syscall.Kill(f.l.ServerPID(lab.ServerNode(i)), syscall.SIGCONT); err != nil {
		f.t.Fatal(err)
	}
}

const allWell = "192.0.2.2=1 192.0.2.3=1 192.0.2.4=1"

func TestTheTableIsAsTheFileAndTheChecksWantWhateverHappens(t *testing.T) {
	t.Parallel()
	l := cluster.Up(t, lab.Spec{Name: "t-hands", Servers: 3})
	d, servers := newDaemon(t, l), freezer{t, l}
	hooks := filepath.Join(d.dir, "hooks")
	d.write(handsFile(hooks, ""))
	d.start()
	awaitWeights(t, l, time.Second, allWell)
	ran := func(want string) {
		t.Helper()
		eventually(t, 3*time.Second, func() error {
			text, err := os.ReadFile(hooks)
			if got := strings.Join(strings.Fields(string(text)), " "); err == nil && got != want {
				err = fmt.Errorf("the hooks have written %q, want %q", got, want)
			}
			return err
		})
		if err := os.Remove(hooks); err != nil {
			t.Fatal(err)
		}
	}
	ran("quorum")
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a server that is down goes, and a director that starts anew does not bring it back", func(t *testing.T) {
			servers.stop(2)
			awaitWeights(t, l, 3*time.Second, "192.0.2.2=1 192.0.2.4=1")
			ran("down 192.0.2.3")
			d.kill()
			d.start()
			for range 25 {
				if got := weights(t, l); got != "192.0.2.2=1 192.0.2.4=1" {
					t.Fatalf("weights are %s", got)
				}
				time.Sleep(20 * time.Millisecond)
			}
			servers.wake(2)
			awaitWeights(t, l, 3*time.Second, allWell)
			ran("quorum up 192.0.2.3") // it is told the quorum again when it starts
		}},
		{"without a quorum the sorry server has everybody, also over a restart", func(t *testing.T) {
			servers.stop(1)
			awaitWeights(t, l, 3*time.Second, "192.0.2.3=1 192.0.2.4=1")
			cluster.On(t, l, lab.ServerNode(2), "ip link set eth0 down")
			awaitWeights(t, l, 3*time.Second, "192.0.2.4=1")
			if is := services(t, l)[0].Destinations; is[0].Addr.Port() != 8080 {
				t.Errorf("it is not the sorry server that has everybody but %v", is[0].Addr)
			}
			eventually(t, time.Second, func() error {
				text, _ := os.ReadFile(hooks)
				if !strings.Contains(string(text), "no-quorum") {
					return errors.New("nobody was told that the quorum is lost")
				}
				return nil
			})
			d.kill()
			d.start()
			cluster.On(t, l, lab.ServerNode(2), "ip link set eth0 up")
			servers.wake(1)
			awaitWeights(t, l, 5*time.Second, allWell)
		}},
		{"what is changed by hand is put back, and logged", func(t *testing.T) {
			from := len(d.said())
			cluster.On(t, l, lab.Director, "ipvsadm -e -t 203.0.113.10:80 -r 192.0.2.2:80 -m -w 7")
			awaitWeights(t, l, 3*time.Second, allWell)
			d.await(from, "was not as the file", "changes=1")
			d.await(from, "192.0.2.2:80", "weight 7", "weight 1")
			cluster.On(t, l, lab.Director, "evs unload")
			awaitWeights(t, l, 40*time.Second, allWell)
		}},
		{"a wrong file changes nothing, and is told with its place, once", func(t *testing.T) {
			from := len(d.said())
			d.write(strings.Replace(handsFile(hooks, ""), "fall: 2", "fell: 2", 1))
			d.await(from, "evs.yaml:12:", "fell", "there is no such key")
			d.signal(syscall.SIGHUP)
			d.await(from, "supervisor: RELOADING=1")
			time.Sleep(200 * time.Millisecond)
			if n := strings.Count(strings.Join(d.said()[from:], "\n"), "there is no such key"); n != 1 {
				t.Errorf("it is told %d times", n)
			}
			if got := weights(t, l); got != allWell {
				t.Errorf("weights are %s", got)
			}
			d.write(strings.Replace(handsFile(hooks, ""), "kind: http", "kind: exec, command: [/bin/true], user: nobody-at-all", 1))
			d.await(from, "evs.yaml:12:", "cannot be made", "nobody-at-all")
			if got := weights(t, l); got != allWell {
				t.Errorf("weights are %s", got)
			}
			d.write(handsFile(hooks, ""))
			d.await(from, "acts on the file", "it has changed")
		}},
		{"an interface that is not there is told once and served when it comes", func(t *testing.T) {
			from := len(d.said())
			d.write(handsFile(hooks, "- {udp: 203.0.113.10:7, method: masq, destinations: [{server: 192.0.2.4:7}]}\ninterfaces: {later0: tc}\n"))
			d.await(from, "interface later0", "no such interface")
			awaitWeights(t, l, time.Second, allWell+" 192.0.2.4=1")
			cluster.On(t, l, lab.Director, "ip link add later0 type veth peer name later1")
			d.await(from, "is well again", "interface later0")
			eventually(t, 15*time.Second, func() error {
				if out := cluster.On(t, l, lab.Director, "evs status"); !strings.Contains(out, "later0     tc") {
					return fmt.Errorf("the interface has not its mode:\n%s", out)
				}
				return nil
			})
			d.write(handsFile(hooks, ""))
			awaitWeights(t, l, 3*time.Second, allWell)
		}},
		{"changes on trial are left alone until they are taken back or confirmed", func(t *testing.T) {
			from := len(d.said())
			other := filepath.Join(d.dir, "other.yaml")
			text, _, _ := strings.Cut(handsFile(hooks, ""), "  - server: 192.0.2.4:80")
			if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			try := func(within string) chan error {
				done := make(chan error, 1)
				go func() {
					_, err := l.Exec(t.Context(), lab.Director, "evs", "apply", "--confirm", within, other)
					done <- err
				}()
				awaitWeights(t, l, 3*time.Second, "192.0.2.2=1 192.0.2.3=1")
				return done
			}
			if _, err := l.Exec(t.Context(), lab.Director, "evs", "apply", other); err == nil || !strings.Contains(err.Error(), "is the director here and acts on "+d.file) {
				t.Errorf("changes that the director would put back are made: %v", err)
			}
			done := try("2s")
			time.Sleep(1300 * time.Millisecond)
			if got := weights(t, l); got != "192.0.2.2=1 192.0.2.3=1" {
				t.Errorf("on trial the weights are %s", got)
			}
			if err := <-done; err == nil {
				t.Error("what nobody confirmed is called a success")
			}
			awaitWeights(t, l, time.Second, allWell)
			d.await(from, "the trial is over")
			done = try("30s")
			cluster.On(t, l, lab.Director, "evs confirm")
			if err := <-done; err != nil {
				t.Error(err)
			}
			d.await(from, "acts on the file", "other.yaml", "it was confirmed")
			time.Sleep(1200 * time.Millisecond)
			if got := weights(t, l); got != "192.0.2.2=1 192.0.2.3=1" {
				t.Errorf("after it was confirmed the weights are %s", got)
			}
			d.signal(syscall.SIGHUP)
			awaitWeights(t, l, 3*time.Second, allWell)
		}},
		{"checks via the VIP find who is down, after edits too", func(t *testing.T) {
			file := strings.Replace(handsFile(hooks, ""), "kind: http", "kind: http, via: vip", 1)
			from := len(d.said())
			d.write(file)
			d.await(from, "acts on the file")
			servers.stop(3)
			awaitWeights(t, l, 4*time.Second, "192.0.2.2=1 192.0.2.3=1 192.0.2.4=0")
			cluster.On(t, l, lab.Director, "ipvsadm -C")
			awaitWeights(t, l, 3*time.Second, "192.0.2.2=1 192.0.2.3=1 192.0.2.4=0")
			servers.wake(3)
			awaitWeights(t, l, 4*time.Second, allWell)
		}},
		{"a second director in the same namespace is refused", func(t *testing.T) {
			_, err := l.Exec(t.Context(), lab.Director, "evs", "director", "--config", d.file, "--state", filepath.Join(d.dir, "other.json"))
			if err == nil || !strings.Contains(err.Error(), "is the director of this network namespace already") {
				t.Errorf("it says: %v", err)
			}
		}},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
	d.await(0, "supervisor: WATCHDOG=1")
	from := len(d.said())
	d.signal(syscall.SIGTERM)
	if err := <-d.ended; err != nil {
		t.Error(err)
	}
	d.await(from, "supervisor: STOPPING=1")
	d.cmd = nil
	if got := weights(t, l); got != allWell {
		t.Errorf("the director has ended, and the weights are %s", got)
	}
}
