// Package room gives the benchmark a place of its own: a process in fresh
// network, mount and process namespaces, with one veth pair and a bpf filesystem
// that nobody else sees. The kernel takes all of it away with the process, however
// it ends, and whatever it started; the interfaces of the machine are never touched.
package room

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/datapath"
)

const inside = "EVS_BENCH_ROOM"

// Enter runs this program again inside the room. Outside it returns done and
// the exit code once that run has ended; inside it furnishes the room and
// returns not done. Call it first thing: a whole process moves, not a thread,
// so that whatever a target starts is inside too.
func Enter() (code int, done bool) {
	if os.Getenv(inside) != "" {
		if err := mounts(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1, true
		}
		return 0, false
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "bench: loading programs into the kernel needs root: run it with sudo")
		return 1, true
	}
	return again(), true
}

func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	// The inner run shall not outlive this one; the kernel takes "this one"
	// to be the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  unix.SIGKILL,
	}
	// An interrupt reaches the whole process group: the inner run ends by
	// it, and this one reports how.
	signal.Ignore(os.Interrupt)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "bench: the run inside its own namespaces ended early:", err)
		return 1
	}
}

// mounts gives the process a bpf filesystem of its own, so that pins end with it, and
// tells EVS to use that one; and a /proc that shows its own processes.
func mounts() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	const at = "/sys/fs/bpf"
	if err := unix.Mount("bpffs", at, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount a private bpf filesystem on %s: %w (is CONFIG_BPF_SYSCALL set?)", at, err)
	}
	return os.Setenv(datapath.BpffsVariable, at)
}
