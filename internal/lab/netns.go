package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where named namespaces live, so that `ip netns` sees the lab's.
const netnsDir = "/run/netns"

// inNamespace runs act in the namespace called name, on an OS thread of its own
// for the time.
func inNamespace(name string, act func() error) error {
	target, err := netns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	defer target.Close()
	return onThread(func() error {
		if err := netns.Set(target); err != nil {
			return fmt.Errorf("enter network namespace %s: %w (this needs root)", name, err)
		}
		return act()
	})
}

// onThread runs act on a locked OS thread and puts the thread's namespace back.
// If that fails, or act ends its goroutine, the goroutine ends still locked and
// the thread with it.
func onThread(act func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errors.New("ended half-way")
		defer func() { result <- err }()
		runtime.LockOSThread()
		home, refused := netns.Get()
		if refused != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("this thread's network namespace: %w", refused)
			return
		}
		defer home.Close()
		err = act()
		if back := netns.Set(home); back == nil {
			runtime.UnlockOSThread()
		}
	}()
	return <-result
}

// addNamespace creates a namespace under netnsDir.
func addNamespace(name string) error {
	if err := prepareNetnsDir(); err != nil {
		return err
	}
	path := filepath.Join(netnsDir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, "")
	})
	if err != nil {
		return errors.Join(fmt.Errorf("network namespace %s: %w", name, err), os.Remove(path))
	}
	return nil
}

// prepareNetnsDir makes netnsDir a shared mount, as `ip netns` does: a namespace
// added or deleted is then so in every mount namespace, and can go away.
func prepareNetnsDir() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	// Not a mount point yet.
	if err := unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("%s: %w", netnsDir, err)
	}
	return unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// deleteNamespace removes the name; the namespace goes with its last process.
func deleteNamespace(name string) error {
	path := filepath.Join(netnsDir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("network namespace %s: unmount: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	return nil
}

// identity tells network namespaces apart.
type identity struct{ dev, ino uint64 }

func identify(path string) (identity, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return identity{st.Dev, st.Ino}, err
}
