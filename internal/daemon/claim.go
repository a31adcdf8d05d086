package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
)

// Where directors show that they are there, and where one keeps what operators have
// said.
const (
	Dir       = "/run/evs/director"
	StateFile = "/var/lib/evs/director.json"
)

// claim makes this process the director of the calling thread's network namespace, as
// long as the file is open.
func claim(dir, file string) (*os.File, error) {
	path, err := claimPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for range 20 { // somebody may only look (Claimant)
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		who, _ := os.ReadFile(path)
		pid, _, _ := strings.Cut(string(who), " ")
		err = fmt.Errorf("process %s is the director of this network namespace already: end it first, or have it read its file anew with SIGHUP", pid)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d %s\n", os.Getpid(), file)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func claimPath(dir string) (string, error) {
	cookie, err := hostnet.Cookie()
	return filepath.Join(dir, fmt.Sprintf("%x.pid", cookie)), err
}

// Claimant tells of the director of the calling thread's network namespace: the number
// of its process, "" if there is none, and the file that it acts on.
func Claimant(dir string) (pid, file string, err error) {
	path, err := claimPath(dir)
	if err != nil {
		return "", "", err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return "", "", err
	}
	text, err := os.ReadFile(path)
	pid, file, _ = strings.Cut(strings.TrimSpace(string(text)), " ")
	return pid, file, err
}

// A clock notices that the time of day has leapt. The loop's own times are monotonic.
type clock struct {
	day    time.Time     // the time of day when it was last looked at
	passed time.Duration // and how much time had passed since the start
}

// leapt is by how much it has since the last look, 0 if it has not.
func (c *clock) leapt(day time.Time, passed time.Duration) time.Duration {
	by := day.Round(0).Sub(c.day.Round(0)) - (passed - c.passed)
	c.day, c.passed = day, passed
	if by.Abs() < leap {
		return 0
	}
	return by.Round(time.Second)
}
