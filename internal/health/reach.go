package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
)

// A reach is the way from here to what is checked: where it is, and what sockets
// to it are like.
type reach struct {
	to      netip.AddrPort
	connect time.Duration
	source  netip.AddrPort
	device  string
	mark    uint32
	fullMTU bool
	// server is where the packets end up where they are not addressed to it.
	server netip.Addr
}

// reachOf is the way that s and target tell. ported says that a port is needed.
func reachOf(s Spec, target Target, ported bool) (reach, error) {
	r := reach{to: target.Addr, connect: time.Duration(s.ConnectTimeout), device: s.Interface, mark: s.FWMark, fullMTU: s.FullMTU}
	if s.Via == ViaVIP {
		if err := r.lead(target, s.Source.IsValid()); err != nil {
			return r, err
		}
	}
	if s.Address.IsValid() {
		r.to = netip.AddrPortFrom(s.Address.Addr, r.to.Port())
	}
	if s.Port != 0 {
		r.to = netip.AddrPortFrom(r.to.Addr(), s.Port)
	}
	if s.Source.IsValid() {
		r.source = netip.AddrPortFrom(s.Source.Addr, s.SourcePort)
	}
	return r, r.check(ported)
}

// lead has the way go to the VIP at the target; sourced says that there is a source.
func (r *reach) lead(target Target, sourced bool) error {
	if target.Path.Mark == 0 {
		return errors.New("there is no way via the VIP to it: write via: real")
	}
	r.to, r.mark, r.server = target.VIP, target.Path.Mark, target.Addr.Addr()
	source := target.Path.Source
	if !source.IsValid() && !sourced {
		way, err := hostnet.WayTo(r.server.Unmap(), netip.Addr{})
		if err != nil {
			return err
		}
		source = way.Source
	}
	r.source = netip.AddrPortFrom(source, 0)
	return nil
}

// check says what a way lacks; ported, that it needs a port.
func (r reach) check(ported bool) error {
	switch {
	case !r.to.Addr().IsValid():
		return errors.New("there is no address to ask: give the check one (address)")
	case ported && r.to.Port() == 0:
		return errors.New("it has no port: give the check one (port)")
	case r.source.IsValid() && r.source.Addr().Unmap().Is6() != r.v6():
		return fmt.Errorf("source %v is of another family than %v", r.source.Addr(), r.to.Addr())
	}
	return nil
}

// v6 says whether packets to the server are of IPv6.
func (r reach) v6() bool { return r.to.Addr().Unmap().Is6() }

// prepare sets the options of a socket before it is bound.
func (r reach) prepare(fd int, network string) error {
	type option struct {
		when               bool
		level, name, value int
		what               string
	}
	level, discover, forbid := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if r.v6() {
		level, discover, forbid = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	if network == "tcp" {
		forbid = unix.IP_PMTUDISC_DO // TCP takes the other for leave to fragment
	}
	for _, o := range []option{
		{r.mark != 0, unix.SOL_SOCKET, unix.SO_MARK, int(r.mark), "mark packets"},
		{r.source.IsValid() && r.source.Port() == 0, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1, "bind late"},
		{r.source.IsValid() && r.source.Port() != 0, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, "use a port again"},
		{r.fullMTU, level, discover, forbid, "forbid fragments"},
	} {
		if o.when {
			if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
				return fmt.Errorf("cannot %s: %w", o.what, err)
			}
		}
	}
	if r.device != "" {
		if err := unix.BindToDevice(fd, r.device); err != nil {
			return fmt.Errorf("cannot use interface %s: %w", r.device, err)
		}
	}
	return nil
}

// dial connects by tcp or udp. The connection is over when ctx is.
func (r reach) dial(ctx context.Context, network string) (bounded, error) {
	d := net.Dialer{Timeout: r.connect, KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) {
			err = r.prepare(int(fd), network)
			if err == nil && network == "udp" {
				err = r.tellErrors(int(fd))
			}
		}), err)
	}}
	if r.source.IsValid() {
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(r.source)
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(r.source)
		}
	}
	c, err := d.DialContext(ctx, network, r.to.String())
	if err != nil {
		var netErr net.Error
		if errors.As(err, &netErr) && netErr.Timeout() {
			err = os.ErrDeadlineExceeded
		}
		return bounded{}, &stepError{"no connection", r.connect, err}
	}
	if t, is := c.(*net.TCPConn); is && r.source.Port() != 0 {
		// A connection that ended in order keeps its pair of ports for a minute.
		_ = t.SetLinger(0)
	}
	return within(ctx, c), nil
}

// tellErrors has ICMP errors of every kind reach a UDP socket, not just refusals.
func (r reach) tellErrors(fd int) error {
	if r.v6() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
}

// bounded is a connection that ends with a context: the deadline is that of the
// whole check, and no read or write puts it off.
type bounded struct {
	net.Conn
	stop func() bool
}

func within(ctx context.Context, c net.Conn) bounded {
	if deadline, is := ctx.Deadline(); is {
		_ = c.SetDeadline(deadline)
	}
	return bounded{c, context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })}
}

// Close closes the connection.
func (b bounded) Close() error {
	b.stop()
	return b.Conn.Close()
}

// farewellTime bounds the wait for the other side's farewell.
const farewellTime = time.Second

// farewell ends a TCP connection as a client does that has no more to ask: it
// says so, and waits for the server to say so too. A server that is still
// sending, or about to, would have its words answered with a reset otherwise, and
// log it.
func (b bounded) farewell(ctx context.Context) {
	defer b.Close()
	tcp, is := b.Conn.(*net.TCPConn)
	if !is || tcp.CloseWrite() != nil {
		return
	}
	until := time.Now().Add(farewellTime)
	if deadline, is := ctx.Deadline(); !is || until.Before(deadline) {
		_ = tcp.SetDeadline(until)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(tcp, 1<<20))
}

// sockaddr is a without a port, as system calls have it.
func sockaddr(a netip.Addr) unix.Sockaddr {
	a = a.Unmap()
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	s := &unix.SockaddrInet6{Addr: a.As16()}
	if link, err := net.InterfaceByName(a.Zone()); a.Zone() != "" && err == nil {
		s.ZoneId = uint32(link.Index)
	}
	return s
}
