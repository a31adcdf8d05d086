package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const evsDir = "evs"

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
