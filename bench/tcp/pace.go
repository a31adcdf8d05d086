package tcp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// request is what a client says.
const request = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"

// Latency is what became of connections that were made at a steady pace, each from
// the moment it was due until the server's last word.
type Latency struct {
	Made, Failed   int
	P50, P99, P999 time.Duration
}

// late is how long a connection may take before it counts as failed.
const late = 3 * time.Second

// pacer makes connections at a pace, whether or not those before are done: a client
// that waits for slow answers would not see the others that it keeps waiting.
type pacer struct {
	to     unix.SockaddrInet4
	poll   int
	open   map[int]*call
	took   []time.Duration
	failed int
	events []unix.EpollEvent
	buffer []byte
}

// call is a connection under way.
type call struct {
	due    time.Time
	asked  bool
	gotten int
}

// pace makes connections for a while from the calling thread's namespace.
func pace(to netip.AddrPort, perSecond float64, long time.Duration) (l Latency, err error) {
	p := &pacer{
		to:     unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()},
		open:   map[int]*call{},
		took:   make([]time.Duration, 0, int(perSecond*long.Seconds())+1),
		events: make([]unix.EpollEvent, 256),
		buffer: make([]byte, 2048),
	}
	if p.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return l, fmt.Errorf("epoll: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(p.poll)) }()
	defer p.abandon()
	began, gap := time.Now(), time.Duration(float64(time.Second)/perSecond)
	for due := began; ; {
		now := time.Now()
		for ; due.Before(began.Add(long)) && !due.After(now); due = due.Add(gap) {
			if err := p.dial(due); err != nil {
				return l, err
			}
		}
		over := !due.Before(began.Add(long))
		if over && (len(p.open) == 0 || now.After(due.Add(late))) {
			break
		}
		wait := time.Until(due)
		if over {
			wait = late
		}
		if err := p.turn(wait); err != nil {
			return l, err
		}
	}
	return p.latency(), nil
}

func (p *pacer) latency() Latency {
	l := Latency{Made: len(p.took), Failed: p.failed + len(p.open)}
	slices.Sort(p.took)
	l.P50, l.P99, l.P999 = quantile(p.took, 0.5), quantile(p.took, 0.99), quantile(p.took, 0.999)
	return l
}

// quantile of what is sorted.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// dial begins a connection that was due.
func (p *pacer) dial(due time.Time) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, &p.to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		p.failed++
		return unix.Close(fd)
	}
	p.open[fd] = &call{due: due}
	return watch(p.poll, fd, unix.EPOLLOUT)
}

// turn takes what has happened, and waits for it at most until the next is due: a client
// that did not wait would take the processor from the server.
func (p *pacer) turn(wait time.Duration) error {
	pause := unix.NsecToTimespec(int64(max(wait, 0)))
	if _, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.poll), Events: unix.POLLIN}}, &pause, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("poll: %w", err)
	}
	n, err := unix.EpollWait(p.poll, p.events, 0)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range p.events[:max(n, 0)] {
		p.proceed(int(e.Fd))
	}
	return nil
}

// proceed takes a connection a step further.
func (p *pacer) proceed(fd int) {
	c := p.open[fd]
	if !c.asked {
		_, err := unix.Write(fd, []byte(request))
		if err == nil {
			c.asked = true
			err = unix.EpollCtl(p.poll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
		}
		if err != nil {
			p.end(fd, false)
		}
		return
	}
	n, err := unix.Read(fd, p.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
	case err != nil:
		p.end(fd, false)
	case n == 0:
		p.end(fd, c.gotten == len(answer))
	default:
		c.gotten += n
	}
}

func (p *pacer) end(fd int, good bool) {
	if good {
		p.took = append(p.took, time.Since(p.open[fd].due))
	} else {
		p.failed++
	}
	delete(p.open, fd)
	_ = unix.Close(fd)
}

// abandon closes what is still under way.
func (p *pacer) abandon() {
	for fd := range p.open {
		_ = unix.Close(fd)
	}
}
