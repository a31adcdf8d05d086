package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/test/conformance"
)

// topology is that of the machine the recordings were made on, as far as the
// command can see it: the VIPs are local, the servers are behind d1.
const topology = `
	sysctl -qw net.ipv6.conf.all.disable_ipv6=0
	ip link add d0 address 02:00:00:00:01:fe type veth peer name c0
	ip link add d1 address 02:00:00:00:02:fe type veth peer name r0
	ip link set d0 addrgenmode none
	ip link set d1 addrgenmode none
	ip link set c0 up
	ip link set r0 up
	ip link set d0 up
	ip link set d1 up
	ip addr add 192.0.2.254/24 dev d0
	ip addr add 2001:db8:1::fe/64 dev d0 nodad
	ip addr add 203.0.113.254/24 dev d1
	ip addr add 2001:db8:3::fe/64 dev d1 nodad
	ip route add 198.51.100.0/25 via 192.0.2.253
	ip route add local 198.51.100.128/25 dev lo
	ip route add local 2001:db8:2::/64 dev lo`

// etc are the files by which names were resolved.
var etc = map[string]string{
	"nsswitch.conf": "hosts: files\n",
	"hosts": "127.0.0.1 localhost\n::1 ip6-localhost\n198.51.100.129 vip.example\n" +
		"203.0.113.1 rs1.example\n2001:db8:2::81 vip6.example\n",
}

// recorded makes a namespace like the one of the recordings.
func recorded(t *testing.T) string {
	t.Helper()
	ns := namespace(t)
	run(t, ns, topology)
	dir := filepath.Join("/etc/netns", ns)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		_ = os.Remove(filepath.Dir(dir)) // stays if others use it
	})
	for name, text := range etc {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return ns
}

// enter returns a command line that leads into a namespace of recordings: where
// a process sits for the time of the test that `ip netns exec` gave the files of
// names. To go there anew for each of thousands of steps would take twice as
// long.
func enter(t *testing.T, ns string) string {
	t.Helper()
	sitter := command(context.Background(), "", "ip netns exec "+ns+" cat")
	door, err := sitter.StdinPipe() // cat ends when it closes
	if err == nil {
		err = sitter.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(door.Close(), sitter.Wait()); err != nil {
			t.Error(err)
		}
	})
	until(t, 10*time.Second, "ip has become cat", func() (string, bool) {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", sitter.Process.Pid))
		return string(name), string(name) == "cat\n"
	})
	return fmt.Sprintf("nsenter --target=%d --net --mount", sitter.Process.Pid)
}

// play runs a step of a recording with the real program on the real table.
func play(t *testing.T, way string, step conformance.Step) (stdout, stderr string, exit int) {
	t.Helper()
	program := step.Program
	if program == "" {
		program = "ipvsadm"
	}
	if step.UID != 0 {
		way += fmt.Sprintf(" setpriv --reuid=%d --clear-groups", step.UID)
	}
	cmd := command(t.Context(), "", way+" "+program)
	cmd.Args = append(cmd.Args, step.Argv...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(step.Stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// notYet are the recordings that are left out, and why.
var notYet = map[string]string{
	"more-addresses": "a host with a dot behind its name, \"vip.example.\", is found in /etc/hosts, where the C library does not find it",
}

func TestTheCommandOnTheRealTableDoesWhatTheRealOneDid(t *testing.T) {
	scenarios, err := conformance.Load("../conformance/testdata/cli")
	if err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(notYet)
	scenarios = slices.DeleteFunc(scenarios, func(s conformance.Scenario) bool {
		why, out := left[s.Name]
		if out {
			t.Logf("left out: %s: %s", s.Name, why)
			delete(left, s.Name)
		}
		return out
	})
	for name := range left {
		t.Errorf("%s is left out, but there is no such recording", name)
	}
	// There are thousands of steps: two namespaces share them.
	half := len(scenarios) / 2
	for i, part := range [][]conformance.Scenario{scenarios[:half], scenarios[half:]} {
		t.Run(fmt.Sprintf("half %d", i+1), func(t *testing.T) {
			t.Parallel()
			playAll(t, part)
		})
	}
}

// playAll plays recordings one after the other, each on a new table.
func playAll(t *testing.T, scenarios []conformance.Scenario) {
	ns := recorded(t)
	way := enter(t, ns)
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			for _, m := range conformance.Play(s, func(step conformance.Step) (string, string, int) { return play(t, way, step) }) {
				t.Error(m)
			}
			run(t, ns, "evs unload")
		})
	}
}
