package health

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// echoToken is how many bytes of the payload tell one echo request from another.
const echoToken = 16

// newICMP sends an echo request. It does so from a ping socket, which needs no
// privilege where net.ipv4.ping_group_range has the director's group, and from a
// raw one otherwise.
func newICMP(s Spec, target Target) (probe, error) {
	r, err := reachOf(s, target, false)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (found, error) {
		f, raw, err := r.pingSocket()
		if err != nil {
			return found{}, &stepError{none: "no socket", err: err}
		}
		defer f.Close()
		if deadline, is := ctx.Deadline(); is {
			_ = f.SetDeadline(deadline)
		}
		defer context.AfterFunc(ctx, func() { _ = f.Close() })()
		payload := make([]byte, echoToken)
		if r.fullMTU {
			if payload, err = r.filling(icmpHeader); err != nil {
				return found{}, err
			}
		}
		_, _ = rand.Read(payload[:min(echoToken, len(payload))])
		request := r.echo(uint16(os.Getpid()), payload)
		if _, err := f.Write(request); err != nil {
			return found{}, err
		}
		return found{}, r.awaitEcho(f, raw, payload)
	}, nil
}

// pingSocket makes a connected socket for echo requests; raw tells which kind.
func (r reach) pingSocket() (f *os.File, raw bool, err error) {
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if r.v6() {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		raw = true
		fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	}
	if err != nil {
		return nil, raw, fmt.Errorf("no socket for ICMP: %w", err)
	}
	err = r.prepare(fd, "icmp")
	if err == nil {
		err = r.tellErrors(fd)
	}
	if err == nil && r.source.IsValid() {
		err = unix.Bind(fd, sockaddr(r.source.Addr()))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(r.to.Addr()))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, raw, err
	}
	return os.NewFile(uintptr(fd), "icmp"), raw, nil
}

// echo is an echo request. A ping socket puts in an identifier of its own; the
// sum of ICMPv6 is the kernel's affair.
func (r reach) echo(id uint16, payload []byte) []byte {
	b := append(make([]byte, icmpHeader), payload...)
	b[0] = 8
	if r.v6() {
		b[0] = 128
	}
	binary.BigEndian.PutUint16(b[4:], id)
	b[7] = 1
	if !r.v6() {
		binary.BigEndian.PutUint16(b[2:], onesSum(b))
	}
	return b
}

func (r reach) awaitEcho(f io.Reader, raw bool, payload []byte) error {
	buffer := make([]byte, longest)
	for {
		n, err := f.Read(buffer)
		if err != nil {
			return &stepError{none: "no answer", err: err}
		}
		b := buffer[:n]
		if raw && !r.v6() && n > 20 {
			b = b[min(int(b[0]&15)*4, n):] // a raw socket of IPv4 gives the header too
		}
		reply := byte(0)
		if r.v6() {
			reply = 129
		}
		if len(b) >= icmpHeader && b[0] == reply && bytes.Equal(b[icmpHeader:], payload) {
			return nil
		}
	}
}

// onesSum is the checksum of the Internet.
func onesSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 != 0 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
