package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/evs-project/evs/internal/lab"
)

// bin holds evs and ipvsadm, built once. Its path is new, so that its processes
// are told from other people's.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Geteuid() != 0 {
			fmt.Fprintln(os.Stderr, "these tests make network namespaces and load eBPF programs, which needs root: run them with sudo")
			return 1
		}
		var err error
		if bin, err = os.MkdirTemp("", "evs-e2e"); err != nil {
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
	errs := []error{
		os.Chmod(bin, 0o755), // for the tests that are not root
		os.Setenv("PATH", bin+":"+os.Getenv("PATH")),
	}
	for _, name := range []string{"ipvsadm", "ipvsadm-save", "ipvsadm-restore"} {
		errs = append(errs, os.Symlink("evs", filepath.Join(bin, name)))
	}
	return errors.Join(errs...)
}

// vip is the address of the virtual services of every lab.
const vip = "203.0.113.10"

// up brings a lab up for a test; its director's table and itself go with it.
func up(t *testing.T, name string, servers int) *lab.Lab {
	t.Helper()
	l, err := lab.Up(t.Context(), lab.Spec{
		Name: fmt.Sprintf("e2e-%s-%d", name, os.Getpid()), Servers: servers, Binary: filepath.Join(bin, "evs"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unload(t, director(l))
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// director is the namespace of a lab's director.
func director(l *lab.Lab) string { return l.Namespace(lab.Director) }

var namespaces atomic.Int64

// namespace makes an empty namespace with lo up, for one test.
func namespace(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("e2e-%d-%d", os.Getpid(), namespaces.Add(1))
	host(t, "ip netns add "+name)
	t.Cleanup(func() {
		unload(t, name)
		host(t, "ip netns del "+name)
	})
	run(t, name, "ip link set lo up")
	return name
}

// unload is for the end of a test, when its context has ended.
func unload(t *testing.T, ns string) {
	if out, err := command(context.Background(), ns, "evs unload").CombinedOutput(); err != nil {
		t.Errorf("evs unload: %v: %s", err, out)
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

// try runs a command and returns what it printed to either stream.
func try(t *testing.T, ns, line string) (string, error) {
	t.Helper()
	out, err := command(t.Context(), ns, line).CombinedOutput()
	return string(out), err
}

// run runs commands, one a line, which must succeed, and returns the output of
// the last.
func run(t *testing.T, ns, lines string) (out string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		var err error
		if out, err = try(t, ns, line); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	return out
}

// host runs a command in this process's namespace, also at the end of a test.
func host(t *testing.T, line string) {
	t.Helper()
	if out, err := command(context.Background(), "", line).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", line, err, out)
	}
}

// inside runs do on a thread that has entered a namespace. The thread is never
// unlocked, so it ends with its goroutine.
func inside(t *testing.T, ns string, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		target, err := netns.GetFromName(ns)
		if err == nil {
			err = netns.Set(target)
			target.Close()
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// until polls for a condition, and fails after patience with what the last look
// saw.
func until(t *testing.T, patience time.Duration, what string, look func() (saw string, ok bool)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		saw, ok := look()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s; the last look saw:\n%s", patience, what, saw)
		}
	}
}

// says checks that a text has all the parts.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}
