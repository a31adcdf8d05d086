package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// The BPF file system is looked for in the mount namespace of process 1,
// because `ip netns exec` hides /sys/fs/bpf behind a fresh /sys. The path
// through /proc leads there from any mount namespace.
const (
	initRoot  = "/proc/1/root"
	bpffsPath = "/sys/fs/bpf"
	evsDir    = "evs"
)

// bpffs returns the path of a mounted BPF file system, mounting it where it is
// missing.
func bpffs() (string, error) {
	path := bpffsPath
	if _, err := os.Stat(initRoot + "/"); err == nil {
		path = initRoot + bpffsPath
	}
	mounted, err := isBpffs(path)
	if err != nil {
		return "", fmt.Errorf("BPF file system: %w: mount sysfs on /sys", err)
	}
	if mounted {
		return path, nil
	}
	if err := mountBpffs(); err != nil {
		return "", fmt.Errorf("no BPF file system on %s and mounting it failed: %w: run `mount -t bpf bpf %s`", bpffsPath, err, bpffsPath)
	}
	if mounted, err = isBpffs(path); err != nil || !mounted {
		return "", fmt.Errorf("no BPF file system on %s: run `mount -t bpf bpf %s`", bpffsPath, bpffsPath)
	}
	return path, nil
}

func isBpffs(path string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false, err
	}
	return st.Type == unix.BPF_FS_MAGIC, nil
}

// mountBpffs mounts on a thread that has gone to the mount namespace of
// process 1, so that the mount is there for everybody. The thread ends with
// the goroutine, because it is never unlocked.
func mountBpffs() error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			if err := enterInitMounts(); err != nil {
				return err
			}
			return unix.Mount("bpf", bpffsPath, "bpf", 0, "mode=0700")
		}()
	}()
	return <-done
}

func enterInitMounts() error {
	ns, err := unix.Open("/proc/1/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(ns, unix.CLONE_NEWNS)
}

// namespaceCookie identifies the calling thread's network namespace. The
// kernel never gives the same number twice, unlike inode numbers.
func namespaceCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("network namespace: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("network namespace: SO_NETNS_COOKIE: %w", err)
	}
	return cookie, nil
}

// place is where the tables of a machine are pinned, and this namespace's.
type place struct {
	root string // of all namespaces
	dir  string // of this one; its flock serialises writers
}

func here() (place, error) {
	fs, err := bpffs()
	if err != nil {
		return place{}, err
	}
	cookie, err := namespaceCookie()
	if err != nil {
		return place{}, err
	}
	root := filepath.Join(fs, evsDir)
	return place{root: root, dir: filepath.Join(root, fmt.Sprintf("%x", cookie))}, nil
}

func (p place) table() string    { return filepath.Join(p.dir, "table") }
func (p place) building() string { return filepath.Join(p.dir, "building") }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}
