package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// glance is how often a file is looked at, and longest how long it may be.
const (
	glance  = time.Second
	longest = 4 << 20
)

// newFile reads a file when it has changed and stays as it is for a glance: it may be
// being written.
func newFile(a asking) (asker, error) {
	known, changing := "", ""
	return func(context.Context) (found, error) {
		now, err := stampOf(a.File)
		if err != nil {
			return found{}, err
		}
		settled := known == "" || now == changing
		if changing = now; now == known || !settled {
			return found{same: true}, nil
		}
		text, err := readFile(a.File)
		if err == nil {
			known = now
		}
		return found{text: text}, err
	}, nil
}

// stampOf tells states of a file apart.
func stampOf(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	inode := uint64(0)
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = s.Ino
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size(), inode), nil
}

// readFile reads a plain file. Opened so, a pipe or a device does not hold up.
func readFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a plain file"))
	}
	text, err := io.ReadAll(io.LimitReader(f, longest+1))
	if err == nil && len(text) > longest {
		err = fmt.Errorf("the file is longer than %d MiB", longest>>20)
	}
	return text, err
}
