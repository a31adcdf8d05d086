package health

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
)

// The lengths of headers that come before a payload.
const (
	udpHeader  = 8
	icmpHeader = 8
)

// filling is a payload of zeros that makes a packet as large as the interface
// takes that leads to the server. What the kernel has learned of smaller packets
// on the way is left aside: whether they are needed is what is asked.
func (r reach) filling(header int) ([]byte, error) {
	mtu, err := r.mtu()
	if err != nil {
		return nil, err
	}
	ip := 20
	if r.v6() {
		ip = 40
	}
	if mtu <= ip+header {
		return nil, fmt.Errorf("an MTU of %d has no room for a payload", mtu)
	}
	return make([]byte, min(mtu, math.MaxUint16)-ip-header), nil
}

func (r reach) mtu() (int, error) {
	if r.device != "" {
		link, err := net.InterfaceByName(r.device)
		if err != nil {
			return 0, err
		}
		return link.MTU, nil
	}
	to, from := r.to.Addr().Unmap(), r.source.Addr()
	if r.server.IsValid() { // to the VIP itself the way may be lo
		to, from = r.server.Unmap(), netip.Addr{}
	}
	way, err := hostnet.WayTo(to, from)
	if err == nil && way.Unreachable != "" {
		err = errors.New(way.Unreachable)
	}
	return way.MTU, err
}

// segment is how many bytes the largest segment of a connection holds.
func segment(c *net.TCPConn) (size int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		size, inner = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG)
	})
	return size, errors.Join(err, inner)
}
