package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

const bpffsPath = "/sys/fs/bpf"

// BpffsVariable names the environment variable that says which BPF file system
// to use instead of the shared one.
const BpffsVariable = "EVS_BPFFS"

// bpffs returns a path to the BPF file system that all processes of this
// machine share, mounting it where it is missing.
//
// It is not simply /sys/fs/bpf: `ip netns exec` runs its command in a mount
// namespace with a fresh /sys, and what is mounted there is gone with the
// command. So it is looked for through /proc in the mount namespaces of other
// processes, that of process 1 first: the first that has it, and failing that
// it is mounted in the first there is. The path leads through a descriptor, so
// it holds when that process ends.
//
// What the environment names comes before all that: tests and measurements keep
// their tables to themselves with it.
var bpffs = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(BpffsVariable); dir != "" {
		return named(dir)
	}
	views, err := mountViews()
	if err != nil {
		return "", err
	}
	for _, v := range views {
		if isBpffs(v.root + bpffsPath) {
			return v.open()
		}
	}
	err = fmt.Errorf("no directory %s", bpffsPath)
	for _, v := range views {
		if _, missing := os.Stat(v.root + bpffsPath); missing != nil {
			continue
		}
		if err = v.mount(); err == nil {
			return v.open()
		}
	}
	return "", fmt.Errorf("no BPF file system, and mounting one failed: %w: run `mount -t bpf bpf %s`", err, bpffsPath)
})

// named returns the directory that the environment names.
func named(dir string) (string, error) {
	if !isBpffs(dir) {
		return "", fmt.Errorf("%s=%s: no BPF file system there: run `mount -t bpf bpf %s`, or unset the variable", BpffsVariable, dir, dir)
	}
	return filepath.Abs(dir)
}

// mountView is a mount namespace as seen through a process in it.
type mountView struct {
	root string // path to its root directory
	ns   string // path to its namespace file
}

// mountViews returns the mount namespaces this process may look into, each by
// its oldest process.
func mountViews() ([]mountView, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("processes: %w: mount proc on /proc", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	seen := map[string]bool{}
	var views []mountView
	for _, pid := range pids {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		id, err := os.Readlink(dir + "/ns/mnt")
		if err != nil || seen[id] {
			continue // another user's, or known
		}
		seen[id] = true
		views = append(views, mountView{root: dir + "/root", ns: dir + "/ns/mnt"})
	}
	return views, nil
}

func isBpffs(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.BPF_FS_MAGIC
}

// open returns a path to the BPF file system of the view that stays good.
func (v mountView) open() (string, error) {
	fd, err := unix.Open(v.root+bpffsPath, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("BPF file system: %w", err)
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(fd)), nil
}

// mount mounts the BPF file system on a thread that has gone to the view's
// mount namespace. The thread is never unlocked, so it ends with the goroutine.
func (v mountView) mount() error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- v.mountHere()
	}()
	return <-done
}

func (v mountView) mountHere() error {
	ns, err := unix.Open(v.ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(ns, unix.CLONE_NEWNS)); err != nil {
		return err
	}
	return unix.Mount("bpf", bpffsPath, "bpf", 0, "mode=0700")
}
