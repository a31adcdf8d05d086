package datapath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy means that another process holds the lock of the table.
var ErrBusy = errors.New("another process is changing this table")

// lockPatience is how long a writer waits for another. An edit takes
// milliseconds; the creation of a table under load a second or two.
const lockPatience = 15 * time.Second

// lock is the right to change one namespace's table: a flock on its directory,
// which ends with the process however that ends.
type lock struct{ dir *os.File }

// acquire takes the lock of dir, waiting up to patience; zero does not wait.
// The directory is made where it is missing.
func acquire(ctx context.Context, dir string, patience time.Duration) (*lock, error) {
	deadline := time.Now().Add(patience)
	for {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("directory of pins: %w", err)
		}
		l, err := tryLock(dir)
		if err == nil || !errors.Is(err, ErrBusy) && !errors.Is(err, os.ErrNotExist) {
			return l, err
		}
		if !time.Now().Before(deadline) {
			return nil, fmt.Errorf("%w: still after %v; look for a stopped evs or ipvsadm with `ps -C evs,ipvsadm`, and try again", ErrBusy, patience)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: gave up waiting: %w", ErrBusy, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// tryLock takes the lock at once or fails with ErrBusy. os.ErrNotExist means
// that an unload removed the directory while it was opened.
func tryLock(dir string) (*lock, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	held, err := f.Stat()
	if err == nil {
		var now os.FileInfo
		if now, err = os.Stat(dir); err == nil && !os.SameFile(held, now) {
			err = os.ErrNotExist
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &lock{dir: f}, nil
}

func (l *lock) release() { l.dir.Close() }
