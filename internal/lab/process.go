package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Do runs act in a node's network namespace on a locked OS thread: sockets it
// opens are the node's. Sockets opened by goroutines that act starts are not.
func (l *Lab) Do(node string, act func() error) error {
	if err := l.Has(node); err != nil {
		return err
	}
	return inNamespace(l.Namespace(node), act)
}

// Has returns an error naming the nodes there are, if node is not among them.
func (l *Lab) Has(node string) error {
	if !slices.Contains(l.Nodes(), node) {
		return fmt.Errorf("node %q: lab %s has no such node; it has: %s", node, l.Name, strings.Join(l.Nodes(), ", "))
	}
	return nil
}

// Exec runs a command in a node and returns what it printed, to either stream.
// Only the network namespace is the node's: unlike under `ip netns exec`, /sys
// is that of the host, and so pinned BPF objects are in sight.
func (l *Lab) Exec(ctx context.Context, node string, argv ...string) (string, error) {
	if len(argv) == 0 {
		return "", fmt.Errorf("node %s: no command to run", node)
	}
	var out []byte
	err := l.Do(node, func() (err error) {
		out, err = l.command(ctx, argv).CombinedOutput()
		return err
	})
	if err != nil {
		return string(out), fmt.Errorf("%s on %s: %w: %s", argv[0], node, err, out)
	}
	return string(out), nil
}

// Attach runs a command in a node with the streams given. The error wraps an
// *exec.ExitError if the command ran and failed.
func (l *Lab) Attach(ctx context.Context, node string, std Streams, argv ...string) error {
	if len(argv) == 0 {
		return fmt.Errorf("node %s: no command to run", node)
	}
	cmd := l.command(ctx, argv)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.In, std.Out, std.Err
	if err := l.Do(node, cmd.Start); err != nil {
		return fmt.Errorf("%s on %s: %w", argv[0], node, err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s on %s: %w", argv[0], node, err)
	}
	return nil
}

// Run runs a command outside the lab's namespaces, with the lab in its
// environment.
func (l *Lab) Run(ctx context.Context, std Streams, argv ...string) error {
	if len(argv) == 0 {
		return fmt.Errorf("lab %s: no command to run", l.Name)
	}
	cmd := l.command(ctx, argv)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.In, std.Out, std.Err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

// command asks the process politely to end when ctx does, and insists after a
// while.
func (l *Lab) command(ctx context.Context, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error {
		// What a shell started would outlive it. But the shell comes first: one
		// whose command ends may say that all went well.
		started := descendants(cmd.Process.Pid)
		err := cmd.Process.Signal(unix.SIGTERM)
		for _, pid := range started {
			_ = unix.Kill(pid, unix.SIGTERM)
		}
		return err
	}
	cmd.WaitDelay = 3 * time.Second
	cmd.Env = append(os.Environ(), l.Environment()...)
	return cmd
}

// Environment describes the lab to a command: EVS_LAB is its name, EVS_BINARY
// the evs program, and VIP, RIP1, CIP1, DIP and so on the addresses, with _6
// appended for IPv6 (VIP_6).
func (l *Lab) Environment() []string {
	env := []string{
		"EVS_LAB=" + l.Name,
		"EVS_METHOD=" + string(l.Method),
		"EVS_BINARY=" + l.Binary,
		"EVS_CLIENTS=" + strconv.Itoa(l.Clients),
		"EVS_SERVERS=" + strconv.Itoa(l.Servers),
	}
	for _, f := range l.FamilyList() {
		suffix := ""
		if f == 6 {
			suffix = "_6"
		}
		env = append(env, fmt.Sprintf("VIP%s=%s", suffix, VIP(f)), fmt.Sprintf("DIP%s=%s", suffix, DirectorInside(f)))
		for i := 1; i <= l.Clients; i++ {
			env = append(env, fmt.Sprintf("CIP%d%s=%s", i, suffix, ClientAddr(i, f)))
		}
		for i := 1; i <= l.Servers; i++ {
			env = append(env, fmt.Sprintf("RIP%d%s=%s", i, suffix, ServerAddr(i, f)))
		}
	}
	return env
}

// processes are the numbers of all there are.
func processes() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// descendants are the children of a process, their children, and so on.
func descendants(of int) []int {
	children := map[int][]int{}
	for _, pid := range processes() {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		// The name, in parentheses, may hold anything; state and parent follow.
		_, rest, _ := strings.Cut(string(stat[max(bytes.LastIndexByte(stat, ')'), 0):]), " ")
		if fields := strings.Fields(rest); len(fields) > 1 {
			if parent, err := strconv.Atoi(fields[1]); err == nil {
				children[parent] = append(children[parent], pid)
			}
		}
	}
	var all []int
	for next := children[of]; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all
}

// inhabitants are the processes in the namespaces given, other than this one.
func inhabitants(of []identity) []int {
	return slices.DeleteFunc(processes(), func(pid int) bool {
		// A process that has ended meanwhile, or is only waited for, has none.
		id, err := identify(fmt.Sprintf("/proc/%d/ns/net", pid))
		return err != nil || pid == os.Getpid() || !slices.Contains(of, id)
	})
}

// endInhabitants asks them to end, then makes them.
func endInhabitants(ctx context.Context, of []identity) error {
	const patience = 2 * time.Second
	var pids []int
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		for _, pid := range inhabitants(of) {
			// Gone already is as good as ended.
			_ = unix.Kill(pid, signal)
		}
		for deadline := time.Now().Add(patience); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			if pids = inhabitants(of); len(pids) == 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("processes %v in the lab do not end", pids)
}
