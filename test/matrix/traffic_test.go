package matrix

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evs-project/evs/internal/lab"
)

// A client asks the echo service of one address. Each of its connections has a
// source port of its own, so that none meets one of another row, whose
// destinations may be gone.
type client struct {
	lab  *lab.Lab
	to   netip.AddrPort
	port atomic.Uint32 // the next source port
}

// dial connects from the client's node.
func (c *client) dial(ctx context.Context, network string) (conn net.Conn, err error) {
	port := int(c.port.Add(1))
	err = c.lab.Do(lab.ClientNode(1), func() error {
		d := net.Dialer{Timeout: patience}
		if network == "tcp" {
			d.LocalAddr = &net.TCPAddr{Port: port}
		} else {
			d.LocalAddr = &net.UDPAddr{Port: port}
		}
		conn, err = d.DialContext(ctx, network, c.to.String())
		return err
	})
	return conn, err
}

// patience is for a stream to be done; long enough for what is lost to be sent
// again, several times.
const patience = 8 * time.Second

// stream sends size bytes over TCP and wants the same back.
func (c *client) stream(ctx context.Context, size int64) error {
	conn, err := c.dial(ctx, "tcp")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent, received := sha256.New(), sha256.New()
	writing := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.MultiWriter(sent, conn), rand.NewChaCha8([32]byte{byte(size)}), size)
		writing <- errors.Join(err, conn.(*net.TCPConn).CloseWrite())
	}()
	n, err := io.Copy(received, conn)
	if err = errors.Join(err, <-writing); err != nil || n != size {
		return fmt.Errorf("%d of %d bytes came back: %w", n, size, err)
	}
	if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		return errors.New("other bytes came back than were sent")
	}
	return nil
}

// streams makes many short connections, some at a time.
func (c *client) streams(ctx context.Context, count int) error {
	return together(count, 8, func(int) error { return c.stream(ctx, 100) })
}

// flows sends a datagram from each of many ports, and says who answered.
func (c *client) flows(ctx context.Context, count int) (map[string]int, error) {
	var mu sync.Mutex
	answers := map[string]int{}
	err := together(count, 8, func(int) error {
		conn, err := c.dial(ctx, "udp")
		if err != nil {
			return err
		}
		defer conn.Close()
		who, err := exchange(conn, payload(0, 100))
		mu.Lock()
		answers[who]++
		mu.Unlock()
		return err
	})
	return answers, err
}

// datagrams sends total bytes in datagrams of size bytes by a few flows, each
// waiting for its answer.
func (c *client) datagrams(ctx context.Context, total, size int) error {
	const flows = 8
	return together(flows, flows, func(int) error {
		conn, err := c.dial(ctx, "udp")
		if err != nil {
			return err
		}
		defer conn.Close()
		for i := range total / size / flows {
			if _, err := exchange(conn, payload(i, size)); err != nil {
				return fmt.Errorf("datagram %d: %w", i, err)
			}
		}
		return nil
	})
}

func payload(seed, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return b
}

// tries is how often a datagram is sent, before it is taken for lost for good.
const tries = 12

// exchange sends a datagram until it comes back, and says from whom. A send may
// fail for what the one before ran into: an ICMP error.
func exchange(conn net.Conn, what []byte) (who string, err error) {
	buf := make([]byte, 64<<10)
	for range tries {
		if _, refused := conn.Write(what); refused != nil {
			err = refused
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err := conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
			return "", err
		}
		var n int
		for {
			if n, err = conn.Read(buf); err != nil {
				break
			}
			name, echoed, _ := strings.Cut(string(buf[:n]), ": ")
			if echoed == string(what) {
				return name, nil
			}
			// else the answer, sent twice, to the one before
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return "", fmt.Errorf("no answer to a datagram of %d bytes sent %d times: %w", len(what), tries, err)
}

// together calls act count times, so many at a time.
func together(count, atATime int, act func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, atATime)
	var workers sync.WaitGroup
	for w := range errs {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(count) && errs[w] == nil; i = next.Add(1) {
				errs[w] = act(int(i))
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}
