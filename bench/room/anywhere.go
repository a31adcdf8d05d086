package room

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Anywhere runs act on a thread of its own that may use every processor, also
// where the calling thread keeps to one. The thread ends with act, so act may
// change what is the thread's, as its network namespace.
func Anywhere(act func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("ended half-way")
		defer func() { done <- err }()
		runtime.LockOSThread() // the thread ends with the goroutine
		var all unix.CPUSet
		for cpu := range runtime.NumCPU() * 4 {
			all.Set(cpu)
		}
		if refused := unix.SchedSetaffinity(0, &all); refused != nil {
			err = fmt.Errorf("use every processor: %w", refused)
			return
		}
		err = act()
	}()
	return <-done
}
