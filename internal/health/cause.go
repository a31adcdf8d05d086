package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// ours are errors that say that this host is short of something. They say
// nothing of the server.
var ours = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EAGAIN, syscall.EADDRNOTAVAIL, syscall.ENODEV, syscall.EPERM}

func own(err error) bool {
	for _, e := range ours {
		if errors.Is(err, e) && !late(err) {
			return true
		}
	}
	return false
}

// late says whether err is that time was over.
func late(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// overdue is err, or that time is over where it is: readers of lines complain of
// the half of one that they got.
func overdue(ctx context.Context, err error) error {
	if deadline, is := ctx.Deadline(); is && !time.Now().Before(deadline) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// A stepError tells at which step something went wrong, in place of the
// particulars that the net package adds.
type stepError struct {
	// none is what to say where time was over: "no connection".
	none string
	// within is how long it was, or 0 for the whole time of the check.
	within time.Duration
	err    error
}

func (e *stepError) Error() string { return e.none + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// Cause tells err in a few words: what a person needs to know first.
func Cause(err error, timeout time.Duration) string {
	none, within := "no whole answer", timeout
	var step *stepError
	if errors.As(err, &step) {
		none = step.none
		if step.within != 0 {
			within = min(within, step.within)
		}
	}
	if late(err) {
		return fmt.Sprintf("%s within %v", none, within)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	if step != nil {
		err = step.err
	}
	return strings.TrimPrefix(err.Error(), "tls: ")
}
