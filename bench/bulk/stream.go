package bulk

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a connection may stand still.
const patience = 5 * time.Second

const chunk = 128 << 10 // what iperf3 writes at a time

// blocking takes a connection out of Go's hands, whose threads would take turns
// with those that carry: what is measured is the way, not the runtime.
func blocking(c *net.TCPConn) (fd int, done func() error, err error) {
	f, err := c.File()
	if err = errors.Join(err, c.Close()); err != nil {
		return 0, nil, err
	}
	fd = int(f.Fd()) // which makes it blocking
	limit := unix.NsecToTimeval(int64(patience))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit))
	if err != nil {
		return 0, nil, errors.Join(err, f.Close())
	}
	return fd, f.Close, nil
}

func send(c *net.TCPConn, long time.Duration) error {
	fd, done, err := blocking(c)
	if err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for end := time.Now().Add(long); time.Now().Before(end); {
		if _, err := unix.Write(fd, buf); err != nil {
			return errors.Join(err, done())
		}
	}
	return done()
}

// receive counts until the sender closes.
func receive(c *net.TCPConn) (gbits float64, err error) {
	fd, done, err := blocking(c)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, chunk)
	var total int
	for begin := time.Now(); ; {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, errors.Join(err, done())
		}
		if n == 0 {
			return float64(total) * 8 / float64(time.Since(begin)), done() // bits per nanosecond
		}
		total += n
	}
}
