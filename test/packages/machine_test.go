package packages

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// boot makes the overlay the root of process 1 of a machine, on which neither
// EVS nor another ipvsadm is installed and no service is started.
const boot = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t bpf bpf sys/fs/bpf
mount -t tmpfs run run
mount -t tmpfs tmp tmp
mount --bind "$2" mnt
mount --bind /dev dev
ip link set lo up
rm -f etc/dpkg/dpkg.cfg.d/* # images of containers leave manual pages out
printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
chmod +x usr/sbin/policy-rc.d
exec chroot . sh -c '
	dpkg --purge evs ipvsadm >/dev/null 2>&1
	rm -f /etc/ipvsadm.rules* /usr/local/sbin/ipvsadm*
	echo up
	exec sleep infinity'
`

// machine is a copy of this machine that may be spoilt. The directory shared is
// its /mnt.
type machine struct {
	t    *testing.T
	pid  int
	root string // as its mount namespace sees it
}

func newMachine(t *testing.T, shared string) *machine {
	t.Helper()
	// Not t.TempDir, whose path has the test's name in it: commas part the
	// options of an overlay.
	dir, err := os.MkdirTemp("", "evs-machine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command("sh", "-c", boot, "sh", dir, shared)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		// Its first process takes everything along, also when this test is killed.
		Pdeathsig: syscall.SIGKILL,
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("a machine with namespaces of its own needs root: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("the machine did not come up: %s", complaints.String())
	}
	return &machine{t, cmd.Process.Pid, filepath.Join(dir, "root")}
}

// try runs a script and returns what it printed and whether it succeeded.
func (m *machine) try(script string) (string, error) {
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(m.pid),
		"--mount", "--net", "--pid", "chroot", m.root, "sh", "-ec", script)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", // root's
		"HOME=/", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run runs a script that has to succeed.
func (m *machine) run(script string) string {
	m.t.Helper()
	out, err := m.try(script)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", strings.TrimSpace(script), err, out)
	}
	return out
}

// wants runs a script and fails unless what it prints is as wanted.
func (m *machine) wants(script, want string) {
	m.t.Helper()
	if got := m.run(script); strings.TrimSpace(got) != want {
		m.t.Errorf("%s: got %q, not %q", script, strings.TrimSpace(got), want)
	}
}

// files lists what is on the machine, but for what package managers keep for
// themselves, and what other tests do to the machine below.
func (m *machine) files() string {
	m.t.Helper()
	return m.run(`find /etc /usr /var /sys/fs/bpf -path /var/lib/dpkg -prune -o -path /var/lib/rpm -prune -o \
		-path /etc/netns -prune -o -path /var/cache -prune -o -path /var/log -prune -o -print | LC_ALL=C sort`)
}

// different tells the lines that only one of two texts has.
func different(before, after string) string {
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[line]--
	}
	for line := range strings.Lines(after) {
		count[line]++
	}
	var b strings.Builder
	for line, n := range count {
		switch {
		case n > 0:
			b.WriteString("+ " + line)
		case n < 0:
			b.WriteString("- " + line)
		}
	}
	return b.String()
}

// one returns the only file of that pattern.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: found %v, not one file", pattern, found)
	}
	return found[0]
}

// command runs a command of this machine that has to succeed.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
